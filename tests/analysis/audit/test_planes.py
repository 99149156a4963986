"""Directions of features in the plane."""

import math

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.audit import Plane, angle_shares, loss_reads_norm, merged_prototypes
from hpstudy.catalog import LOSSES


def samples(points: list[tuple[float, float, int]]) -> pd.DataFrame:
    return pd.DataFrame(points, columns=["x", "y", "label"])


def test_shares_count_directions_of_each_class() -> None:
    found = angle_shares(samples([(1, 1, 0), (5, 5.5, 0), (-2, 1, 0), (-1, -1, 3), (0, 0, 0), (math.nan, 1, 3)]), 4)
    assert found["label"].to_list() == [0, 0, 3]
    assert found["angle"].to_list() == pytest.approx([0, math.pi / 2, math.pi])
    assert found["share"].to_list() == pytest.approx([2 / 3, 1 / 3, 1])


def test_every_direction_has_a_bin() -> None:
    angles = np.linspace(-math.pi, math.pi, 2001)
    around = pd.DataFrame({"x": np.cos(angles), "y": np.sin(angles), "label": 1})
    found = angle_shares(around, 120)
    assert len(found) == 120
    assert found["share"].sum() == pytest.approx(1)
    assert found["angle"].between(0, 2 * math.pi, inclusive="left").all()
    # Just below the positive x axis the turn rounds to a whole one.
    assert angle_shares(samples([(1, -1e-20, 0)]), 8)["angle"].to_list() == [0]


def test_without_a_direction_there_is_nothing() -> None:
    for given in (samples([]), samples([(0, 0, 1)])):
        assert list(angle_shares(given, 12).columns) == ["label", "angle", "share"]
        assert angle_shares(given, 12).empty


@pytest.mark.parametrize(
    ("loss", "reads"),
    [
        ("softmax", True),
        ("modified_softmax", True),
        ("normface", False),
        ("adacos", False),
        ("none+fixed", False),
        ("additive_cosine+adacos_dynamic", False),
        ("none+feature_norm", True),
        ("magface+fixed", True),
        ("mine.py:Loss", True),
    ],
)
def test_which_losses_read_norms(loss: str, reads: bool) -> None:
    assert loss_reads_norm(loss) == reads
    empty = samples([])
    plane = Plane(
        condition="default", arm="a", loss=loss, s=8.0, m=math.nan, num_classes=3, samples=empty, prototypes=empty,
        accuracy=math.nan,
    )  # fmt: skip
    assert plane.reads_norm == reads


def test_the_catalogue_says_so() -> None:
    assert all(loss_reads_norm(name) != info.norm_invariant for name, info in LOSSES.items())


def test_merged_prototypes_are_chains_of_neighbours() -> None:
    degrees = {0: 0, 1: 100, 2: 7, 3: -6, 4: 106, 5: 200, 6: 209, 7: 115}
    turned = [(3 * math.cos(math.radians(at)), 3 * math.sin(math.radians(at)), label) for label, at in degrees.items()]
    assert merged_prototypes(samples([*turned, (0, 0, 8), (0, 0, 9)])) == [[0, 2, 3], [1, 4]]
    assert merged_prototypes(samples([])) == []
