"""Capture conditions and the order of batches."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.data import Split, augment, batches, capture
from hpstudy.exceptions import InputError
from hpstudy.pixels import normalise
from hpstudy.spec import AugmentSpec

NOTHING = AugmentSpec(rotation_deg=0, scale=0, translate=0, noise=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(count: int = 16, channels: int = 1, size: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=generator(9))


@pytest.mark.parametrize("channels", [1, 3])
def test_shape_type_and_range(channels: int) -> None:
    images = random_images(channels=channels)
    before = images.clone()
    out = augment(images, AugmentSpec(noise=0.5), generator())
    assert out.shape == images.shape
    assert out.dtype == torch.float32
    assert out.min() == -1
    assert out.max() == 1
    assert torch.equal(images, before)


def test_all_randomness_comes_from_the_generator() -> None:
    images = random_images()
    torch.manual_seed(1)
    first = augment(images, AugmentSpec(), generator(5))
    torch.manual_seed(2)
    assert torch.equal(first, augment(images, AugmentSpec(), generator(5)))
    assert not torch.equal(first, augment(images, AugmentSpec(), generator(6)))
    stream = generator(5)
    augment(images, AugmentSpec(), stream)
    assert not torch.equal(first, augment(images, AugmentSpec(), stream))


@pytest.mark.parametrize("size", [8, 32, 33])
def test_no_conditions_is_normalising(size: int) -> None:
    images = random_images(size=size)
    torch.testing.assert_close(augment(images, NOTHING, generator()), normalise(images), atol=2e-4, rtol=0)


def test_normalise() -> None:
    pixels = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    torch.testing.assert_close(normalise(pixels), torch.tensor([[[[-1.0, -0.6, 1.0]]]]))


def centre_and_spread(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Centre of mass (N, 2), standard deviation along both axes (N, 2) in pixels, orientation (N,) in degrees."""
    weight = (images[:, 0] + 1) / (images[:, 0] + 1).sum((1, 2), keepdim=True)
    axis = torch.arange(images.shape[-1], dtype=torch.float32)
    x, y = (weight.sum(1) * axis).sum(1), (weight.sum(2) * axis).sum(1)
    dx, dy = axis[None, None, :] - x[:, None, None], axis[None, :, None] - y[:, None, None]
    xx, yy, xy = ((weight * product).sum((1, 2)) for product in (dx * dx, dy * dy, dx * dy))
    angle = 0.5 * torch.atan2(2 * xy, xx - yy) * 180 / math.pi
    return torch.stack([x, y], 1), torch.stack([xx.sqrt(), yy.sqrt()], 1), angle


def bars(count: int = 300) -> torch.Tensor:
    """A horizontal bar in the middle of 64 × 64 pixels."""
    images = torch.zeros(count, 1, 64, 64, dtype=torch.uint8)
    images[:, :, 28:36, 16:48] = 255
    return images


def test_rotation_stays_in_its_bounds_and_uses_them() -> None:
    _, _, angle = centre_and_spread(augment(bars(), NOTHING.model_copy(update={"rotation_deg": 20.0}), generator()))
    assert angle.abs().max() < 20.1
    assert angle.min() < -18
    assert angle.max() > 18


def test_scale_stays_in_its_bounds_and_uses_them() -> None:
    _, spread, _ = centre_and_spread(augment(bars(), NOTHING.model_copy(update={"scale": 0.25}), generator()))
    factor = spread[:, 0] / (32 / math.sqrt(12))
    assert factor.min() == pytest.approx(0.75, abs=0.03)
    assert factor.max() == pytest.approx(1.25, abs=0.03)


def test_translation_stays_in_its_bounds_and_uses_them() -> None:
    centre, _, _ = centre_and_spread(augment(bars(), NOTHING.model_copy(update={"translate": 0.1}), generator()))
    shift = (centre - 31.5) / 64
    assert shift.abs().max() < 0.101
    assert (shift.min(0).values < -0.09).all()
    assert (shift.max(0).values > 0.09).all()


def test_what_comes_in_from_outside_is_black() -> None:
    white = torch.full((200, 1, 16, 16), 255, dtype=torch.uint8)
    out = augment(white, NOTHING.model_copy(update={"translate": 0.4}), generator())
    assert out.min() == -1
    assert (out[:, 0, 8, 8] == 1).all()


def test_noise_has_the_given_strength() -> None:
    grey = torch.full((50, 1, 32, 32), 128, dtype=torch.uint8)
    out = augment(grey, NOTHING.model_copy(update={"noise": 0.1}), generator())
    assert float(out.std()) / 2 == pytest.approx(0.1, rel=0.02)  # the full range is 2
    assert float(out.mean()) == pytest.approx(0, abs=0.01)


def test_capture_is_the_same_every_time() -> None:
    images = random_images(1500, size=8)
    split = Split(images=images, labels=torch.zeros(1500, dtype=torch.int64), identity_names=("a",))
    first = capture(split, AugmentSpec(), 7)
    assert first.shape == images.shape
    assert first.dtype == torch.float32
    assert torch.equal(first, capture(split, AugmentSpec(), 7))
    assert not torch.equal(first, capture(split, AugmentSpec(), 8))
    assert not torch.equal(first[0], first[1024])  # every image has a draw of its own, also past the first chunk


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cpu_generator_draws_the_same_for_every_device() -> None:
    images = random_images()
    on_gpu = augment(images.cuda(), AugmentSpec(), generator())
    torch.testing.assert_close(on_gpu.cpu(), augment(images, AugmentSpec(), generator()), atol=1e-4, rtol=0)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(1, 64), st.integers(0, 50), st.integers(0, 2**62))
def test_batches_are_distinct_indices_in_whole_batches(size: int, batch_size: int, epoch: int, seed: int) -> None:
    if batch_size > size:
        with pytest.raises(InputError, match=r"training\.batch_size must be at most"):
            batches(size, batch_size, epoch, seed)
        return
    plan = batches(size, batch_size, epoch, seed)
    assert plan.shape == (size // batch_size, batch_size)
    assert plan.dtype == torch.int64
    assert len(plan.unique()) == plan.numel()
    assert plan.min() >= 0
    assert plan.max() < size
    assert torch.equal(plan, batches(size, batch_size, epoch, seed))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(batches(64, 64, epoch, seed)[0].tolist()) for epoch in range(4) for seed in range(4)}
    assert len(orders) == 16
    dropped = [set(range(10)) - set(batches(10, 4, epoch, 0).flatten().tolist()) for epoch in range(20)]
    assert set().union(*dropped) == set(range(10))
