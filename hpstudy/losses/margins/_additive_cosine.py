"""Additive cosine margin (CosFace, AM-softmax)."""

from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses.margins._base import TargetMargin


class AdditiveCosineMargin(TargetMargin):
    """ψ = cos θ_y − m; CosFace (Wang et al., CVPR 2018), eq. 4.

    Args:
        m: Margin, a difference of cosines.

    Raises:
        InputError: If m is outside the catalogue's hard range.
    """

    name = "additive_cosine"

    def __init__(self, *, m: float) -> None:
        super().__init__()
        self.m = MARGINS[self.name].parameters["m"].check(m)

    def target(self, cos: Tensor) -> Tensor:
        """cos θ_y − m."""
        return cos - self.m

    def extra_repr(self) -> str:
        """The margin with its unit."""
        return f"m={self.m:g} cosine"
