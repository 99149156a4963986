"""Additive angular margin with weighed mis-classified vectors (MV-Arc-softmax)."""

from typing import Literal

from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses._cosines import Targets
from hpstudy.losses.margins._angles import shifted_cosine, shifted_cosine_past_pi
from hpstudy.losses.margins._mv_softmax import MVMargin


class MVAngleMargin(MVMargin):
    """f = cos(θ_y + m), others (1 + t)·cos θ_j + t where cos θ_j > f; MV-softmax (Wang et al., AAAI 2020) on ArcFace.

    The bar is cos(θ_y + m) itself whatever stands for it in the target, as in the public code.

    Args:
        m: Margin in radians.
        t: How much more a hard non-target weighs, dimensionless; 0 is ArcFace.
        past_pi: `monotone`: −cos(θ+m) − 2 where θ + m > π; `easy`: cos θ itself where θ ≥ π/2, no margin, as the public
            code trains by default; `wrap`: cos(θ+m) as it is, its other choice.

    Raises:
        InputError: If a parameter is outside the catalogue's hard range, or `past_pi` is none of its choices.
    """

    name = "mv_angle"

    def __init__(self, *, m: float, t: float, past_pi: Literal["easy", "monotone", "wrap"] = "monotone") -> None:
        super().__init__(m=m, t=t)
        self.past_pi = MARGINS[self.name].options["past_pi"].check(past_pi)

    def forward(self, targets: Targets) -> Tensor:
        """cos(θ_y + m)."""
        return shifted_cosine_past_pi(targets.cos_N, self.m, self.past_pi)

    def bar(self, cos: Tensor) -> Tensor:
        """cos(θ_y + m)."""
        return shifted_cosine(cos, self.m)

    def extra_repr(self) -> str:
        """The parameters with their units, and the option."""
        return f"m={self.m:g} rad, t={self.t:g}, past_pi={self.past_pi}"
