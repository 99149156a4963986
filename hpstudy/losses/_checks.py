"""What a head refuses."""

import torch
from torch import Tensor

from hpstudy.exceptions import InputError


def check_size(num_classes: int, embedding_dim: int, classes_at_once: int | None = None) -> None:
    """Refuse a head without a choice or without a space.

    Raises:
        InputError: If C < 2, K < 1 or `classes_at_once` < 1.
    """
    if num_classes < 2:
        raise InputError(
            f"num_classes must be at least 2, but got {num_classes}: one class leaves nothing to tell apart"
        )
    if embedding_dim < 1:
        raise InputError(f"embedding_dim must be at least 1, but got {embedding_dim}")
    if classes_at_once is not None and classes_at_once < 1:
        raise InputError(f"classes_at_once must be at least 1, or None to keep all cosines, but got {classes_at_once}")


def check_batch(embeddings: Tensor, labels: Tensor, *, num_classes: int, embedding_dim: int) -> None:
    """Refuse a batch that does not fit the head; label values are looked at on the CPU only.

    Raises:
        InputError: If a shape, a type or a label does not fit.
    """
    if embeddings.ndim != 2 or embeddings.shape[1] != embedding_dim or not len(embeddings):
        raise InputError(f"embeddings must have shape (N, {embedding_dim}), N ≥ 1, but got {tuple(embeddings.shape)}")
    if not embeddings.is_floating_point():
        raise InputError(f"embeddings must be of a floating type, but got {embeddings.dtype}")
    if labels.shape != embeddings.shape[:1]:
        raise InputError(
            f"labels must have shape ({len(embeddings)},) like the embeddings, but got {tuple(labels.shape)}"
        )
    if labels.dtype != torch.int64:
        raise InputError(f"labels must be int64, but got {labels.dtype}; convert with labels.long()")
    if labels.device.type == "cpu":
        lowest, highest = (int(bound) for bound in labels.aminmax())
        if lowest < 0 or highest >= num_classes:
            raise InputError(f"labels must lie in [0, {num_classes}), but got values from {lowest} to {highest}")
