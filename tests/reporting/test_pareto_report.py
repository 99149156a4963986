"""Several objectives in a report: figure and table of the front."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import arm_kinds, pareto_front
from hpstudy.reporting._latex import latex_table
from hpstudy.reporting._pareto_figure import MOST, pareto_figure, pareto_table
from hpstudy.reporting._style import ArmStyle, arm_styles, drawing

TAR, CPU, WALL = "val/tar_at_far_1e-3", "cost/cpu_s", "cost/wall_s"
OBJECTIVES = (TAR, CPU)
Shown = tuple[pd.DataFrame, dict[str, ArmStyle]]


@pytest.fixture(scope="module")
def shown(make_record: Callable[..., Any]) -> Shown:
    """Points of two arms whose epochs, and with them values and costs, differ."""
    record = make_record(arms=["cosface", "arcface", "adacos-dynamic"], trials=40)
    trials = record.trials.copy()
    epochs = np.where(trials["phase"] == "search", 1 + trials["number"] % 12, np.nan)
    trials["param/training.epochs"] = epochs
    for column in (CPU, WALL):
        trials[column] = np.where(np.isnan(epochs), 30.0, 3.0 * epochs)
    trials["objective"] = trials[TAR] = trials[TAR] * np.where(np.isnan(epochs), 1, 1 - 0.7**epochs)
    return pareto_front(trials, OBJECTIVES), arm_styles(arm_kinds(trials))


def drawn(figure: Any) -> dict[tuple[float, float], int]:
    points = [xy for line in figure.axes[0].lines if line.get_linestyle() == "None" for xy in line.get_xydata()]
    return {(round(x, 6), round(y, 6)): 1 for x, y in points}


def test_figure_shows_every_trial_and_the_stairs_of_the_front(shown: Shown) -> None:
    front, styles = shown
    with drawing():
        figure = pareto_figure(front, OBJECTIVES, styles)
    (axes,) = figure.axes
    expected = {(round(x, 6), round(100 * y, 6)) for x, y in zip(front[CPU], front[TAR], strict=True)}
    assert set(drawn(figure)) == expected
    (stairs,) = [line for line in axes.lines if line.get_linestyle() == "-" and line.get_drawstyle() == "steps-post"]
    leading = front[front["on_front"]].sort_values(CPU)
    np.testing.assert_allclose(stairs.get_xydata(), leading[[CPU, TAR]] * [1, 100])
    assert (np.diff(stairs.get_ydata()) > 0).all()
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "CPU time of a trial (s), less is better"
    assert axes.get_ylabel() == "TAR at FAR 10⁻³ (%)"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(labels) >= {"cosface", "arcface", "Pareto front", "beaten", "chosen to confirm"}
    assert "adacos-dynamic" not in labels


def test_each_further_objective_has_a_panel_without_stairs(shown: Shown) -> None:
    front, styles = shown
    with drawing():
        figure = pareto_figure(front.assign(**{WALL: front[CPU]}), (TAR, CPU, WALL), styles)
    assert [axes.get_xlabel().split(",")[0] for axes in figure.axes] == [
        "CPU time of a trial (s)",
        "wall time of a trial (s)",
    ]
    assert not [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == "-"]


def test_a_front_of_one_point_is_drawn(shown: Shown) -> None:
    front, styles = shown
    with drawing():
        figure = pareto_figure(front.head(1).assign(on_front=True, on_arm_front=True), OBJECTIVES, styles)
    assert len(drawn(figure)) == 1


def test_table_lists_the_front_with_both_ends_and_bold_choices(shown: Shown) -> None:
    front, styles = shown
    content = pareto_table(front, OBJECTIVES, styles).as_json({})
    leading = front[front["on_front"]].sort_values(TAR, ascending=False)
    assert content["keys"] == ["arm", "s", "m", "other", TAR, CPU]
    rows = [row["cells"] for row in content["rows"]]
    assert len(rows) == min(MOST, len(leading))
    assert rows[0][4] == {"text": f"{100 * leading[TAR].iloc[0]:.1f}", "weight": "bold"}
    assert rows[-1][5] == f"{leading[CPU].iloc[-1]:.1f}"
    assert rows[-1][3] == f"epochs = {leading['param/training.epochs'].iloc[-1]:.0f}"
    many = pd.concat([leading.assign(**{TAR: leading[TAR] - shift}) for shift in (0, 1e-3, 2e-3)])
    assert len(pareto_table(many, OBJECTIVES, styles).rows) == min(MOST, len(many))
    assert "CPU time of a trial (s)" in latex_table("pareto", pareto_table(front, OBJECTIVES, styles), {})


def test_conditions_are_groups_of_the_table(shown: Shown) -> None:
    front, styles = shown
    both = pd.concat([front, front.assign(condition="small")], ignore_index=True)
    assert [row["group"] for row in pareto_table(both, OBJECTIVES, styles).rows if "group" in row] == [
        "default",
        "small",
    ]
    empty = front.iloc[:0]
    assert pareto_table(empty, OBJECTIVES, styles).rows == []
