"""Multiplicative angular margin (SphereFace, feature-normalised form)."""

from typing import Literal

import torch
from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses.margins._angles import angle, as_offset, monotone_cosine
from hpstudy.losses.margins._base import TargetMargin


class MultiplicativeAngleMargin(TargetMargin):
    """ψ(m·θ_y) with ψ(φ) = (−1)^k cos φ − 2k, k = ⌊φ/π⌋; SphereFace (Liu et al., CVPR 2017).

    For an integer m this is SphereFace's ψ; a real m continues it, monotone in θ for every m. The feature is normalised
    and scaled by s like in the other losses, which is not the original (there s = ‖x‖ and the margin is annealed).

    Args:
        m: Margin, a factor of the angle; 1 is no margin.
        gradient: `exact`: dψ/d cos θ = m·|sin mθ|/sin θ, which is m² at θ = 0; `detached`: the margin is an offset
            without gradient, dψ/d cos θ = 1, as SphereFace-R's public code trains all its forms.
        past_pi: Where mθ > π. `monotone`: ψ; `clamp`: −1, SphereFace-R's first form, cos(min(m, π/θ)·θ).

    Raises:
        InputError: If m is outside the catalogue's hard range, or an option is none of its choices.
    """

    name = "multiplicative_angle"

    def __init__(
        self,
        *,
        m: float,
        gradient: Literal["exact", "detached"] = "exact",
        past_pi: Literal["monotone", "clamp"] = "monotone",
    ) -> None:
        super().__init__()
        info = MARGINS[self.name]
        self.m = info.parameters["m"].check(m)
        self.gradient = info.options["gradient"].check(gradient)
        self.past_pi = info.options["past_pi"].check(past_pi)

    def target(self, cos: Tensor) -> Tensor:
        """ψ(m·θ_y) under the two options."""
        return as_offset(self._value, cos) if self.gradient == "detached" else self._value(cos)

    def _value(self, cos: Tensor) -> Tensor:
        multiplied = self.m * angle(cos)
        return multiplied.clamp_max(torch.pi).cos() if self.past_pi == "clamp" else monotone_cosine(multiplied)

    def extra_repr(self) -> str:
        """The margin with its unit, and the options."""
        return f"m={self.m:g} factor, gradient={self.gradient}, past_pi={self.past_pi}"
