"""Cosines of a batch with the prototypes. Shapes: N samples, C classes, K embedding dimensions."""

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST_NORM = 1e-12
"""A vector shorter than this has no direction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cosines:
    """What a margin sees of a batch; carries the gradient."""

    all_NC: Tensor
    """cos θ_j of every class."""
    target_N: Tensor
    """cos θ_y."""
    labels_N: Tensor
    """y, int64."""


def unit_rows(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Rows divided by their norms, and the norms.

    A row shorter than `SMALLEST_NORM` becomes 0 with gradient 0. Dividing by a floor instead would hand it a gradient
    of 1/floor, which overflows in half precision and throws the network away in any.

    Args:
        vectors: (M, K).

    Returns:
        Unit rows (M, K) and norms (M, 1).
    """
    norms = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors * ((norms > SMALLEST_NORM) / norms.clamp_min(SMALLEST_NORM)), norms


def at_least_float32(tensor: Tensor) -> Tensor:
    """Half precision to float32; float32 and float64 as they are."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def batch_cosines(embeddings: Tensor, weight: Tensor, labels: Tensor) -> Cosines:
    """Cosines of embeddings (N, K) with prototypes (C, K) in the wider of their types, at least float32.

    Call it with autocast off.
    """
    dtype = torch.promote_types(torch.promote_types(embeddings.dtype, weight.dtype), torch.float32)
    all_NC = unit_rows(embeddings.to(dtype))[0] @ unit_rows(weight.to(dtype))[0].T
    return Cosines(all_NC=all_NC, target_N=all_NC.gather(1, labels[:, None]).squeeze(1), labels_N=labels)
