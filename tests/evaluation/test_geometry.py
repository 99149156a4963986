"""Geometry of prototypes where it is known, and against a reference that holds every cosine."""

import math
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hpstudy.evaluation import prototype_geometry
from hpstudy.exceptions import InputError
from hpstudy.losses.margins import AdditiveCosineMargin

KEYS = {
    "class_centre_posterior_min",
    "class_centre_posterior_mean",
    "feature_centre_posterior_min",
    "feature_centre_posterior_mean",
    "class_centre_log_odds_min",
    "feature_centre_log_odds_min",
    "max_prototype_cosine",
    "max_centre_cosine",
    "merged_pairs",
    "train_accuracy",
    "margin_satisfied_fraction",
    "prototype_centre_angle_mean",
    "final_s",
}


def polygon(num_classes: int) -> torch.Tensor:
    angle = torch.arange(num_classes, dtype=torch.float64) * (2 * math.pi / num_classes)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def random_case(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(11, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 9, (50,), generator=generator)  # classes 9 and 10 have no embedding
    return weight, weight[labels] + torch.randn(50, 4, generator=generator, dtype=torch.float64), labels


@pytest.mark.parametrize("num_classes", [3, 10, 85])
def test_simplex_attains_cosfaces_scale_bound(num_classes: int) -> None:
    """At s = (C−1)/C·ln((C−1)·P/(1−P)) the posterior of every class centre is P (eq. 6 with equality)."""
    weight = torch.eye(num_classes, dtype=torch.float64) - 1.0 / num_classes
    s = (num_classes - 1) / num_classes * math.log((num_classes - 1) * 9.0)
    geometry = prototype_geometry(5 * weight, s, weight, torch.arange(num_classes), 1.0)
    assert set(geometry) == KEYS
    for key in ("class_centre_posterior_min", "class_centre_posterior_mean", "feature_centre_posterior_min"):
        assert geometry[key] == pytest.approx(0.9, abs=1e-9)
    assert geometry["max_prototype_cosine"] == pytest.approx(-1.0 / (num_classes - 1), abs=1e-9)
    assert geometry["prototype_centre_angle_mean"] == pytest.approx(0.0, abs=1e-7)
    assert geometry["final_s"] == s


def test_octagon_needs_more_than_cosfaces_scale_bound() -> None:
    geometry = prototype_geometry(polygon(8), 9.871524, polygon(8), torch.arange(8), 0.5)
    assert geometry["class_centre_posterior_min"] == pytest.approx(0.9, abs=1e-6)
    assert 1.0 - geometry["max_prototype_cosine"] == pytest.approx(0.292893, abs=5e-7)
    assert geometry["margin_satisfied_fraction"] == 0.5


@pytest.mark.parametrize(("m", "fraction"), [(0.28, 1.0), (0.30, 0.0)])
def test_margin_is_satisfied_up_to_cosfaces_bound(m: float, fraction: float) -> None:
    """K = 2, C = 8: features on their prototypes satisfy a margin below 1 − cos(2π/C) = 0.2929, and none above."""
    margin = AdditiveCosineMargin(m=m)
    geometry = prototype_geometry(polygon(8), 30.0, polygon(8), torch.arange(8), margin.satisfied)
    assert geometry["margin_satisfied_fraction"] == fraction


@pytest.mark.parametrize("block_size", [1, 3, 4, 1000])
def test_equals_the_reference_in_any_block(block_size: int) -> None:
    weight, embeddings, labels = random_case(0)
    s, m = 7.5, 0.1
    geometry = prototype_geometry(
        weight, torch.tensor(s), embeddings, labels, AdditiveCosineMargin(m=m).satisfied, block_size=block_size
    )
    unit_w = weight / weight.norm(dim=1, keepdim=True)
    unit_x = embeddings / embeddings.norm(dim=1, keepdim=True)
    present = sorted(set(labels.tolist()))
    centres = torch.stack([unit_x[labels == y].mean(0) for y in present])
    centres = centres / centres.norm(dim=1, keepdim=True)
    of_prototypes = (s * unit_w @ unit_w.T).softmax(1).diagonal()
    of_centres = (s * centres @ unit_w.T).softmax(1)[range(len(present)), present]
    cos = unit_x @ unit_w.T
    is_target = torch.nn.functional.one_hot(labels, 11).bool()
    satisfied = cos[is_target] - m >= cos.masked_fill(is_target, -2.0).amax(1)
    expected = {
        "class_centre_posterior_min": of_prototypes.min(),
        "class_centre_posterior_mean": of_prototypes.mean(),
        "feature_centre_posterior_min": of_centres.min(),
        "feature_centre_posterior_mean": of_centres.mean(),
        "class_centre_log_odds_min": (of_prototypes / (1 - of_prototypes)).min().log(),
        "feature_centre_log_odds_min": (of_centres / (1 - of_centres)).min().log(),
        "max_prototype_cosine": (unit_w @ unit_w.T - 3 * torch.eye(11)).max(),
        "max_centre_cosine": (centres @ centres.T - 3 * torch.eye(len(centres))).max(),
        "merged_pairs": 0.0,
        "train_accuracy": (cos.argmax(1) == labels).double().mean(),
        "margin_satisfied_fraction": satisfied.double().mean(),
        "prototype_centre_angle_mean": (centres * unit_w[present]).sum(1).acos().mean(),
        "final_s": s,
    }
    assert geometry == pytest.approx({key: float(value) for key, value in expected.items()}, abs=1e-10)


class LargestTensor(TorchDispatchMode):
    """Remembers how large the largest result of any operation was."""

    size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.size = max(self.size, result.numel())
        return result


def test_nothing_larger_than_a_block_or_the_inputs_is_built() -> None:
    weight, embeddings = polygon(90), polygon(90).repeat(2, 1)
    with LargestTensor() as largest:
        prototype_geometry(
            weight, 5.0, embeddings, torch.arange(180) % 90, AdditiveCosineMargin(m=0.1).satisfied, block_size=8
        )
    assert largest.size == embeddings.numel() == 360


def test_large_scales_and_small_angles_keep_their_digits() -> None:
    weight = torch.eye(3)
    embeddings = weight + 1e-5 * weight.roll(1, 0)
    geometry = prototype_geometry(weight, 512.0, embeddings, torch.arange(3), 1.0)
    assert geometry["prototype_centre_angle_mean"] == pytest.approx(1e-5, rel=1e-3)
    assert geometry["class_centre_posterior_min"] == 1.0
    assert geometry["class_centre_log_odds_min"] == pytest.approx(512.0 - math.log(2))


def test_prototypes_that_have_come_together_are_counted() -> None:
    weight = polygon(8)
    assert prototype_geometry(weight, 9.0, weight, torch.arange(8), 1.0)["merged_pairs"] == 0
    for i in (1, 2, 5):
        weight[i] = weight[i - 1]
    geometry = prototype_geometry(weight, 9.0, polygon(8), torch.arange(8), 1.0, block_size=3)
    assert geometry["merged_pairs"] == 4  # three of one place, two of another
    assert geometry["max_prototype_cosine"] == pytest.approx(1.0)
    assert geometry["max_centre_cosine"] == pytest.approx(math.sqrt(0.5))
    assert geometry["train_accuracy"] < 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": torch.ones(1, 2)}, r"weight must be \(C, K\) with C ≥ 2, but got \(1, 2\)"),
        ({"weight": torch.full((3, 2), torch.nan)}, "weight must be finite"),
        ({"scale": torch.inf}, "scale must be finite, but is not: the trial has diverged"),
        ({"embeddings": torch.ones(4, 3)}, r"embeddings must be \(N, 2\)"),
        ({"embeddings": torch.full((4, 2), torch.inf)}, "embeddings must be finite"),
        ({"labels": torch.tensor([0, 1, 2, 3])}, r"labels must lie in \[0, 3\), but got values from 0 to 3"),
        ({"labels": torch.tensor([0, 1, 2])}, r"labels must be \(4,\) int64"),
    ],
)
def test_what_has_no_geometry_is_refused(change: dict[str, object], message: str) -> None:
    given_all = {
        "weight": torch.eye(3, 2),
        "scale": 3.0,
        "embeddings": torch.ones(4, 2),
        "labels": torch.tensor([0, 1, 2, 0]),
        "margin_satisfied": 1.0,
    }
    with pytest.raises(InputError, match=message):
        prototype_geometry(**(given_all | change))
