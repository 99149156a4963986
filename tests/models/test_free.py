"""Points that move freely in place of a network."""

import math

import pytest
import torch
from torch import Tensor

from hpstudy.models import FreeFeatures


def points_of(num_samples: int = 6, embedding_dim: int = 3, seed: int = 0) -> FreeFeatures:
    generator = torch.Generator().manual_seed(seed)
    return FreeFeatures(num_samples=num_samples, embedding_dim=embedding_dim, generator=generator)


def test_a_sample_is_its_own_point_and_nothing_else_is_learned() -> None:
    model = points_of()
    assert [name for name, _ in model.named_parameters()] == ["points"]
    rows = torch.tensor([4, 0, 4])
    assert torch.equal(model(rows), model.points[rows])
    model(rows).sum().backward()
    assert model.points.grad is not None
    assert model.points.grad.sum(1).tolist() == [3.0, 0.0, 0.0, 0.0, 6.0, 0.0]


def test_points_follow_the_generator_and_nothing_else() -> None:
    torch.manual_seed(1)
    first = points_of(seed=7).points
    torch.manual_seed(2)
    assert torch.equal(first, points_of(seed=7).points)
    assert not torch.equal(first, points_of(seed=8).points)


def test_points_begin_with_a_norm_near_one() -> None:
    squares = (points_of(4000, 16).points.detach() ** 2).sum(1)
    assert float(squares.mean()) == pytest.approx(1.0, abs=4 * math.sqrt(2 / 16 / 4000))


def test_every_point_starts_beside_a_prototype_of_its_own() -> None:
    model = points_of()
    before = model.points.detach().clone()
    prototypes = 7.0 * torch.randn(6, 3, generator=torch.Generator().manual_seed(3))
    model.start_at(prototypes)
    torch.testing.assert_close(model.points.detach(), unit(prototypes) + 0.3 * before)
    assert model.points.requires_grad


def test_nearly_every_point_starts_nearer_to_its_own_prototype_than_to_others_in_the_plane() -> None:
    angles = 2 * math.pi * torch.arange(8) / 8
    polygon = torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = torch.arange(8).repeat_interleave(500)
    model = points_of(len(labels), 2)
    model.start_at(polygon[labels])
    nearest = (unit(model.points.detach()) @ polygon.T).argmax(1)
    # Across the prototype the deviation is normal with 0.3/√2, and tan 22.5° away is the border.
    assert float((nearest == labels).float().mean()) > 0.9


def unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=1, keepdim=True)
