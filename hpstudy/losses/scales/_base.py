"""What a scale is. Shapes: N samples, C classes, K embedding dimensions."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from hpstudy.losses._full_precision import FullPrecision
from hpstudy.losses._parallel import Parallel
from hpstudy.losses.scales._logits import ScaledLogits


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetStatistics:
    """What the global batch says to an adaptive scale, one entry a sample and without gradient.

    Every rule is a function of these vectors, so over several ranks the vectors are gathered and the rule stays as it
    is; a median of per-rank medians would be another rule.
    """

    theta_target_N: Tensor
    """θ_y in radians, in [0, π]."""
    log_b_N: Tensor
    """log B_i = log Σ_{j≠y} e^{s cos θ_j} at the scale before this step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prototypes:
    """What a scale may ask of the head."""

    weight_CK: Tensor
    """Those of this rank, with gradient."""
    label_N: Tensor
    """y as their row; outside [0, C) where the target's prototype is on another rank."""
    parallel: Parallel

    def at_targets(self, per_class_C: Tensor) -> Tensor:
        """The entry of each sample's target, (N,), from whichever rank has it."""
        is_own_N = (self.label_N >= 0) & (self.label_N < len(per_class_C))
        own_N = per_class_C[self.label_N.clamp(0, len(per_class_C) - 1)]
        return self.parallel.of_owners(torch.where(is_own_N, own_N, 0.0))


class Scale(FullPrecision, ABC):
    """Makes logits of cosines, and holds the rule that changes s. What it holds stays float32 when the head is cast."""

    name: ClassVar[str]
    """Name of its row in the catalogue; empty for a scale from outside."""
    adaptive: ClassVar[bool] = False
    """Whether `step` changes s; a scale that is not is never stepped, which saves the head a pass over the classes."""
    value: Tensor
    """Current s, 0-d, dimensionless, float32."""

    @classmethod
    def for_classes(cls, num_classes: int, num_here: int, **params: Any) -> Self:
        """The scale of a head with `num_classes` classes; a scale that needs a number of classes overrides this.

        Args:
            num_classes: C.
            num_here: How many of them have their prototypes on this rank.
            params: Parameters and options.
        """
        del num_classes, num_here
        return cls(**params)

    @abstractmethod
    def forward(self, norm_N: Tensor, prototypes: Prototypes) -> ScaledLogits:
        """The logits' scale for a batch, in the type of the norms.

        Args:
            norm_N: ‖x‖ of the embeddings, with gradient.
            prototypes: Those of the head.
        """

    def step(self, batch: TargetStatistics) -> None:
        """Move s by one training step; called in training mode only, under `no_grad`."""
        del batch


class BufferedScale(Scale):
    """One s for all samples, in a float32 buffer that is in `state_dict`."""

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(initial, dtype=torch.float32))

    def forward(self, norm_N: Tensor, prototypes: Prototypes) -> ScaledLogits:
        """s·cos θ; a copy of s, because the buffer changes before a late backward."""
        del prototypes
        return ScaledLogits(s=self.value.to(norm_N.dtype, copy=True))

    def extra_repr(self) -> str:
        """The current value."""
        return "" if self.value.is_meta else f"value={self.value.item():g}"
