"""What a margin is. Shapes: N samples, C classes, B classes of a block."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from hpstudy.losses._cosines import Targets
from hpstudy.losses._full_precision import FullPrecision


class Margin(FullPrecision, ABC):
    """Turns the cosines of a batch into the logits divided by s.

    A margin works in float32 or better and must not synchronise with the device. One that learns or keeps a statistic
    holds it as a parameter or a buffer of its own, which only `step` writes. It stays float32 when the module is cast,
    because an average moved by one part in a thousand a step does not move at all in bfloat16.
    """

    name: ClassVar[str]
    """Name of its row in the catalogue; empty for a margin from outside."""
    adaptive: ClassVar[bool] = False
    """Whether `step` does anything."""
    moves_nontargets: ClassVar[bool] = False
    """Whether `nontarget` is anything but the identity."""

    @classmethod
    def for_classes(cls, num_classes: int, **params: Any) -> Self:
        """The margin of a head with `num_classes` classes; a margin that needs the number overrides this."""
        del num_classes
        return cls(**params)

    def step(self, targets: Targets) -> None:
        """Move the state by one training step, before the margin is applied; called in training mode only.

        Args:
            targets: The samples of the global batch, without gradient.
        """
        del targets

    @abstractmethod
    def forward(self, targets: Targets) -> Tensor:
        """ψ: the target logits divided by s, (N,)."""

    def nontarget(self, targets: Targets) -> Callable[[Tensor], Tensor]:
        """What becomes of the samples' other cosines.

        Args:
            targets: The same samples, without gradient.

        Returns:
            A function of cos θ_j, (N, B), with gradient, to the logits divided by s; elementwise, and of the state as
            it is now: the backward pass calls it again, perhaps after later steps.
        """
        del targets
        return _unchanged

    def penalty(self, targets: Targets) -> Tensor | None:
        """A term of the loss that belongs to the margin, 0-d; None for most."""
        del targets
        return None

    @torch.no_grad()
    def satisfied(self, cos_target: Tensor, cos_hardest: Tensor, norm: Tensor) -> Tensor:
        """Whether the margined target still wins, as a bool mask; for CosFace m ≤ cos θ_y − max_{j≠y} cos θ_j.

        Args:
            cos_target: cos θ_y, (N,).
            cos_hardest: max_{j≠y} cos θ_j, (N,).
            norm: ‖x‖ of the embeddings, (N,).
        """
        targets = Targets(cos_N=cos_target, norm_N=norm)
        return self(targets) >= self.nontarget(targets)(cos_hardest[:, None]).squeeze(1)


class TargetMargin(Margin):
    """A margin that changes the target cosine only, by a function ψ of it alone."""

    @abstractmethod
    def target(self, cos: Tensor) -> Tensor:
        """ψ(cos θ_y), elementwise; finite, with a finite gradient, for cos within rounding of [−1, 1]."""

    def forward(self, targets: Targets) -> Tensor:
        """ψ of the targets."""
        return self.target(targets.cos_N)


def _unchanged(cos_NB: Tensor) -> Tensor:
    return cos_NB
