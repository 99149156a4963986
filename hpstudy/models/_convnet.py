"""A small convolutional network for 32×32 images."""

import torch
from torch import Tensor, nn

_DEPTH = 4
_POOLED = 3


class ConvNet(nn.Module):
    """Four 3×3 convolutions of widths w, 2w, 4w, 4w, each with batch norm and PReLU, then a linear embedding.

    The first three are 2×2 max-pooled before that, so a 32×32 image leaves 4w maps of 4×4. The embedding is
    batch-normalised and not length-normalised: the head does that.

    Args:
        channels: Channels of the image.
        image_size: Side of the square image in pixels, a multiple of 8.
        width: w.
        embedding_dim: K.

    Raises:
        ValueError: the image can't be halved three times.
    """

    def __init__(self, *, channels: int, image_size: int, width: int, embedding_dim: int) -> None:
        super().__init__()
        if image_size % 2**_POOLED:
            raise ValueError(f"image_size must be a multiple of {2**_POOLED} for convnet, but got {image_size}")
        widths = [channels, width, 2 * width, 4 * width, 4 * width]
        blocks: list[nn.Module] = []
        for index in range(_DEPTH):
            blocks.append(nn.Conv2d(widths[index], widths[index + 1], 3, padding=1, bias=False))
            if index < _POOLED:
                # Straight after the convolution: batch norm and PReLU have a quarter of the pixels left to do.
                blocks.append(nn.MaxPool2d(2))
            blocks += [nn.BatchNorm2d(widths[index + 1]), nn.PReLU(widths[index + 1])]
        self.features = nn.Sequential(*blocks)
        side = image_size // 2**_POOLED
        self.embedding = nn.Sequential(
            nn.Flatten(), nn.Linear(widths[-1] * side * side, embedding_dim, bias=False), nn.BatchNorm1d(embedding_dim)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Embeds images: (N, channels, H, W) float to (N, K)."""
        embeddings: Tensor = self.embedding(self.features(images))
        return embeddings


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Draws the weights of every convolution and linear layer anew (Kaiming, fan-in) from `generator`."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
