"""NormFace's contrastive loss with prototypes in the place of second samples."""

from collections.abc import Sequence

from torch import Tensor

from hpstudy.catalog import CRITERIA
from hpstudy.losses._nontargets import NontargetSum, PlainSum
from hpstudy.losses.criteria._base import Criterion, CriterionBatch


class CContrastive(Criterion):
    """D_y + Σ_{j≠y} max(0, m − D_j), D_j = ‖x̂ − Ŵ_j‖² = 2 − 2·cos θ_j; NormFace (Wang et al., ACM MM 2017), eq. 10.

    The sum goes over all classes and the mean over samples only, as in the public caffe layer (an older version of it
    divided by the number of pairs). A pair at D_j = m has gradient 0.

    Args:
        m: Squared distance, in [0, 4], that the other prototypes shall keep.

    Raises:
        InputError: If m is outside the catalogue's hard range.
    """

    name = "c_contrastive"

    def __init__(self, *, m: float) -> None:
        super().__init__()
        self.m = CRITERIA[self.name].parameters["m"].check(m)

    def sums(self) -> tuple[NontargetSum, ...]:
        """Σ_{j≠y} max(0, m − D_j)."""

        def hinge(cos_NB: Tensor, target_N1: Tensor, classes: slice) -> Tensor:
            del target_N1, classes
            return (2.0 * cos_NB + (self.m - 2.0)).relu()

        return (PlainSum(function=hinge),)

    def forward(self, batch: CriterionBatch, sums: Sequence[Tensor]) -> Tensor:
        """The mean over the batch."""
        (hinges_N,) = sums
        return (2.0 - 2.0 * batch.cos_target_N + hinges_N).mean()

    def extra_repr(self) -> str:
        """The margin."""
        return f"m={self.m:g}"
