"""Multiplicative angular margin that comes in slowly (SphereFace as published)."""

import torch
from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses._cosines import Targets
from hpstudy.losses.margins._angles import angle, monotone_cosine
from hpstudy.losses.margins._base import TargetMargin


class AnnealedMultiplicativeAngleMargin(TargetMargin):
    """(λ·cos θ_y + ψ(m·θ_y))/(1 + λ) with SphereFace's ψ; SphereFace (Liu et al., CVPR 2017).

    λ_t = max(λ_min, base·(1 + γ·t)^−power) falls with the training steps t, counted before use, so that the first step
    has t = 1 (λ = 892.9 with the published values, which end at 5 from step 1659 on: a sixth of the margin). Before any
    step λ is that of t = 0. A plain constant to the gradient.

    The gradient is that of the formula. The authors' caffe layer trains with another: it divides the margin's part
    by a norm of its coefficients towards x and leaves the margin out towards W. It also counts the passes of its test
    phase; here a head in eval mode uses λ as training left it.

    Args:
        m: Margin, a factor of the angle; 1 is no margin.
        base: λ at t = 0, dimensionless.
        gamma: γ per step.
        power: Dimensionless.
        lambda_min: λ_min, dimensionless; 0 lets the whole margin come in.

    Raises:
        InputError: If a parameter is outside the catalogue's hard range.
    """

    name = "annealed_multiplicative_angle"
    adaptive = True
    steps: Tensor
    """t, 0-d, int64."""

    def __init__(self, *, m: float, base: float, gamma: float, power: float, lambda_min: float) -> None:
        super().__init__()
        parameters = MARGINS[self.name].parameters
        self.m = parameters["m"].check(m)
        self.base = parameters["base"].check(base)
        self.gamma = parameters["gamma"].check(gamma)
        self.power = parameters["power"].check(power)
        self.lambda_min = parameters["lambda_min"].check(lambda_min)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def step(self, targets: Targets) -> None:
        """Count."""
        del targets
        self.steps.add_(1)

    def target(self, cos: Tensor) -> Tensor:
        """(λ·cos θ_y + ψ(m·θ_y))/(1 + λ)."""
        return cos + (monotone_cosine(self.m * angle(cos)) - cos) / (1.0 + self.weight_of_cosine(cos.dtype))

    def weight_of_cosine(self, dtype: torch.dtype) -> Tensor:
        """λ as it is now, 0-d."""
        annealed = self.base * (1.0 + self.gamma * self.steps.to(dtype)).pow(-self.power)
        return annealed.clamp_min(self.lambda_min)

    def extra_repr(self) -> str:
        """The margin with its unit, and the course of λ."""
        annealing = f"base={self.base:g}, gamma={self.gamma:g}, power={self.power:g}, lambda_min={self.lambda_min:g}"
        return f"m={self.m:g} factor, {annealing}"
