"""Directions, norms and cosines. Shapes: N samples, C classes, K embedding dimensions, M rows of either."""

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST_NORM = 1e-12
"""A vector shorter than this has no direction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """What a margin and a scale see of the samples themselves."""

    cos_N: Tensor
    """cos θ_y."""
    norm_N: Tensor
    """‖x‖ of the embeddings before they were normalised."""

    def detached(self) -> "Targets":
        """The same without gradient."""
        return Targets(cos_N=self.cos_N.detach(), norm_N=self.norm_N.detach())


def unit_rows(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Rows divided by their norms, and the norms.

    A row shorter than `SMALLEST_NORM` becomes 0 with gradient 0. Dividing by a floor instead would hand it a gradient
    of 1/floor, which overflows in half precision and throws the network away in any.

    Args:
        vectors: (M, K).

    Returns:
        Unit rows (M, K) and norms (M,).
    """
    norms = torch.linalg.vector_norm(vectors, dim=1)
    return vectors * inverse_norms(norms)[:, None], norms


def inverse_norms(norms: Tensor) -> Tensor:
    """1/norm; 0 for a vector without direction, NaN for one whose norm overflows (∞·0), which must not pass for it."""
    return (norms > SMALLEST_NORM) / norms.clamp_min(SMALLEST_NORM) + norms * 0.0


def common_dtype(*tensors: Tensor) -> torch.dtype:
    """The widest type among the tensors, at least float32."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def batch_cosines(embeddings: Tensor, weight: Tensor) -> Tensor:
    """cos θ_j of embeddings (N, K) with all prototypes (C, K), (N, C), in their wider type, at least float32.

    Differentiable, and as large as it looks; heads go block by block instead. Call it with autocast off.
    """
    dtype = common_dtype(embeddings, weight)
    return unit_rows(embeddings.to(dtype))[0] @ unit_rows(weight.to(dtype))[0].T
