"""All three margins at once (ArcFace's combined form)."""

from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses.margins._angles import angle, monotone_cosine
from hpstudy.losses.margins._base import TargetMargin


class CombinedMargin(TargetMargin):
    """ψ(m1·θ_y + m2) − m3 with ψ = cos up to π; ArcFace (Deng et al., CVPR 2019), eq. 4.

    Past π, of which the paper does not speak, ψ(φ) = (−1)^k cos φ − 2k, k = ⌊φ/π⌋, so that it keeps falling: (m, 0, 0)
    is SphereFace's margin, (1, m, 0) ArcFace's and (1, 0, m) CosFace's. The gradient is exact, as in ArcFace's MXNet
    code; the class of this name in its PyTorch code is either ArcFace or CosFace, never both.

    Args:
        m1: Factor of the angle; below 1 it helps the target.
        m2: Added to the angle, radians.
        m3: Subtracted from the cosine.

    Raises:
        InputError: If a parameter is outside the catalogue's hard range.
    """

    name = "combined"

    def __init__(self, *, m1: float, m2: float, m3: float) -> None:
        super().__init__()
        parameters = MARGINS[self.name].parameters
        self.m1 = parameters["m1"].check(m1)
        self.m2 = parameters["m2"].check(m2)
        self.m3 = parameters["m3"].check(m3)

    def target(self, cos: Tensor) -> Tensor:
        """ψ(m1·θ_y + m2) − m3."""
        return monotone_cosine(self.m1 * angle(cos) + self.m2) - self.m3

    def extra_repr(self) -> str:
        """The margins with their units."""
        return f"m1={self.m1:g} factor, m2={self.m2:g} rad, m3={self.m3:g} cosine"
