"""What a head gives back, and what counts as one. Shapes: N samples, C classes, K embedding dimensions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadOutput:
    """Result of one forward pass of a head."""

    loss: Tensor
    """Mean over the batch, 0-d, float32 or better."""
    statistics: Mapping[str, Tensor]
    """0-d, detached, on the device, keyed by `STATISTICS`."""
    cosines: Tensor
    """cos θ_j without margin or scale, (N, C), detached."""
    compute_logits: Callable[[], Tensor]
    """Builds the logits; called only if somebody asks for them."""

    @property
    def logits(self) -> Tensor:
        """(N, C) with the margin in the target and the scale applied; `cross_entropy(logits, labels)` is the loss.

        Built anew at each access and part of the same graph as the loss.
        """
        return self.compute_logits()


class Head(Protocol):
    """The last layer with its loss: any `nn.Module` with this forward."""

    def forward(self, embeddings: Tensor, labels: Tensor) -> HeadOutput:
        """Loss of a batch: embeddings (N, K) of any norm and any floating type, labels (N,) int64."""
        ...
