"""The scale that is the norm of the embedding. Shapes: N samples."""

from torch import Tensor

from hpstudy.losses.scales._base import BufferedScale, Prototypes
from hpstudy.losses.scales._logits import ScaledLogits


class FeatureNormScale(BufferedScale):
    """s_i = ‖x_i‖: modified softmax and SphereFace as published (Liu et al., CVPR 2017).

    The gradient goes through the norm. The value recorded is the mean norm of the last training batch on this rank.
    """

    name = "feature_norm"

    def __init__(self) -> None:
        super().__init__(1.0)

    def forward(self, norm_N: Tensor, prototypes: Prototypes) -> ScaledLogits:
        """‖x_i‖·cos θ."""
        del prototypes
        if self.training:
            self.value.copy_(norm_N.detach().mean())
        return ScaledLogits(s=norm_N[:, None])
