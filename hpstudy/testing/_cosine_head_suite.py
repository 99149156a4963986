"""What a head of prototypes and cosines promises on top. Shapes: N samples, C classes, K embedding dimensions."""

import copy

import pytest
import torch
from torch import Tensor, nn

from hpstudy.exceptions import InputError
from hpstudy.losses import CosineHead, HeadOutput
from hpstudy.testing._batches import random_batch
from hpstudy.testing._head_suite import BuildHead, C, HeadSuite, K, N, assert_finite_backward


class CosineHeadSuite(HeadSuite):
    """`HeadSuite` for heads that are a `CosineHead`."""

    @pytest.fixture
    def head(self, build_head: BuildHead) -> CosineHead:
        """A fresh head."""
        head = build_head(C, K)
        assert isinstance(head, CosineHead)
        return head

    @pytest.fixture
    def twin(self, build_head: BuildHead) -> CosineHead:
        """The same head once more."""
        twin = build_head(C, K)
        assert isinstance(twin, CosineHead)
        return twin

    def test_classes_are_interchangeable(
        self, head: CosineHead, twin: CosineHead, batch: tuple[Tensor, Tensor]
    ) -> None:
        order = torch.randperm(C, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            twin.weight.copy_(head.weight[order])
        expected: HeadOutput = head(*batch)
        permuted: HeadOutput = twin(batch[0], order.argsort()[batch[1]])
        torch.testing.assert_close(permuted.loss, expected.loss, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(permuted.logits, expected.logits[:, order], rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("classes_at_once", [1, 5, C])
    def test_blocks_of_classes_change_nothing(
        self, head: CosineHead, twin: CosineHead, batch: tuple[Tensor, Tensor], classes_at_once: int
    ) -> None:
        twin.classes_at_once = classes_at_once
        outputs: list[HeadOutput] = []
        gradients = []
        for each in (head, twin):
            embeddings = batch[0].clone().requires_grad_()
            outputs.append(each(embeddings, batch[1]))
            gradients.append(torch.autograd.grad(outputs[-1].loss, [embeddings, *each.parameters()]))
        torch.testing.assert_close(outputs[1].loss, outputs[0].loss, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(dict(outputs[1].statistics), dict(outputs[0].statistics), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(outputs[1].cosines, outputs[0].cosines)
        torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("sign", [1.0, -1.0])
    @pytest.mark.parametrize("training", [True, False])
    def test_loss_and_gradients_are_finite_on_and_opposite_the_prototype(
        self, head: CosineHead, dtype: torch.dtype, sign: float, training: bool
    ) -> None:
        embeddings = (sign * head.weight.detach()).to(dtype).requires_grad_()
        assert_finite_backward(head.train(training)(embeddings, torch.arange(C)), embeddings, head)

    def test_casting_keeps_the_parts_in_full_precision(
        self, build_head: BuildHead, batch: tuple[Tensor, Tensor]
    ) -> None:
        head = build_head(C, K)
        before = copy.deepcopy({name: value for name, value in head.state_dict().items() if name != "weight"})
        head.to(torch.bfloat16)
        assert next(head.parameters()).dtype == torch.bfloat16
        after = {name: value for name, value in head.state_dict().items() if name != "weight"}
        assert all(value.dtype == before[name].dtype for name, value in after.items())
        assert all(torch.equal(value, before[name]) for name, value in after.items())
        assert bool(head(batch[0].bfloat16(), batch[1]).loss.isfinite())

    def test_single_sample_batches_work(self, head: nn.Module) -> None:
        out: HeadOutput = head(*random_batch(num_samples=1, num_classes=C, embedding_dim=K, seed=0))
        assert all(bool(value.isfinite()) for value in (out.loss, *out.statistics.values()))

    def test_batches_that_do_not_fit_are_refused(self, head: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        embeddings, labels = batch
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


class NormInvariantSuite:
    """Mixed in where norms of embeddings and prototypes must not matter."""

    @pytest.mark.parametrize("factor", [1e-4, 3.0, 1e4])
    def test_norms_of_embeddings_and_prototypes_do_not_matter(
        self, build_head: BuildHead, batch: tuple[Tensor, Tensor], factor: float
    ) -> None:
        one, other = build_head(C, K), build_head(C, K)
        assert isinstance(other, CosineHead)
        factors_N = factor ** torch.linspace(0.0, 1.0, N)[:, None]
        with torch.no_grad():
            other.weight.mul_(factor)
        expected: HeadOutput = one(*batch)
        rescaled: HeadOutput = other(batch[0] * factors_N, batch[1])
        torch.testing.assert_close(rescaled.loss, expected.loss, rtol=1e-5, atol=1e-5)
