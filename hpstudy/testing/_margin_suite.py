"""What a margin on the target promises."""

import math

import pytest
import torch
from torch import Tensor

from hpstudy.losses import TargetMargin


class MarginSuite:
    """Subclass it and give it the fixtures `margin` (one that has an effect) and `no_effect` (its neutral value).

    Margins that on purpose leave a promise, like one that wraps past π, test what they keep by themselves.
    """

    @pytest.fixture
    def theta(self) -> Tensor:
        """Angles from 0 to π, denser at the ends, float64."""
        ends = torch.logspace(-6, -1, 40, dtype=torch.float64)
        inside = torch.linspace(0.1, math.pi - 0.1, 400, dtype=torch.float64)
        zero = torch.zeros(1, dtype=torch.float64)
        return torch.cat([zero, ends, inside, math.pi - ends.flip(0), zero + math.pi])

    def test_neutral_value_is_the_cosine(self, no_effect: TargetMargin, theta: Tensor) -> None:
        cos = theta.cos()
        torch.testing.assert_close(no_effect.target(cos), cos, rtol=0.0, atol=1e-14)
        torch.testing.assert_close(no_effect.target(cos.float()), cos.float(), rtol=0.0, atol=5e-7)

    def test_margin_never_helps_the_target(self, margin: TargetMargin, theta: Tensor) -> None:
        assert bool((margin.target(theta.cos()) <= theta.cos() + 1e-14).all())

    def test_target_falls_with_the_angle(self, margin: TargetMargin, theta: Tensor) -> None:
        psi = margin.target(theta.cos())
        assert bool((psi.diff() <= 1e-14).all())

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_value_and_gradient_are_finite_within_rounding_of_one(
        self, margin: TargetMargin, dtype: torch.dtype
    ) -> None:
        eps = torch.finfo(dtype).eps
        cos = torch.tensor([1.0 + eps, 1.0, 1.0 - eps, 0.0, eps - 1.0, -1.0, -1.0 - eps], dtype=dtype).requires_grad_()
        psi = margin.target(cos)
        (gradient,) = torch.autograd.grad(psi.sum(), cos)
        assert psi.dtype == dtype
        assert bool(psi.isfinite().all())
        assert bool(gradient.isfinite().all())

    def test_satisfied_is_a_margin_over_the_hardest_nontarget(self, margin: TargetMargin, theta: Tensor) -> None:
        cos = theta.cos()
        psi = margin.target(cos)
        assert bool(margin.satisfied(cos, psi - 1e-9).all())
        assert not bool(margin.satisfied(cos, psi + 1e-9).any())
