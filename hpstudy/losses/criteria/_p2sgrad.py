"""P2SGrad: the gradient of a softmax without its scale and margin."""

from collections.abc import Sequence

from torch import Tensor

from hpstudy.losses._nontargets import NontargetSum
from hpstudy.losses._statistics import SQUARE_SUM
from hpstudy.losses.criteria._base import Criterion, CriterionBatch


class P2SGrad(Criterion):
    """½·Σ_j (cos θ_j − [j = y])²; P2SGrad (Zhang et al., CVPR 2019).

    The paper gives a gradient, not a loss: Σ_j (cos θ_j − [j = y])·∂cos θ_j/∂x for a sample, which is that of this
    value. Public code writes it as a mean squared error over all N·C cosines, 2/C times this: its learning rate
    depends on C.
    """

    name = "p2sgrad"

    def sums(self) -> tuple[NontargetSum, ...]:
        """Σ_{j≠y} cos² θ_j."""
        return (SQUARE_SUM,)

    def forward(self, batch: CriterionBatch, sums: Sequence[Tensor]) -> Tensor:
        """The mean over the batch."""
        (squares_N,) = sums
        return 0.5 * ((batch.cos_target_N - 1.0).square() + squares_N).mean()
