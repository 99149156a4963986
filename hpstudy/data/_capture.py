"""Capture conditions: what a camera or a scan does to a clean picture, drawn at random and applied to a whole batch.

Shapes: N images, C channels, H × W pixels.
"""

import torch
from torch import Tensor
from torch.nn import functional

from hpstudy.data._dataset import Split
from hpstudy.spec import AugmentSpec

_CAPTURED_AT_ONCE = 1024


def augment(images_NCHW: Tensor, conditions: AugmentSpec, generator: torch.Generator) -> Tensor:
    """Rotates, scales and shifts each image at random, adds Gaussian noise, and normalises.

    Everything is drawn from the generator on the generator's device and then moved: a CPU generator gives the same
    draws whatever device the images are on. What comes in from outside an image is black, its background; values stay
    between black and white, as in a sensor.

    Args:
        images_NCHW: uint8, square, on any device.
        conditions: How strong; rotation, scale factor and shift are each uniform within its bound.
        generator: Advanced by the same amount for every batch of one shape.

    Returns:
        (N, C, H, W) float32 in [-1, 1] (see `hpstudy.pixels.normalise`) on the device of the images.
    """
    count, channels, height, width = images_NCHW.shape
    device = images_NCHW.device
    draws_4N = torch.rand((4, count), generator=generator, device=generator.device).mul_(2).sub_(1)
    noise = torch.randn((count, channels, height, width), generator=generator, device=generator.device)
    grid = _grid(draws_4N.to(device), conditions, height, width)
    # Sampled as 0 to 255, so that grid_sample's zero padding is black.
    sampled = functional.grid_sample(images_NCHW.to(torch.float32), grid, padding_mode="zeros", align_corners=False)
    sampled.mul_(2 / 255).sub_(1).add_(noise.to(device), alpha=2 * conditions.noise)
    return sampled.clamp_(-1, 1)


def _grid(draws_4N: Tensor, conditions: AugmentSpec, height: int, width: int) -> Tensor:
    """(N, H, W, 2): where each output pixel is read, x before y, the image spanning -1 to 1.

    The inverse of: rotate, scale, then shift. Written out along the two axes, because `functional.affine_grid` takes
    three times as long on the CPU; one plane each for x and y, because grid_sample reads them faster so.
    """
    angle = draws_4N[0] * (conditions.rotation_deg * torch.pi / 180)
    factor = 1 + conditions.scale * draws_4N[1]
    cos, sin = (angle.cos() / factor)[:, None], (angle.sin() / factor)[:, None]
    shift_x, shift_y = (2 * conditions.translate * draws_4N[2:])[:, :, None]
    x_NW = _pixel_centres(width, draws_4N.device) - shift_x
    y_NH = _pixel_centres(height, draws_4N.device) - shift_y
    grid_N2HW = draws_4N.new_empty((len(cos), 2, height, width))
    torch.add((cos * x_NW)[:, None, :], (sin * y_NH)[:, :, None], out=grid_N2HW[:, 0])
    torch.sub((cos * y_NH)[:, :, None], (sin * x_NW)[:, None, :], out=grid_N2HW[:, 1])
    return grid_N2HW.permute(0, 2, 3, 1)


def _pixel_centres(count: int, device: torch.device) -> Tensor:
    return (2 * torch.arange(count, device=device, dtype=torch.float32) + 1) / count - 1


def capture(split: Split, conditions: AugmentSpec, seed: int) -> Tensor:
    """The split's images under capture conditions drawn once from a seed: the same pictures at every call.

    Returns:
        (N, C, H, W) float32 in [-1, 1], on the device of the images.
    """
    generator = torch.Generator().manual_seed(seed)
    captured = torch.empty(split.images.shape, dtype=torch.float32, device=split.images.device)
    for start in range(0, len(captured), _CAPTURED_AT_ONCE):
        rows = slice(start, start + _CAPTURED_AT_ONCE)
        captured[rows] = augment(split.images[rows], conditions, generator)
    return captured
