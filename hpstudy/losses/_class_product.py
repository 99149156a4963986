"""Cosines of a batch with the prototypes, a block of classes at a time.

Shapes: N samples, C classes, K embedding dimensions, B classes of a block.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hpstudy.exceptions import InputError
from hpstudy.losses._cosines import inverse_norms

_BLOCK_ELEMENTS = {"cpu": 2**19, "cuda": 2**24}
"""N·B of a block where all cosines are kept: what stays in a cache (CPU), what fills the device (CUDA)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Some classes, side by side."""

    classes: slice
    cos_NB: Tensor
    """cos θ_j, without gradient."""
    stored_BK: Tensor
    """Prototypes as they are stored, not normalised."""
    inverse_norm_B: Tensor
    """1/‖W_j‖."""
    is_own_N: Tensor | None
    """Whether the sample's target is in the block; None where all are."""
    column_N: Tensor
    """Its column, anything where it is not."""

    @property
    def weight_BK(self) -> Tensor:
        """Prototypes in the type of the cosines, not normalised."""
        return self.stored_BK.to(self.cos_NB.dtype)

    def put_targets_(self, values_NB: Tensor, at_targets: Tensor | float) -> Tensor:
        """Overwrite the target entries, by a number or by one number a sample, (N,); no device synchronisation."""
        column_N1 = self.column_N[:, None]
        if self.is_own_N is not None:
            at_targets = torch.where(self.is_own_N, at_targets, values_NB.gather(1, column_N1).squeeze(1))
        if isinstance(at_targets, Tensor):
            return values_NB.scatter_(1, column_N1, at_targets[:, None])
        return values_NB.scatter_(1, column_N1, at_targets)


class ClassProduct:
    """The N×C cosines, as blocks that are either kept or computed anew at every pass.

    Args:
        unit_NK: Directions of the embeddings, without gradient.
        weight_CK: Prototypes of any norm and floating type, without gradient.
        label_N: y, int64, as row of `weight_CK`; a sample whose prototype is elsewhere has a label outside [0, C).
        classes_at_once: B. None keeps all cosines: one N×C buffer, each cosine computed once. A number keeps none:
            never more than N×B of them exist, and each pass computes them again.
    """

    def __init__(self, unit_NK: Tensor, weight_CK: Tensor, label_N: Tensor, *, classes_at_once: int | None) -> None:
        self.unit_NK = unit_NK
        self.weight_CK = weight_CK
        self.label_N = label_N
        self.num_classes = len(weight_CK)
        elements = _BLOCK_ELEMENTS.get(unit_NK.device.type, _BLOCK_ELEMENTS["cuda"])
        self.width = classes_at_once or max(64, elements // len(unit_NK))
        self._all_here = self.width >= self.num_classes and _known_within(label_N, self.num_classes)
        self._kept: list[Block] | None = [] if classes_at_once is None else None
        self._version = None if weight_CK.is_inference() else weight_CK._version

    def blocks(self) -> Iterator[Block]:
        """All classes in order.

        Raises:
            InputError: If cosines have to be computed again and the prototypes have changed since.
        """
        if self._kept is None:
            self.check_unmoved()
        for index, start in enumerate(range(0, self.num_classes, self.width)):
            if self._kept is None:
                yield self._block(start)
                continue
            if index == len(self._kept):
                self._kept.append(self._block(start))
            yield self._kept[index]

    def check_unmoved(self) -> None:
        """Refuse to compute from prototypes that an optimiser has moved since the forward pass.

        Raises:
            InputError: If they have changed.
        """
        if self._version is not None and self.weight_CK._version != self._version:
            raise InputError(
                "the prototypes have changed since the forward pass: ask for logits, and with classes_at_once for "
                "cosines, before the optimiser's step"
            )

    def _block(self, start: int) -> Block:
        classes = slice(start, min(start + self.width, self.num_classes))
        stored_BK = self.weight_CK[classes]
        weight_BK = stored_BK.to(self.unit_NK.dtype)
        inverse_norm_B = inverse_norms(torch.linalg.vector_norm(weight_BK, dim=1))
        column_N, is_own_N = self.label_N, None
        if not self._all_here:
            column_N = self.label_N - start
            is_own_N = (column_N >= 0) & (column_N < len(stored_BK))
            column_N = column_N.clamp(0, len(stored_BK) - 1)
        return Block(
            classes=classes,
            cos_NB=(self.unit_NK @ weight_BK.T).mul_(inverse_norm_B),
            stored_BK=stored_BK,
            inverse_norm_B=inverse_norm_B,
            is_own_N=is_own_N,
            column_N=column_N,
        )

    def cosine_blocks(self) -> Iterator[Tensor]:
        """cos θ_j in blocks (N, B) of classes in order, without gradient."""
        for block in self.blocks():
            yield block.cos_NB

    def target_cosines(self) -> Tensor:
        """cos θ_y, (N,); 0 where the target is elsewhere."""
        own_NK = self.weight_CK[self.label_N.clamp(0, self.num_classes - 1)].to(self.unit_NK.dtype)
        inverse_N = inverse_norms(torch.linalg.vector_norm(own_NK, dim=1))
        cos_N = (self.unit_NK * own_NK).sum(1) * inverse_N
        if self._all_here:
            return cos_N
        is_own_N = (self.label_N >= 0) & (self.label_N < self.num_classes)
        return torch.where(is_own_N, cos_N, 0.0)


def _known_within(label_N: Tensor, num_classes: int) -> bool:
    """Whether all labels are in [0, C); looked at on the CPU only, as elsewhere it would synchronise."""
    if label_N.device.type != "cpu":
        return False
    lowest, highest = label_N.aminmax()
    return bool(lowest >= 0) and bool(highest < num_classes)
