"""AdaCos' premises: the curves it argues from, the courses of trials and their table."""

import math

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.audit import adacos_premises, premise_courses
from hpstudy.reporting._latex import latex_table
from hpstudy.reporting._style import arm_styles, drawing
from hpstudy.reporting.audit._posterior_curves_figure import posterior_curves, posterior_curves_figure
from hpstudy.reporting.audit._premises_figure import premises_figure
from hpstudy.reporting.audit._premises_table import premises_table
from hpstudy.theory import adacos_fixed_scale

STYLES = arm_styles({"cosface": "searched", "adacos": "adaptive"})
STEPS = pd.DataFrame(
    {
        "step": np.arange(200),
        "cos_nontarget_mean": 0.02,
        "cos_nontarget_std": 0.2,
        "log_b_avg": math.log(299) + 0.5,
        "s": 8.0,
        "theta_med": 0.6,
    }
)


def study(*conditions: str, phase: str = "confirm") -> pd.DataFrame:
    rows = [
        (f"{arm}.{condition}.{seed}", condition, arm, phase, "completed", 300)
        for condition in conditions
        for arm in STYLES
        for seed in range(2)
    ]
    return pd.DataFrame(rows, columns=["trial_id", "condition", "arm", "phase", "status", "num_classes"])


def runaway(name: str) -> pd.DataFrame:
    return STEPS.assign(log_b_avg=STEPS["log_b_avg"] + (40 if name.startswith("adacos") else 0))


@pytest.mark.parametrize(
    ("classes", "s", "degrees", "expected"),
    [(2000, 64, 80, 0.971058), (20000, 64, 80, 0.770307), (10, 2, 0, 1 / (1 + 9 * math.exp(-2)))],
)
def test_the_curves_are_the_posterior(classes: int, s: float, degrees: int, expected: float) -> None:
    curves = posterior_curves(classes)
    rows = curves[(curves["family"] == "scale") & (curves["s"] == s)]
    value = np.interp(math.radians(degrees), rows["theta"], rows["posterior"])
    assert value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("classes", [10, 300, 20000])
def test_the_marked_angle_is_where_a_curve_falls_fastest(classes: int) -> None:
    for _, rows in posterior_curves(classes).groupby(["family", "s", "m"]):
        theta, posterior = rows["theta"].to_numpy(), rows["posterior"].to_numpy()
        falls = -np.gradient(posterior, theta)
        assert rows["steepest"].iloc[0] == pytest.approx(theta[int(falls.argmax())], abs=0.02)


def test_adacos_scale_is_one_half_at_a_quarter_turn() -> None:
    curves = posterior_curves(2000)
    rows = curves[(curves["family"] == "scale") & (curves["s"] == adacos_fixed_scale(2000))]
    assert np.interp(math.pi / 4, rows["theta"], rows["posterior"]) == pytest.approx(0.5)
    assert rows["steepest"].iloc[0] > math.pi / 4


def test_a_margin_beyond_the_steepest_angle_leaves_none_to_mark() -> None:
    curves = posterior_curves(10_000_000)
    arcface = curves[curves["family"] == "arcface"].groupby("m")["steepest"].first()
    assert arcface[0.0] == pytest.approx(arcface[0.5] + 0.5)


def test_a_row_for_each_number_of_classes() -> None:
    with drawing():
        figure = posterior_curves_figure([2, 10, 2000])
    assert len(figure.axes) == 9
    titles = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "C = 2,000; AdaCos: s = 10.75" in titles
    dots = [line for line in figure.axes[3].lines if line.get_label() == "_steepest"]
    assert len(dots) == 7


def test_courses_are_drawn_in_degrees_against_the_premise() -> None:
    with drawing():
        figure = premises_figure(premise_courses(study("default"), lambda _: STEPS), STYLES)
    angle, spread, excess = figure.axes
    lines = {str(line.get_label()): line for line in angle.lines}
    assert lines["_premise"].get_ydata() == [90, 90]
    assert lines["cosface"].get_ydata() == pytest.approx(math.degrees(math.acos(0.02)))
    assert next(line for line in spread.lines if line.get_label() == "adacos").get_ydata() == pytest.approx(
        11.5, abs=0.1
    )
    assert [line.get_ydata()[-1] for line in excess.lines] == pytest.approx([0, 0.5, 0.5])
    assert excess.get_yscale() == "linear"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cosface", "adacos"]


def test_an_arm_that_ran_away_does_not_press_the_others_together() -> None:
    with drawing():
        figure = premises_figure(premise_courses(study("default"), runaway), STYLES)
    assert figure.axes[2].get_yscale() == "symlog"


def test_conditions_have_a_row_each_and_gaps_are_drawn_as_gaps() -> None:
    bare = STEPS[["step", "s", "theta_med"]]
    with drawing():
        figure = premises_figure(premise_courses(study("few", "many"), lambda _: STEPS), STYLES)
        empty = premises_figure(premise_courses(study("default"), lambda _: bare), STYLES)
        for drawn in (figure, empty):
            drawn.canvas.draw()
    assert len(figure.axes) == 6
    for row, condition in enumerate(["few", "many"]):
        assert condition in [text.get_text() for text in figure.axes[3 * row].texts]


def test_the_table_says_where_each_premise_stands() -> None:
    table = premises_table(adacos_premises(study("default"), lambda _: STEPS), STYLES)
    cells = table.rows[0]["cells"]
    assert cells[:8] == [
        {"text": "cosface", "colour": STYLES["cosface"].colour}, "2", "88.9 ± 11.5", "88.9 ± 11.5", "0.50", "0.50",
        "0.50", "8.00",
    ]  # fmt: skip
    odds = math.exp(8 * math.cos(0.6)) / (299 * math.exp(0.5))
    shown = f"{odds / (1 + odds):.2f}"
    assert cells[8] == "34.4"
    assert cells[10] == f"{shown} ({shown} to {shown})"
    assert "tabular" in latex_table("premises", table, {})


def test_conditions_and_differing_phases_are_named() -> None:
    both = pd.concat([study("few"), study("many", phase="grid")])
    table = premises_table(adacos_premises(both, lambda _: STEPS), STYLES)
    assert [row["group"] for row in table.rows if "group" in row] == ["few", "many"]
    assert [row["cells"][1] for row in table.rows if "cells" in row] == ["2 (confirm)"] * 2 + ["2 (grid)"] * 2


def test_what_is_unknown_is_a_dash() -> None:
    bare = STEPS[["step", "theta_med"]]
    table = premises_table(adacos_premises(study("default").head(1), lambda _: bare), STYLES)
    assert table.rows[0]["cells"][1:] == ["1", *["–"] * 6, "34.4", "–", "–"]
