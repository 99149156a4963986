"""Multiplicative angular margin (SphereFace, feature-normalised form)."""

from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses.margins._angles import angle, monotone_cosine
from hpstudy.losses.margins._base import TargetMargin


class MultiplicativeAngleMargin(TargetMargin):
    """ψ(m·θ_y) with ψ(φ) = (−1)^k cos φ − 2k, k = ⌊φ/π⌋; SphereFace (Liu et al., CVPR 2017).

    For an integer m this is SphereFace's ψ; a real m continues it, monotone in θ for every m. The feature is normalised
    and scaled by s like in the other losses, which is not the original (there s = ‖x‖). No annealing.
    dψ/d cos θ = m·|sin mθ|/sin θ, which is m² at θ = 0.

    Args:
        m: Margin, a factor of the angle; 1 is no margin.

    Raises:
        InputError: If m is outside the catalogue's hard range.
    """

    name = "multiplicative_angle"

    def __init__(self, *, m: float) -> None:
        super().__init__()
        self.m = MARGINS[self.name].parameters["m"].check(m)

    def target(self, cos: Tensor) -> Tensor:
        """ψ(m·θ_y)."""
        return monotone_cosine(self.m * angle(cos))

    def extra_repr(self) -> str:
        """The margin with its unit."""
        return f"m={self.m:g} factor"
