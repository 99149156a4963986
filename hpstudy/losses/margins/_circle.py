"""Circle margin (Circle loss, class level)."""

from collections.abc import Callable

from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses._cosines import Targets
from hpstudy.losses.margins._base import Margin


class CircleMargin(Margin):
    """α_y·(cos θ_y − 1 + m), others α_j·(cos θ_j − m); Circle loss (Sun et al., CVPR 2020) with class labels.

    The weights α_y = [1 + m − cos θ_y]₊ and α_j = [cos θ_j + m]₊ carry no gradient: a cosine is pushed the harder the
    further it is from its optimum, 1 + m or −m, and not at all beyond. The boundary is (1 − cos θ_y)² + cos² θ_j = 2m².
    There is no neutral m; s is the paper's γ. A non-target below −m has the logit 0, as in the public code, not a small
    one.

    Args:
        m: Radius of the boundary over √2, a difference of cosines.

    Raises:
        InputError: If m is outside the catalogue's hard range.
    """

    name = "circle"
    moves_nontargets = True

    def __init__(self, *, m: float) -> None:
        super().__init__()
        self.m = MARGINS[self.name].parameters["m"].check(m)

    def forward(self, targets: Targets) -> Tensor:
        """α_y·(cos θ_y − 1 + m)."""
        cos_N = targets.cos_N
        return (1.0 + self.m - cos_N.detach()).clamp_min(0.0) * (cos_N - 1.0 + self.m)

    def nontarget(self, targets: Targets) -> Callable[[Tensor], Tensor]:
        """α_j·(cos θ_j − m)."""
        del targets
        return self._other

    def _other(self, cos: Tensor) -> Tensor:
        return (cos.detach() + self.m).clamp_min(0.0) * (cos - self.m)

    def extra_repr(self) -> str:
        """The margin with its unit."""
        return f"m={self.m:g} cosine"
