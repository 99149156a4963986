"""Additive angular margin (ArcFace)."""

from typing import Literal

from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses.margins._angles import as_offset, shifted_cosine_past_pi
from hpstudy.losses.margins._base import TargetMargin


class AdditiveAngleMargin(TargetMargin):
    """ψ = cos(θ_y + m); ArcFace (Deng et al., CVPR 2019), eq. 3.

    What stands for it where θ + m > π is nowhere in the paper, and public codes differ. At m = 0 all rules are the
    cosine itself.

    Args:
        m: Margin in radians.
        gradient: `exact`: dψ/d cos θ = sin(θ+m)/sin θ, the derivative of the formula (28.3 at 1° and m = 0.5);
            `detached`: the margin is an offset without gradient, dψ/d cos θ = 1, as ArcFace's public PyTorch code
            trains.
        past_pi: Where θ + m > π. `monotone`: ψ keeps falling, −cos(θ+m) − 2, continuously differentiable; `clamp`:
            ψ = −1, so that its exact gradient is 0; `wrap`: cos(θ+m) as it is, which rises again, as ArcFace's public
            code computes now; `linear`: cos θ − m·sin m, a step down at π − m (from −1 to −1.117 at m = 0.5), as in
            ArcFace's older and CurricularFace's code. `easy` concerns half the circle: cos θ itself, no margin, where
            θ ≥ π/2, a step up from −sin m to 0, as in MagFace's code.

    Raises:
        InputError: If m is outside the catalogue's hard range, or an option is none of its choices.
    """

    name = "additive_angle"

    def __init__(
        self,
        *,
        m: float,
        gradient: Literal["exact", "detached"] = "exact",
        past_pi: Literal["monotone", "clamp", "wrap", "linear", "easy"] = "monotone",
    ) -> None:
        super().__init__()
        info = MARGINS[self.name]
        self.m = info.parameters["m"].check(m)
        self.gradient = info.options["gradient"].check(gradient)
        self.past_pi = info.options["past_pi"].check(past_pi)

    def target(self, cos: Tensor) -> Tensor:
        """cos(θ_y + m) under the two options."""
        return as_offset(self._value, cos) if self.gradient == "detached" else self._value(cos)

    def _value(self, cos: Tensor) -> Tensor:
        return shifted_cosine_past_pi(cos, self.m, self.past_pi)

    def extra_repr(self) -> str:
        """The margin with its unit, and the options."""
        return f"m={self.m:g} rad, gradient={self.gradient}, past_pi={self.past_pi}"
