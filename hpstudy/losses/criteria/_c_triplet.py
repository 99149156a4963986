"""NormFace's triplet loss with prototypes in the place of second and third samples."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from hpstudy.catalog import CRITERIA
from hpstudy.losses._nontargets import Hardest, NontargetSum, PlainSum
from hpstudy.losses.criteria._base import Criterion, CriterionBatch


class CTriplet(Criterion):
    """Σ_{j≠y} max(0, m + D_y − D_j), D_j = ‖x̂ − Ŵ_j‖² = 2 − 2·cos θ_j; NormFace (Wang et al., ACM MM 2017), eq. 11.

    The mean goes over samples only, as in the public caffe layer. The gradient is that of the value; the layer's is
    not: with `add_center_loss` (on in the published configuration) it always pulls the target with weight 1, however
    many hinges are active, and for the hardest class it pushes even where its hinge is inactive.

    Args:
        m: How much farther, in squared distance, the other prototypes shall be than the target's.
        negatives: `all`: every other class, as in eq. 11; `hardest`: only the nearest other prototype, as in the
            published configuration. Prototypes equally near share its gradient.

    Raises:
        InputError: If m is outside the catalogue's hard range, or `negatives` is none of its choices.
    """

    name = "c_triplet"

    def __init__(self, *, m: float, negatives: Literal["all", "hardest"] = "all") -> None:
        super().__init__()
        info = CRITERIA[self.name]
        self.m = info.parameters["m"].check(m)
        self.negatives = info.options["negatives"].check(negatives)

    def sums(self) -> tuple[NontargetSum, ...]:
        """Σ_{j≠y} max(0, m + D_y − D_j), or max_{j≠y} cos θ_j, whose hinge is the largest."""
        if self.negatives == "hardest":
            return (Hardest(function=lambda cos_NB, *_: cos_NB),)
        return (PlainSum(function=lambda cos_NB, target_N1, _: self._hinge(cos_NB, target_N1), reads_target=True),)

    def forward(self, batch: CriterionBatch, sums: Sequence[Tensor]) -> Tensor:
        """The mean over the batch."""
        (sum_N,) = sums
        return (self._hinge(sum_N, batch.cos_target_N) if self.negatives == "hardest" else sum_N).mean()

    def _hinge(self, cos: Tensor, cos_target: Tensor) -> Tensor:
        return (2.0 * (cos - cos_target) + self.m).relu()

    def extra_repr(self) -> str:
        """The margin and the option."""
        return f"m={self.m:g}, negatives={self.negatives}"
