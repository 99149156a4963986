"""What a margin promises. Shapes: N samples, B other classes."""

import copy
import math

import pytest
import torch
from torch import Tensor

from hpstudy.losses import Margin, Targets


class AnyMarginSuite:
    """What every margin promises; subclass it and give it the fixture `margin`."""

    @pytest.fixture
    def norm(self) -> float:
        """‖x‖ of the embeddings."""
        return 25.0

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_value_and_gradient_are_finite_within_rounding_of_one(
        self, margin: Margin, norm: float, dtype: torch.dtype
    ) -> None:
        eps = torch.finfo(dtype).eps
        ends = [1.0 + 4 * eps, 1.0 + eps, 1.0, 1.0 - eps, 0.0, eps - 1.0, -1.0, -1.0 - eps, -1.0 - 4 * eps]
        cos_N = torch.tensor(ends, dtype=dtype).requires_grad_()
        cos_NB = torch.tensor(ends, dtype=dtype).expand(len(ends), -1).clone().requires_grad_()
        targets = Targets(cos_N=cos_N, norm_N=torch.full_like(cos_N, norm, requires_grad=True))
        psi_N, psi_NB = margin(targets), margin.nontarget(targets.detached())(cos_NB)
        assert psi_N.dtype == psi_NB.dtype == dtype
        values = [psi_N.sum(), psi_NB.sum()]
        if (penalty := margin.penalty(targets)) is not None:
            assert penalty.shape == ()
            values.append(penalty)
        total = torch.stack(values).sum()
        assert bool(total.isfinite())
        gradients = torch.autograd.grad(total, [cos_N, cos_NB, targets.norm_N], allow_unused=True)
        assert all(bool(gradient.isfinite().all()) for gradient in gradients if gradient is not None)

    def test_flags_say_what_it_does(self, margin: Margin) -> None:
        targets, cos_NB = example_targets(), example_cosines()
        moved = not torch.equal(margin.nontarget(targets)(cos_NB), cos_NB)
        assert margin.moves_nontargets or not moved
        before = copy.deepcopy(margin.state_dict())
        margin.step(targets)
        stepped = any(not torch.equal(value, before[name]) for name, value in margin.state_dict().items())
        assert stepped == margin.adaptive

    def test_only_steps_move_the_state(self, margin: Margin, norm: float) -> None:
        margin.step(example_targets())
        before = copy.deepcopy(margin.state_dict())
        targets = example_targets()
        margin(targets)
        margin.nontarget(targets)(example_cosines())
        margin.penalty(targets)
        margin.satisfied(targets.cos_N, targets.cos_N, targets.norm_N)
        assert all(torch.equal(value, before[name]) for name, value in margin.state_dict().items())

    def test_state_dict_restores_everything(self, margin: Margin) -> None:
        other = copy.deepcopy(margin)
        for seed in range(3):
            margin.step(example_targets(seed))
        other.load_state_dict(copy.deepcopy(margin.state_dict()))
        for each in (margin, other):
            each.step(example_targets(3))
        targets, cos_NB = example_targets(4), example_cosines()
        assert torch.equal(margin(targets), other(targets))
        assert torch.equal(margin.nontarget(targets)(cos_NB), other.nontarget(targets)(cos_NB))

    def test_later_steps_leave_an_earlier_graph_alone(self, margin: Margin) -> None:
        margin.step(example_targets(0))
        still = copy.deepcopy(margin)
        results = []
        for each in (margin, still):
            given, cos_NB = example_targets(1), example_cosines().requires_grad_()
            targets = Targets(cos_N=given.cos_N.requires_grad_(), norm_N=given.norm_N)
            psi_N, function = each(targets), each.nontarget(targets.detached())
            for seed in (2, 3) if each is margin else ():
                each.step(example_targets(seed))
            psi_NB = function(cos_NB)
            gradients = torch.autograd.grad(psi_N.sum() + psi_NB.square().sum(), [targets.cos_N, cos_NB])
            results.append((psi_NB, *gradients))
        assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))

    def test_nothing_reads_a_tensor_back_from_the_device(self, margin: Margin) -> None:
        """Meta tensors have no values to read."""
        margin = margin.to("meta")
        targets = Targets(cos_N=torch.empty(4, device="meta"), norm_N=torch.empty(4, device="meta"))
        margin.step(targets)
        margin(targets)
        margin.nontarget(targets)(torch.empty(4, 3, device="meta"))
        margin.penalty(targets)
        margin.satisfied(targets.cos_N, targets.cos_N, targets.norm_N)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_casting_leaves_the_state_alone(self, margin: Margin, dtype: torch.dtype) -> None:
        margin.step(example_targets())
        before = copy.deepcopy(margin.state_dict())
        for name, value in margin.to(dtype).state_dict().items():
            assert value.dtype == before[name].dtype
            assert torch.equal(value, before[name])

    def test_a_batch_of_one_is_enough(self, margin: Margin) -> None:
        targets = Targets(cos_N=torch.tensor([0.3]), norm_N=torch.tensor([20.0]))
        margin.step(targets)
        assert bool(margin(targets).isfinite().all())
        assert all(bool(value.isfinite().all()) for value in margin.state_dict().values())


class MarginSuite(AnyMarginSuite):
    """And what a margin promises that asks more of the target at every angle.

    Subclass it and give it the fixtures `margin` (one that has an effect) and `no_effect` (its neutral value). Margins
    that on purpose leave a promise, like one that wraps past π, subclass `AnyMarginSuite` and test what they keep.
    """

    @pytest.fixture
    def theta(self) -> Tensor:
        """Angles from 0 to π, denser at the ends, float64."""
        ends = torch.logspace(-6, -1, 40, dtype=torch.float64)
        inside = torch.linspace(0.1, math.pi - 0.1, 400, dtype=torch.float64)
        zero = torch.zeros(1, dtype=torch.float64)
        return torch.cat([zero, ends, inside, math.pi - ends.flip(0), zero + math.pi])

    def test_neutral_value_is_the_cosine(self, no_effect: Margin, norm: float, theta: Tensor) -> None:
        for cos, tolerance in ((theta.cos(), 1e-14), (theta.cos().float(), 5e-7)):
            torch.testing.assert_close(no_effect(at(cos, norm)), cos, rtol=0.0, atol=tolerance)

    def test_neutral_value_leaves_the_others_alone(self, no_effect: Margin, norm: float, theta: Tensor) -> None:
        cos = theta.cos()
        others_NB = cos.flip(0)[::40].expand(len(cos), -1)
        torch.testing.assert_close(no_effect.nontarget(at(cos, norm))(others_NB), others_NB, rtol=0.0, atol=1e-14)

    def test_margin_never_helps_the_target(self, margin: Margin, norm: float, theta: Tensor) -> None:
        assert bool((margin(at(theta.cos(), norm)) <= theta.cos() + 1e-14).all())

    def test_target_falls_with_the_angle(self, margin: Margin, norm: float, theta: Tensor) -> None:
        assert bool((margin(at(theta.cos(), norm)).diff() <= 1e-14).all())

    def test_satisfied_is_a_margin_over_the_hardest_nontarget(self, margin: Margin, norm: float, theta: Tensor) -> None:
        cos = theta.cos()
        psi, norm_N = margin(at(cos, norm)), torch.full_like(cos, norm)
        assert bool(margin.satisfied(cos, psi - 1e-9, norm_N).all())
        assert not bool(margin.satisfied(cos, psi + 1e-9, norm_N).any())


def at(cos_N: Tensor, norm: float) -> Targets:
    """Samples of one norm."""
    return Targets(cos_N=cos_N, norm_N=torch.full_like(cos_N, norm))


def example_targets(seed: int = 0) -> Targets:
    """Five samples, float32."""
    generator = torch.Generator().manual_seed(seed)
    cos_N = torch.rand(5, generator=generator) * 1.8 - 0.9
    return Targets(cos_N=cos_N, norm_N=torch.rand(5, generator=generator) * 30.0 + 5.0)


def example_cosines() -> Tensor:
    """Of five samples with three other classes, float32."""
    return torch.linspace(-0.95, 0.95, 15).reshape(5, 3)
