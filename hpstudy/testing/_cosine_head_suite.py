"""What a head of prototypes and cosines promises on top. Shapes: N samples, C classes, K embedding dimensions."""

import itertools

import pytest
import torch
from torch import Tensor

from hpstudy.exceptions import InputError
from hpstudy.losses import CosineHead, HeadOutput
from hpstudy.testing._batches import random_batch
from hpstudy.testing._head_suite import BuildHead, C, HeadSuite, K, N, assert_finite_backward


class CosineHeadSuite(HeadSuite):
    """`HeadSuite` for heads that are a `CosineHead`."""

    def test_classes_are_interchangeable(self, build_head: BuildHead, batch: tuple[Tensor, Tensor]) -> None:
        order = torch.randperm(C, generator=torch.Generator().manual_seed(2))
        one, other = build_head(C, K), build_head(C, K)
        assert isinstance(one, CosineHead)
        assert isinstance(other, CosineHead)
        with torch.no_grad():
            other.weight.copy_(one.weight[order])
        expected: HeadOutput = one(*batch)
        permuted: HeadOutput = other(batch[0], order.argsort()[batch[1]])
        torch.testing.assert_close(permuted.loss, expected.loss, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(permuted.logits, expected.logits[:, order], rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("factor", [1e-4, 3.0, 1e4])
    def test_norms_of_embeddings_and_prototypes_do_not_matter(
        self, build_head: BuildHead, batch: tuple[Tensor, Tensor], factor: float
    ) -> None:
        one, other = build_head(C, K), build_head(C, K)
        factors_N = factor ** torch.linspace(0.0, 1.0, N)[:, None]
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.mul_(factor)
        expected: HeadOutput = one(*batch)
        rescaled: HeadOutput = other(batch[0] * factors_N, batch[1])
        torch.testing.assert_close(rescaled.loss, expected.loss, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_loss_and_gradients_are_finite_on_and_opposite_the_prototype(
        self, build_head: BuildHead, dtype: torch.dtype
    ) -> None:
        head = build_head(C, K)
        assert isinstance(head, CosineHead)
        for sign, s, training in itertools.product((1.0, -1.0), (1e-3, 1.0, 512.0), (True, False)):
            head.train(training).scale.value.fill_(s)
            embeddings = (sign * head.weight.detach()).to(dtype).requires_grad_()
            assert_finite_backward(head(embeddings, torch.arange(C)), embeddings, head)

    def test_casting_keeps_the_scale_in_float32(self, build_head: BuildHead, batch: tuple[Tensor, Tensor]) -> None:
        head = build_head(C, K)
        assert isinstance(head, CosineHead)
        before = head.scale.value.clone()
        head.to(torch.bfloat16)
        assert head.weight.dtype == torch.bfloat16
        assert head.scale.value.dtype == torch.float32
        assert torch.equal(head.scale.value, before)
        assert bool(head(batch[0].bfloat16(), batch[1]).loss.isfinite())

    def test_single_sample_batches_work(self, build_head: BuildHead) -> None:
        out: HeadOutput = build_head(C, K)(*random_batch(num_samples=1, num_classes=C, embedding_dim=K, seed=0))
        assert all(bool(value.isfinite()) for value in out.statistics.values())

    def test_batches_that_do_not_fit_are_refused(self, build_head: BuildHead, batch: tuple[Tensor, Tensor]) -> None:
        head, (embeddings, labels) = build_head(C, K), batch
        with pytest.raises(InputError, match=r"labels must lie in \[0, 12\), but got values from 0 to 12"):
            head(embeddings, torch.cat([labels[:-2], torch.tensor([0, C])]))
        with pytest.raises(InputError, match=r"embeddings must have shape \(N, 8\), N ≥ 1, but got \(24, 7\)"):
            head(embeddings[:, :-1], labels)
        with pytest.raises(InputError, match=r"labels must have shape \(24,\)"):
            head(embeddings, labels[:-1])
        with pytest.raises(InputError, match=r"labels must be int64, but got torch\.int32"):
            head(embeddings, labels.int())
        with pytest.raises(InputError, match="embeddings must be of a floating type"):
            head(embeddings.long(), labels)
        with pytest.raises(InputError, match="N ≥ 1"):
            head(embeddings[:0], labels[:0])
