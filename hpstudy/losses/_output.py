"""What a head gives back, and what counts as one. Shapes: N samples, C classes, B classes of a block."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadOutput:
    """Result of one forward pass of a head."""

    loss: Tensor
    """Mean over the batch, 0-d, float32 or better."""
    statistics: Mapping[str, Tensor]
    """0-d, detached, on the device, keyed by `STATISTICS`."""
    cosine_blocks: Callable[[], Iterable[Tensor]]
    """Gives cos θ_j without margin or scale, detached, in blocks (N, B) of classes in order."""
    compute_logits: Callable[[], Tensor]
    """Builds the logits; called only if somebody asks for them."""
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    """What the loss is the sum of, weights included, 0-d and detached; a loss from outside may leave it empty."""

    @property
    def cosines(self) -> Tensor:
        """cos θ_j without margin or scale, (N, C), detached; built anew at each access."""
        return torch.cat(list(self.cosine_blocks()), dim=1)

    @property
    def logits(self) -> Tensor:
        """(N, C) with the margin and the scale applied; their cross-entropy is the softmax term of the loss.

        Built anew at each access and part of the same graph as the loss.
        """
        return self.compute_logits()


class Head(Protocol):
    """The last layer with its loss: any `nn.Module` with this forward."""

    def forward(self, embeddings: Tensor, labels: Tensor) -> HeadOutput:
        """Loss of a batch: embeddings (N, K) of any norm and any floating type, labels (N,) int64."""
        ...
