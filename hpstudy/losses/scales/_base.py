"""What a scale is. Shapes: N samples."""

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetStatistics:
    """What a batch says to an adaptive scale, one entry a sample and without gradient.

    Every rule is a function of these vectors, so under data parallelism the vectors of all ranks are gathered and the
    rule stays as it is; a median of per-rank medians would be another rule. Under class sharding `log_b_N` is the
    logarithm of a sum over shards.
    """

    theta_target_N: Tensor
    """θ_y in radians, in [0, π]."""
    log_b_N: Tensor
    """log B_i = log Σ_{j≠y} e^{s cos θ_j} at the scale before this step."""


class Scale(nn.Module, ABC):
    """Holds s and the rule that changes it.

    The value is a float32 buffer: it is in `state_dict`, moves with the module, and stays float32 when the module is
    cast, because a scale of 31.2 is 31.25 in bfloat16 and a recursion would drift. Only `step` writes it.
    """

    name: ClassVar[str]
    """Name of its row in the catalogue; empty for a scale from outside."""
    adaptive: ClassVar[bool] = False
    """Whether `step` changes the value; a scale that is not is never stepped, which saves the head a pass."""
    value: Tensor
    """Current s, 0-d, dimensionless."""

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(initial, dtype=torch.float32))

    @classmethod
    def for_classes(cls, num_classes: int, **params: Any) -> Self:
        """The scale of a head with `num_classes` classes; a scale that needs the number overrides this."""
        del num_classes
        return cls(**params)

    def step(self, batch: TargetStatistics) -> Tensor:
        """Move the value by one training step and give it back; called in training mode only, under `no_grad`."""
        del batch
        return self.value

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = self.value
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.value.dtype != before.dtype:
            self.value = before.to(self.value.device)
        return self

    def extra_repr(self) -> str:
        """The current value."""
        return "" if self.value.is_meta else f"value={self.value.item():g}"
