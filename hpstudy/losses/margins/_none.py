"""No margin (NormFace, AdaCos)."""

from torch import Tensor

from hpstudy.losses.margins._base import TargetMargin


class NoMargin(TargetMargin):
    """ψ = cos θ_y."""

    name = "none"

    def target(self, cos: Tensor) -> Tensor:
        """The cosine itself."""
        return cos
