"""Batches whose geometry is known. Shapes: N samples, C classes, K embedding dimensions."""

import torch
from torch import Tensor


def random_batch(
    *, num_samples: int, num_classes: int, embedding_dim: int, seed: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Normal embeddings (N, K) and uniform labels (N,)."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(num_samples, embedding_dim, generator=generator)
    labels = torch.randint(num_classes, (num_samples,), generator=generator)
    return embeddings.to(dtype), labels


def batch_with_cosines(cos_NC: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings (N, C+1) and prototypes (C, C+1) whose cosines are exactly the given ones.

    The prototypes are orthogonal and an extra dimension takes what is missing to norm 1, so each row of `cos_NC` must
    have at most norm 1.
    """
    num_samples, num_classes = cos_NC.shape
    rest_N = (1.0 - cos_NC.square().sum(1)).clamp_min(0.0).sqrt()
    embeddings = torch.cat([cos_NC, rest_N[:, None]], dim=1)
    assert embeddings.shape == (num_samples, num_classes + 1)
    return embeddings, torch.eye(num_classes, num_classes + 1, dtype=cos_NC.dtype)


def batch_at_angles(theta_N: Tensor, prototypes_CK: Tensor, labels_N: Tensor, *, seed: int = 0) -> Tensor:
    """Unit embeddings (N, K) at the given angles (radians) from their prototypes, in random directions around them."""
    generator = torch.Generator().manual_seed(seed)
    own_NK = torch.nn.functional.normalize(prototypes_CK[labels_N])
    sideways_NK = torch.randn(own_NK.shape, generator=generator, dtype=own_NK.dtype)
    sideways_NK = sideways_NK - (sideways_NK * own_NK).sum(1, keepdim=True) * own_NK
    sideways_NK = torch.nn.functional.normalize(sideways_NK)
    return theta_N.cos()[:, None] * own_NK + theta_N.sin()[:, None] * sideways_NK
