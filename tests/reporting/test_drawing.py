"""Figures by their artists, and the small rules behind them."""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpstudy.analysis import ArmKind, confirm_by_seed, confirm_summary, metric_name, search_points
from hpstudy.reporting._forest import forest
from hpstudy.reporting._map_figure import map_figure, mapped_arms
from hpstudy.reporting._style import arm_styles, drawing, literal, spread_labels
from hpstudy.reporting._trajectory_figure import trajectory_figure

METRIC = "test/tar_at_far_1e-3"


@given(st.lists(st.floats(0, 1), max_size=8))
def test_labels_are_spread_in_their_order(positions: list[float]) -> None:
    placed = spread_labels(positions, 0.1, 0.0, 1.0)
    order = np.argsort(positions, kind="stable")
    gaps = np.diff(np.array(placed)[order])
    assert (gaps >= 0.1 - 0.02).all()


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread_labels([0.9, 0.2], 0.1, 0.0, 1.0) == [0.9, 0.2]


def test_each_arm_has_a_look_of_its_own() -> None:
    kinds: dict[str, ArmKind] = {f"t{i}": "searched" for i in range(9)} | {f"a{i}": "adaptive" for i in range(3)}
    styles = arm_styles(kinds)
    assert len({(style.colour, style.line) for style in styles.values()}) == 12


def test_literal_text_is_no_mathematics() -> None:
    assert literal("a $x$ b\x00") == r"a \$x\$ b"


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    with drawing():
        assert mpl.rcParams["svg.hashsalt"] == "hpstudy"
    assert dict(mpl.rcParams) == before


def test_forest_draws_every_confirmed_arm(record: Any) -> None:
    name = metric_name(METRIC)
    summary = confirm_summary(record.trials, METRIC)
    styles = arm_styles(dict(zip(summary["arm"], summary["kind"], strict=True)))
    with drawing():
        figure = forest(summary, confirm_by_seed(record.trials, METRIC), styles, name, 0.01, ["default"])
    axes = figure.axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert sorted(labels) == sorted(summary["arm"])
    means = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert means == pytest.approx(100 * summary.set_index("arm")["mean"].loc[labels].to_numpy())


@pytest.mark.parametrize(("runaway", "scale"), [([], "linear"), (["default"], "log")])
def test_scale_axis_turns_logarithmic_when_a_run_ran_away(
    make_record: Callable[..., Any], runaway: list[str], scale: str
) -> None:
    record = make_record(arms=["adacos-fixed", "adacos-dynamic"], confirm_seeds=2, runaway=runaway)
    frames: dict[str, list[pd.DataFrame]] = {}
    for trial_id, frame in record.trajectories.items():
        frames.setdefault(trial_id.split(".")[0], []).append(frame)
    styles = arm_styles({"adacos-fixed": "adaptive", "adacos-dynamic": "adaptive"})
    with drawing():
        figure = trajectory_figure(frames, {}, styles)
    axes = figure.axes[2]
    assert axes.get_yscale() == scale
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert bool(crosses) == bool(runaway)


def test_map_has_a_panel_for_each_arm_that_varied_s_or_m(record: Any) -> None:
    points = search_points(record.trials)
    arms = mapped_arms(points)
    assert arms == ["arcface", "cosface", "normface", "sphereface"]
    with drawing():
        figure = map_figure(points, arms, metric_name("val/tar_at_far_1e-3"))
    panels = [axes for axes in figure.axes if axes.get_xlabel() == "scale $s$"]
    assert len(panels) == 4
    assert panels[0].get_ylabel() == "margin $m$ (rad)"
    assert panels[2].get_ylabel() == "validation value (%)"
