"""How classes share planted planes, exactly, and what is said of it."""

import math
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.audit import Plane
from hpstudy.analysis.audit._plane_findings import plane_findings, plane_spread


def picture(points: pd.DataFrame, loss: str = "normface", classes: int = 6) -> Plane:
    prototype = points["prototype"].astype(bool)
    columns = ["x", "y", "label"]
    return Plane(
        condition="default", arm=loss, loss=loss, s=16.0, m=math.nan, num_classes=classes, accuracy=0.9,
        samples=points.loc[~prototype, columns], prototypes=points.loc[prototype, columns],
    )  # fmt: skip


def test_the_spread_of_planted_classes_is_exact(audited: ModuleType) -> None:
    frame = plane_spread(
        [
            picture(audited.plane(6, long=True), "softmax"),
            picture(audited.plane(6, long=False, merged=True)),
            picture(audited.plane(2, long=False), "cosface", 2),
        ]
    )
    assert frame["angle_spread"].to_numpy() == pytest.approx(math.radians(3))
    assert frame["norm_spread"].to_numpy() == pytest.approx([0.5, 0, 0])
    assert frame["least_angle"].to_numpy() == pytest.approx([math.pi / 3, math.radians(4), math.pi])
    assert frame["even_angle"].to_numpy() == pytest.approx([math.pi / 3, math.pi / 3, math.pi])
    assert frame["merged"].to_list() == [0, 1, 0]
    assert frame["reads_norm"].to_list() == [True, False, False]
    assert frame["accuracy"].to_list() == [0.9] * 3


def test_a_class_across_the_cut_of_the_angle_is_not_spread(audited: ModuleType) -> None:
    """The corner of class 3 of 6 is at π, where the arc tangent jumps."""
    points = audited.plane(6, long=False)
    turned = points[points["label"] == 3]
    assert plane_spread([picture(turned)])["angle_spread"].item() == pytest.approx(math.radians(3))


def test_pairs_are_counted_by_their_own_cosine() -> None:
    """Three prototypes 7° apart in a row: two pairs are within 8° of each other, the outer two are not."""
    turns = np.radians([0, 7, 14, 180])
    rows = pd.DataFrame({"x": np.cos(turns), "y": np.sin(turns), "label": range(4), "prototype": True})
    frame = plane_spread([picture(rows, classes=4)])
    assert frame["merged"].item() == 2
    assert frame["least_angle"].item() == pytest.approx(math.radians(7))
    assert frame[["angle_spread", "norm_spread"]].isna().all(axis=None)


def test_points_without_a_direction_count_for_nothing(audited: ModuleType) -> None:
    points = audited.plane(6, long=True)
    lost = pd.DataFrame({"x": [0, math.nan, math.inf, 0], "y": [0, 1.0, 1.0, 0], "label": [0, 0, 1, 1]})
    lost["prototype"] = [False, False, False, True]
    plain, with_lost = (plane_spread([picture(frame)]) for frame in (points, pd.concat([points, lost])))
    pd.testing.assert_frame_equal(plain, with_lost)
    nowhere = picture(lost)
    assert plane_spread([nowhere])[["angle_spread", "norm_spread", "least_angle"]].isna().all(axis=None)
    assert plane_findings(plane_spread([nowhere])) == []


def test_of_nothing_nothing_is_said() -> None:
    assert plane_findings(plane_spread([])) == []


def spread(arm: str = "normface", **changes: Any) -> dict[str, Any]:
    """A row of `plane_spread`, angles in degrees."""
    row = {
        "condition": "default", "arm": arm, "reads_norm": False, "angle_spread": 5.0, "norm_spread": 0.1,
        "least_angle": 30.0, "even_angle": 36.0, "merged": 0, "accuracy": 1.0,
    } | changes  # fmt: skip
    return row | {name: math.radians(row[name]) for name in ("angle_spread", "least_angle", "even_angle")}


def told(*rows: dict[str, Any]) -> list[str]:
    return plane_findings(pd.DataFrame(rows))


def test_one_loss_of_cosines() -> None:
    assert told(spread()) == [
        "Under losses of cosines directions spread by 5.0° within a class, and norms, which these losses don't read, "
        "vary by 10 % (a trial each).",
        "The nearest two prototypes are 83 % as far apart as if all were evenly spread; none merged.",
    ]


def test_the_ends_of_a_span_are_named_and_equal_ones_are_not() -> None:
    found = told(spread("a", angle_spread=6.0), spread("b", least_angle=18.0), spread("c"))
    assert found == [
        "Under losses of cosines directions spread by 5.0° to 6.0° within a class, least under b, most under a, "
        "and norms, which these losses don't read, vary by 10 % (a trial each).",
        "The nearest two prototypes are 50 to 83 % as far apart as if all were evenly spread, least under b, most "
        "under c; none merged.",
    ]
    assert not any("least under" in text for text in told(spread("a"), spread("b")))


def test_whether_classes_are_longer_than_wide() -> None:
    long, round_ = spread("long", reads_norm=True, norm_spread=0.3), spread("round", reads_norm=True, norm_spread=0.01)
    assert told(long)[0] == (
        "Under losses that read the norm (long) the norm of a sample varies by 30 % within its class and its direction "
        "by 5.0° (standard deviations): classes are longer than wide."
    )
    assert told(round_)[0].endswith("(standard deviations): classes are no longer than wide.")
    assert told(long, round_)[0].endswith("under long classes are longer than wide.")
    assert len(told(long)) == 2  # and how far apart the prototypes are


def test_merged_pairs_are_told_by_arm() -> None:
    found = told(spread("a", merged=3), spread("b"), spread("c", merged=1))
    assert found[1].endswith("evenly spread; pairs that merged: 3 under a and 1 under c.")


def test_pictures_without_samples_or_prototypes_are_left_out() -> None:
    found = told(spread("a", angle_spread=math.nan, norm_spread=math.nan), spread("b", least_angle=math.nan))
    assert found == [
        "Under losses of cosines directions spread by 5.0° within a class, and norms, which these losses don't read, "
        "vary by 10 % (a trial each).",
        "The nearest two prototypes are 83 % as far apart as if all were evenly spread; none merged.",
    ]
    assert told(spread("a", reads_norm=True, angle_spread=math.nan))[0].startswith("The nearest two prototypes")
