"""Figures by their artists, and the small rules behind them."""

import io
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpstudy.analysis import (
    ArmKind,
    angle_histograms,
    confirm_by_seed,
    confirm_summary,
    metric_name,
    scale_text,
    search_points,
)
from hpstudy.reporting._courses import Course, arm_course, crossings
from hpstudy.reporting._forest import forest
from hpstudy.reporting._histogram_figure import histogram_figure
from hpstudy.reporting._map_figure import map_figure, mapped_arms
from hpstudy.reporting._style import arm_styles, drawing, literal, new_figure, row_title, spread_labels
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


@pytest.mark.parametrize("above", [False, True])
def test_a_long_name_of_a_row_pushes_no_panel_away(above: bool) -> None:
    """It makes room for its height alone, and reaches over the panels beside the first."""

    def places(name: str) -> tuple[list[float], float]:
        with drawing():
            figure = new_figure(2.0)
            first, second = figure.subplots(1, 2)
            row_title(first, name, above_panel_title=above)
            figure.savefig(io.BytesIO(), format="svg")
            assert first.texts[-1].get_text() == name
            ends = [*first.get_position().extents, *second.get_position().extents]
            return ends, first.texts[-1].get_window_extent().y1 / figure.bbox.height

    short, long = places("K-2"), places("train-300_embedding_dim-128_label_noise-0.2")
    assert long[0] == pytest.approx(short[0], abs=1e-6)
    assert max(short[1], long[1]) <= 1.0


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


def courses_of(record: Any, chosen: dict[str, list[float]]) -> list[Course]:
    """One course a condition, with the scales that were chosen for some arms."""
    courses = []
    for condition in record.trials["condition"].drop_duplicates():
        trials = record.trials[(record.trials["condition"] == condition) & (record.trials["phase"] == "confirm")]
        arms = {}
        for arm, rows in trials.groupby("arm", sort=True):
            found = arm_course(record.trajectories[trial_id] for trial_id in rows["trial_id"])
            assert found is not None
            arms[str(arm)] = found
        rows = [(arm, search, s) for arm, scales in chosen.items() for search, s in enumerate(scales)]
        table = pd.DataFrame(rows, columns=["arm", "search_seed", "s"])
        adaptive = [arm for arm in arms if arm.startswith("adacos")]
        courses.append(Course(condition, arms, table, crossings(condition, arms, adaptive, table)))
    return courses


@pytest.mark.parametrize(("runaway", "scale"), [([], "linear"), (["default"], "log")])
def test_scale_axis_turns_logarithmic_when_a_run_ran_away(
    make_record: Callable[..., Any], runaway: list[str], scale: str
) -> None:
    record = make_record(arms=["adacos-fixed", "adacos-dynamic"], confirm_seeds=2, runaway=runaway)
    styles = arm_styles({"adacos-fixed": "adaptive", "adacos-dynamic": "adaptive"})
    with drawing():
        figure = trajectory_figure(courses_of(record, {}), styles)
    axes = figure.axes[2]
    assert axes.get_yscale() == scale
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert bool(crosses) == bool(runaway)


def test_every_searchs_scale_is_marked_and_where_an_adaptive_one_meets_it(make_record: Callable[..., Any]) -> None:
    record = make_record(arms=["cosface", "adacos-dynamic"], trials=3, confirm_seeds=2)
    moved = arm_course(record.trajectories[f"adacos-dynamic.default.confirm.s0.{seed}"] for seed in (101, 102))
    assert moved is not None
    start, end = moved.scale["median"].iloc[[0, -1]]
    chosen = [(start + end) / 2, 500.0]
    (course,) = courses_of(record, {"cosface": chosen})
    met = course.crossings.set_index("s")["step"]
    assert 0 < met[chosen[0]] < moved.last
    reached = moved.scale.set_index("step")["median"]
    before, after = reached[met[chosen[0]] - 1] - chosen[0], reached[met[chosen[0]]] - chosen[0]
    assert before * after <= 0
    assert np.isnan(met[500.0])
    with drawing():
        figure = trajectory_figure([course], arm_styles({"cosface": "searched", "adacos-dynamic": "adaptive"}))
    scale = figure.axes[2]
    assert [text.get_text() for text in scale.texts if text.get_text().startswith("s* =")] == [
        f"s* = {scale_text(s)}" for s in chosen
    ]
    rings = [line for line in scale.lines if line.get_marker() == "o" and line.get_markerfacecolor() == "white"]
    assert [line.get_xdata()[0] for line in rings] == [met[chosen[0]]]


def test_conditions_share_a_figure_a_row_each(make_record: Callable[..., Any]) -> None:
    conditions = {"few": (50, 64), "many": (300, 64)}
    record = make_record(arms=["adacos-fixed", "adacos-dynamic"], confirm_seeds=2, conditions=conditions)
    styles = arm_styles({"adacos-fixed": "adaptive", "adacos-dynamic": "adaptive"})
    with drawing():
        figure = trajectory_figure(courses_of(record, {}), styles)
    assert len(figure.axes) == 8
    assert [figure.axes[4 * row].texts[-1].get_text() for row in range(2)] == ["few", "many"]


def test_histograms_have_a_row_for_each_arm_and_a_column_for_each_stage() -> None:
    frame = pd.DataFrame(
        {
            "epoch": range(1, 6),
            "theta_target_histogram": [np.bincount([degrees], minlength=180) for degrees in (85, 70, 60, 50, 40)],
            "theta_nontarget_histogram": [np.bincount([90, 91], minlength=180)] * 5,
        }
    )
    angles = angle_histograms([frame, frame.head(3), pd.DataFrame()], last=5)
    assert angles.drop_duplicates("stage")[["stage", "epoch", "trials"]].to_numpy().tolist() == [
        ["start", 1, 2], ["middle", 3, 2], ["end", 5, 1],
    ]  # fmt: skip
    peaks = angles.loc[angles.groupby("stage", sort=False)["target"].idxmax(), "degrees"]
    assert peaks.to_list() == [85, 60, 40]
    assert angles.groupby("stage")[["target", "nontarget"]].sum().to_numpy() == pytest.approx(1.0)
    both = pd.concat([angles.assign(condition="default", arm=arm) for arm in ("cosface", "adacos")])
    with drawing():
        figure = histogram_figure(both, arm_styles({"cosface": "searched", "adacos": "adaptive"}))
    assert [axes.texts[0].get_text() for axes in figure.axes] == [
        "start (epoch 1)", "middle (epoch 3)", "end (epoch 5)",
    ]  # fmt: skip
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["cosface", "adacos"]


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
