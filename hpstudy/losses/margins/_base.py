"""What a margin is. Shapes: N samples, C classes."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from hpstudy.losses._cosines import Cosines


class Margin(nn.Module, ABC):
    """Turns the cosines of a batch into the logits divided by s.

    A margin is called once a step with gradients on, in float32 or better, and must not synchronise with the device.
    A margin that learns or keeps a statistic holds it as a parameter or a buffer of its own.
    """

    name: ClassVar[str]
    """Name of its row in the catalogue; empty for a margin from outside."""

    @classmethod
    def for_classes(cls, num_classes: int, **params: Any) -> Self:
        """The margin of a head with `num_classes` classes; a margin that needs the number overrides this."""
        del num_classes
        return cls(**params)

    @abstractmethod
    def forward(self, cosines: Cosines) -> tuple[Tensor, Tensor]:
        """Apply the margin.

        Returns:
            The target logits divided by s, (N,), and the logits of all classes divided by s, (N, C), whose target
            entries are ignored. A margin that leaves non-targets alone gives back `cosines.all_NC` itself, which
            saves the head a second pass over the buffer.
        """

    @abstractmethod
    def satisfied(self, cos_target: Tensor, cos_hardest_nontarget: Tensor) -> Tensor:
        """Whether the margined target still wins, as a bool mask of the inputs' shape.

        Args:
            cos_target: cos θ_y, any shape.
            cos_hardest_nontarget: max_{j≠y} cos θ_j, same shape.
        """


class TargetMargin(Margin):
    """A margin that changes the target cosine only, by a function ψ of it alone."""

    @abstractmethod
    def target(self, cos: Tensor) -> Tensor:
        """ψ(cos θ_y), elementwise; finite, with a finite gradient, for cos within rounding of [−1, 1]."""

    def forward(self, cosines: Cosines) -> tuple[Tensor, Tensor]:
        """ψ of the targets, and the other cosines untouched."""
        return self.target(cosines.target_N), cosines.all_NC

    @torch.no_grad()
    def satisfied(self, cos_target: Tensor, cos_hardest_nontarget: Tensor) -> Tensor:
        """ψ(cos θ_y) ≥ max_{j≠y} cos θ_j; for CosFace this is m ≤ cos θ_y − max_{j≠y} cos θ_j."""
        return self.target(cos_target) >= cos_hardest_nontarget
