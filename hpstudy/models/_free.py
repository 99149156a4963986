"""Embeddings that are parameters themselves: the unconstrained-feature model."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SPREAD = 0.3


class FreeFeatures(nn.Module):
    """A point of its own for every sample, in place of a network.

    What a head trained on such points comes to is a matter of the loss and the geometry alone: no network stands
    between a sample and where the loss wants it (the unconstrained-feature model of the neural-collapse literature).

    Args:
        num_samples: N.
        embedding_dim: K.
        generator: Source of the initial points, which are normal with variance 1/K in every coordinate until
            `start_at` places them.
    """

    def __init__(self, *, num_samples: int, embedding_dim: int, generator: torch.Generator) -> None:
        super().__init__()
        points = torch.randn(num_samples, embedding_dim, generator=generator)
        self.points = nn.Parameter(points * embedding_dim**-0.5)

    @torch.no_grad()
    def start_at(self, prototypes: Tensor) -> None:
        """Moves every point near a unit prototype of its own, (N, K), with its initial place as the deviation.

        From anywhere else a point can be cut off from its prototype by those of other classes (in the plane nothing
        passes), and what is then seen is where the optimiser was stuck, not what the geometry allows.
        """
        self.points.mul_(_SPREAD).add_(F.normalize(prototypes).to(self.points))

    def forward(self, index: Tensor) -> Tensor:
        """The points of some samples: (B,) int64 to (B, K)."""
        return self.points[index]
