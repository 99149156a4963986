"""Images through a network, as every trial is judged."""

import torch
from torch import Tensor, nn

from hpstudy.pixels import normalise

EMBED_AT_ONCE = 512
"""Images that are embedded at a time, unless memory is short."""


@torch.no_grad()
def embed(model: nn.Module, images: Tensor, at_once: int = EMBED_AT_ONCE) -> Tensor:
    """Embeddings of images (N, channels, H, W) in evaluation mode, (N, K) float32; bytes are normalised on the way."""
    was_training = model.training
    model.eval()
    embeddings = torch.cat([model(_ready(batch)).float() for batch in torch.split(images, at_once)])
    model.train(was_training)
    return embeddings


def _ready(images: Tensor) -> Tensor:
    floats = normalise(images) if images.dtype == torch.uint8 else images
    return floats.contiguous(memory_format=torch.channels_last)
