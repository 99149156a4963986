"""Additive cosine margin with weighed mis-classified vectors (MV-AM-softmax)."""

from torch import Tensor

from hpstudy.losses._cosines import Targets
from hpstudy.losses.margins._mv_softmax import MVMargin


class MVCosineMargin(MVMargin):
    """f = cos θ_y − m, others (1 + t)·cos θ_j + t where cos θ_j > f; MV-softmax (Wang et al., AAAI 2020) on CosFace.

    The public code has no margin on the target where θ_y ≥ π/2, of which the paper does not speak; here it has.

    Args:
        m: Margin, a difference of cosines.
        t: How much more a hard non-target weighs, dimensionless; 0 is CosFace.

    Raises:
        InputError: If a parameter is outside the catalogue's hard range.
    """

    name = "mv_cosine"

    def forward(self, targets: Targets) -> Tensor:
        """cos θ_y − m."""
        return self.bar(targets.cos_N)

    def bar(self, cos: Tensor) -> Tensor:
        """cos θ_y − m."""
        return cos - self.m

    def extra_repr(self) -> str:
        """The parameters with their units."""
        return f"m={self.m:g} cosine, t={self.t:g}"
