"""What a network sees of an image's bytes."""

import torch
from torch import Tensor


def normalise(images_NCHW: Tensor) -> Tensor:
    """Bytes to floats with mean 0.5 and standard deviation 0.5: black is -1, white is 1."""
    return images_NCHW.to(torch.float32).mul_(2 / 255).sub_(1)
