"""What every head promises, also a user's own. Shapes: N samples, C classes, K embedding dimensions."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpstudy.losses import STATISTICS, HeadOutput
from hpstudy.testing._batches import random_batch

BuildHead = Callable[[int, int], nn.Module]
"""`(num_classes, embedding_dim)` to a fresh head in training mode; the same head each time it is called."""

N, C, K = 24, 12, 8


class HeadSuite:
    """Subclass it in a test module and give it a fixture `build_head`, a `BuildHead`.

    class TestMyLoss(HeadSuite):
        @pytest.fixture
        def build_head(self) -> BuildHead:
            return lambda num_classes, embedding_dim: my_head(num_classes, embedding_dim)
    """

    @pytest.fixture
    def head(self, build_head: BuildHead) -> nn.Module:
        """A fresh head."""
        return build_head(C, K)

    @pytest.fixture
    def batch(self) -> tuple[Tensor, Tensor]:
        """Embeddings (N, K) and labels (N,)."""
        return random_batch(num_samples=N, num_classes=C, embedding_dim=K, seed=5)

    def test_statistics_are_complete_detached_scalars(self, head: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        out: HeadOutput = head(*batch)
        assert tuple(out.statistics) == STATISTICS
        for name, value in out.statistics.items():
            assert value.shape == (), name
            assert not value.requires_grad, name
            assert bool(value.isfinite()), name

    def test_cosines_are_detached_and_within_one(self, head: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        out: HeadOutput = head(*batch)
        assert out.cosines.shape == (N, C)
        assert not out.cosines.requires_grad
        assert float(out.cosines.abs().max()) <= 1.0 + 1e-6

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_loss_and_gradients_are_finite_in_every_type(
        self, head: nn.Module, batch: tuple[Tensor, Tensor], dtype: torch.dtype
    ) -> None:
        for norm in (1e-3, 1.0, 1e3):
            embeddings = (F.normalize(batch[0]) * norm).to(dtype).requires_grad_()
            out: HeadOutput = head(embeddings, batch[1])
            assert torch.finfo(out.loss.dtype).bits >= 32
            assert_finite_backward(out, embeddings, head)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
    def test_zero_embeddings_are_harmless(
        self, head: nn.Module, batch: tuple[Tensor, Tensor], dtype: torch.dtype
    ) -> None:
        embeddings = batch[0].to(dtype)
        embeddings[::2] = 0.0
        embeddings.requires_grad_()
        assert_finite_backward(head(embeddings, batch[1]), embeddings, head)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_autocast_changes_nothing(
        self, build_head: BuildHead, batch: tuple[Tensor, Tensor], dtype: torch.dtype
    ) -> None:
        plain: HeadOutput = build_head(C, K)(*batch)
        with torch.autocast("cpu", dtype=dtype):
            under: HeadOutput = build_head(C, K)(*batch)
        assert torch.equal(plain.loss, under.loss)
        assert all(torch.equal(plain.statistics[name], under.statistics[name]) for name in STATISTICS)

    def test_order_of_the_batch_does_not_matter(self, build_head: BuildHead, batch: tuple[Tensor, Tensor]) -> None:
        order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
        one: HeadOutput = build_head(C, K)(*batch)
        other: HeadOutput = build_head(C, K)(batch[0][order], batch[1][order])
        torch.testing.assert_close(other.loss, one.loss, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(dict(other.statistics), dict(one.statistics), rtol=1e-4, atol=1e-6)

    def test_eval_mode_changes_no_state(self, head: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        head(*batch)
        before = copy.deepcopy(head.state_dict())
        head.eval()(*batch)
        assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())

    def test_state_dict_restores_everything(self, build_head: BuildHead, batch: tuple[Tensor, Tensor]) -> None:
        head = build_head(C, K)
        for seed in range(3):
            head(*random_batch(num_samples=N, num_classes=C, embedding_dim=K, seed=seed))
        other = build_head(C, K)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
        other.load_state_dict(copy.deepcopy(head.state_dict()))
        for training in (False, True):
            expected: HeadOutput = head.train(training)(*batch)
            restored: HeadOutput = other.train(training)(*batch)
            assert torch.equal(restored.loss, expected.loss)
            assert torch.equal(restored.statistics["s"], expected.statistics["s"])

    def test_a_second_forward_leaves_the_first_graph_alone(self, head: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        embeddings = batch[0].clone().requires_grad_()
        first: HeadOutput = head(embeddings, batch[1])
        second: HeadOutput = head(embeddings * 2.0 + 1.0, batch[1])
        logits = first.logits.detach()
        torch.autograd.grad(first.loss + second.loss, embeddings, retain_graph=True)
        assert torch.equal(first.logits, logits)

    def test_gradients_of_two_forwards_are_those_of_each(
        self, build_head: BuildHead, batch: tuple[Tensor, Tensor]
    ) -> None:
        """A step of an adaptive part between forward and backward must not reach back into the first graph."""
        together, apart = build_head(C, K), build_head(C, K)
        batches = [batch, (batch[0] * 2.0 + 1.0, batch[1])]
        (sum(together(*each).loss for each in batches)).backward()
        for each in batches:
            apart(*each).loss.backward()
        for one, other in zip(together.parameters(), apart.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-6)


class CrossEntropySuite(HeadSuite):
    """`HeadSuite` for heads whose loss is a softmax's."""

    @pytest.mark.parametrize("training", [True, False])
    def test_cross_entropy_of_the_logits_is_the_loss(
        self, head: nn.Module, batch: tuple[Tensor, Tensor], training: bool
    ) -> None:
        out: HeadOutput = head.train(training)(*batch)
        assert out.logits.shape == (N, C)
        softmax = out.terms.get("softmax", out.loss)
        torch.testing.assert_close(F.cross_entropy(out.logits, batch[1]), softmax, rtol=2e-6, atol=1e-6)


def assert_finite_backward(out: HeadOutput, embeddings: Tensor, head: nn.Module) -> None:
    """Loss and every gradient are finite."""
    assert bool(out.loss.isfinite())
    for gradient in torch.autograd.grad(out.loss, [embeddings, *head.parameters()]):
        assert bool(gradient.isfinite().all())
