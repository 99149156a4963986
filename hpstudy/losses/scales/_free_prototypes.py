"""Scales under which prototypes keep their norms. Shapes: N samples, C classes."""

from abc import abstractmethod
from typing import Any, Self

import torch
from torch import Tensor, nn

from hpstudy.catalog import SCALES
from hpstudy.losses.scales._base import BufferedScale, Prototypes
from hpstudy.losses.scales._logits import AffineLogits


class FreePrototypesScale(BufferedScale):
    """s_ij = a_i·‖W_j‖ and a bias b_j, with a_i the norm that a feature has or is given.

    The value recorded is the mean of a times the mean of ‖W_j‖ in the last training batch on this rank: what the
    cosines are multiplied with on average.

    Args:
        num_here: Number of classes on this rank, for the biases, which start at 0.
        biases: The catalogue's option: `learned`, or `none`, which leaves them at 0.

    Raises:
        InputError: If there is no such option.
    """

    bias: Tensor

    def __init__(self, *, num_here: int, biases: str = "learned") -> None:
        super().__init__(1.0)
        self.biases = SCALES["softmax"].options["biases"].check(biases)
        at_zero = torch.zeros(num_here)
        if self.biases == "none":
            self.register_buffer("bias", at_zero)
        else:
            self.bias = nn.Parameter(at_zero)

    @classmethod
    def for_classes(cls, num_classes: int, num_here: int, **params: Any) -> Self:
        """The scale for C classes."""
        del num_classes
        return cls(num_here=num_here, **params)

    @abstractmethod
    def feature_scale(self, norm_N: Tensor) -> Tensor:
        """a: 0-d, or (N, 1)."""

    def forward(self, norm_N: Tensor, prototypes: Prototypes) -> AffineLogits:
        """a_i·‖W_j‖·cos θ_ij + b_j."""
        s = self.feature_scale(norm_N)
        gain_C = torch.linalg.vector_norm(prototypes.weight_CK.to(norm_N.dtype), dim=1)
        bias_C = self.bias.to(norm_N.dtype)
        if self.training:
            self.value.copy_(s.detach().mean() * gain_C.detach().mean())
        return AffineLogits(
            s=s,
            gain_C=gain_C,
            bias_C=bias_C,
            gain_target_N=prototypes.at_targets(gain_C),
            bias_target_N=prototypes.at_targets(bias_C),
        )


class SoftmaxScale(FreePrototypesScale):
    """a_i = ‖x_i‖, so that the logits are W_j·x_i + b_j: the softmax that everybody starts from.

    Args:
        num_here: Number of classes on this rank.
        biases: `learned`, or `none` for logits W_j·x_i.
    """

    name = "softmax"

    def feature_scale(self, norm_N: Tensor) -> Tensor:
        """‖x‖."""
        return norm_N[:, None]


class L2SoftmaxScale(FreePrototypesScale):
    """a = α, so that the logits are W_j·(α·x_i/‖x_i‖) + b_j; L2-constrained softmax (Ranjan et al., arXiv:1703.09507).

    Args:
        num_here: Number of classes on this rank.
        alpha: α, the norm that every feature is given; `theory.l2softmax_scale_bound` is its lower bound.

    Raises:
        InputError: If α is outside the catalogue's hard range.
    """

    name = "l2_softmax"

    def __init__(self, *, num_here: int, alpha: float) -> None:
        super().__init__(num_here=num_here)
        self.alpha = SCALES[self.name].parameters["alpha"].check(alpha)

    def feature_scale(self, norm_N: Tensor) -> Tensor:
        """α."""
        return norm_N.new_tensor(self.alpha)

    def extra_repr(self) -> str:
        """α."""
        return f"alpha={self.alpha:g}"
