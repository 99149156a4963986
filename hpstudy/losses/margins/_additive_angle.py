"""Additive angular margin (ArcFace)."""

import math
from typing import Literal

import torch
from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses.margins._angles import sine
from hpstudy.losses.margins._base import TargetMargin


class AdditiveAngleMargin(TargetMargin):
    """ψ = cos(θ_y + m); ArcFace (Deng et al., CVPR 2019), eq. 3.

    Computed as cos θ cos m − sin θ sin m: no arc cosine, no loss of precision.

    Args:
        m: Margin in radians.
        gradient: `exact`: dψ/d cos θ = sin(θ+m)/sin θ, the derivative of the formula (28.3 at 1° and m = 0.5);
            `detached`: the margin is an offset without gradient, dψ/d cos θ = 1, as ArcFace's public PyTorch code
            trains.
        past_pi: Where θ + m > π. `monotone`: ψ keeps falling, −cos(θ+m) − 2, continuously differentiable; `clamp`:
            ψ = −1, so that its exact gradient is 0; `wrap`: cos(θ+m) as it is, which rises again, as ArcFace's public
            code computes.

    Raises:
        InputError: If m is outside the catalogue's hard range, or an option is none of its choices.
    """

    name = "additive_angle"

    def __init__(
        self,
        *,
        m: float,
        gradient: Literal["exact", "detached"] = "exact",
        past_pi: Literal["monotone", "clamp", "wrap"] = "monotone",
    ) -> None:
        super().__init__()
        info = MARGINS[self.name]
        self.m = info.parameters["m"].check(m)
        self.gradient = info.options["gradient"].check(gradient)
        self.past_pi = info.options["past_pi"].check(past_pi)

    def target(self, cos: Tensor) -> Tensor:
        """cos(θ_y + m) under the two options."""
        if self.gradient == "detached":
            return cos + (self._value(cos.detach()) - cos.detach())
        return self._value(cos)

    def _value(self, cos: Tensor) -> Tensor:
        cos_sum = cos * math.cos(self.m) - sine(cos) * math.sin(self.m)
        if self.past_pi == "wrap":
            return cos_sum
        before_pi = cos >= -math.cos(self.m)
        if self.past_pi == "clamp":
            return torch.where(before_pi, cos_sum, -1.0)
        return torch.where(before_pi, cos_sum, -cos_sum - 2.0)

    def extra_repr(self) -> str:
        """The margin with its unit, and the options."""
        return f"m={self.m:g} rad, gradient={self.gradient}, past_pi={self.past_pi}"
