"""The figure and the tables of the audit of the bound on s."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from hpstudy.analysis import arm_kinds, metric_name
from hpstudy.analysis.audit import (
    below_bound,
    best_scales,
    convergence,
    convergence_fit,
    convergence_shares,
    scale_audit,
)
from hpstudy.reporting._latex import latex_table
from hpstudy.reporting._style import arm_styles, drawing, save
from hpstudy.reporting.audit._scale_audit_figure import scale_audit_figure
from hpstudy.reporting.audit._scale_audit_table import (
    below_bound_table,
    best_scales_table,
    convergence_table,
    scale_audit_table,
)
from hpstudy.theory import cosface_scale_bound

NAME = metric_name("test/tar_at_far_1e-3")


def drawn(made: Any, path: Path) -> tuple[Figure, pd.DataFrame]:
    rows = convergence(made.trials, made.epochs)
    audit = scale_audit(made.trials, made.epochs, "test/tar_at_far_1e-3")
    with drawing():
        figure = scale_audit_figure(
            audit, convergence_shares(rows), convergence_fit(rows), arm_styles(arm_kinds(made.trials)), NAME
        )
        save(figure, path / "figure.svg")
    return figure, audit


def test_row_of_panels_for_each_condition(planted: Any, tmp_path: Path) -> None:
    made = planted.survey(
        sizes=((10, 16), (100, 16)), seeds=5, threshold=lambda c: 0.6 * cosface_scale_bound(c, 0.9), sharpness=3.0
    )
    figure, audit = drawn(made, tmp_path)
    assert len(figure.axes) == 8
    score, converged, epochs, tightness = figure.axes[4:]
    here = audit[(audit["condition"] == "C100-K16") & (audit["kind"] == "listed")]
    course = next(line for line in score.lines if len(line.get_xdata()) == 8)
    np.testing.assert_allclose(course.get_ydata(), 100 * here["score"])
    points = next(line for line in converged.lines if len(line.get_xdata()) == 8)
    np.testing.assert_allclose(points.get_ydata(), 100 * here["share"])
    assert any(len(line.get_xdata()) == 200 for line in converged.lines)
    course = next(line for line in tightness.lines if len(line.get_xdata()) == 8)
    np.testing.assert_allclose(course.get_ydata(), here["tightness"])
    assert epochs.get_ylim()[0] == 0
    for axes in (score, converged, epochs, tightness):
        low, high = axes.get_xlim()
        assert low < cosface_scale_bound(100, 0.5)
        assert cosface_scale_bound(100, 0.999) < high
        places = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
        for posterior in (0.5, 0.9, 0.99, 0.999):
            assert any(place == pytest.approx(cosface_scale_bound(100, posterior)) for place in places)


def test_score_is_left_out_where_there_is_none(planted: Any, tmp_path: Path) -> None:
    figure, _ = drawn(planted.survey(with_scores=False, threshold=lambda _: 1e9), tmp_path)
    assert len(figure.axes) == 3
    assert figure.axes[0].get_title(loc="left") == "a"
    crosses = [line for line in figure.axes[1].lines if line.get_marker() == "x"]
    assert [len(line.get_xdata()) for line in crosses] == [8]


@pytest.mark.parametrize(
    "changes",
    [
        {"scales": (8.0,), "seeds": 1},
        {"scales": (8.0, 16.0), "seeds": 1, "adaptive": ()},
        {"seeds": 2, "diverging": (1.0, 2.0, 4.0)},
        {"sizes": ((2, 2), (3, 2)), "scales": (1.0, 2.0)},
    ],
)
def test_little_is_drawn_too(planted: Any, tmp_path: Path, changes: dict[str, Any]) -> None:
    figure, _ = drawn(planted.survey(**changes), tmp_path)
    for axes in figure.axes:
        assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all()


def test_old_records_say_that_nothing_was_measured(planted: Any, tmp_path: Path) -> None:
    made = planted.survey(seeds=2)
    bare = made.trials.drop(columns=[c for c in made.trials if c.startswith("geometry/")])
    figure, _ = drawn(type(made)(bare, made.of_trial), tmp_path)
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert ["not measured" in told for told in texts] == [False, True, True, True]


def test_runaway_scale_stays_in_the_panel(planted: Any, tmp_path: Path) -> None:
    made = planted.survey(seeds=2)
    made.trials.loc[made.trials["loss"] == "adacos", "geometry/final_s"] = 1e30
    figure, _ = drawn(made, tmp_path)
    assert figure.axes[0].get_xlim()[1] < 1e4


def test_tables_say_what_the_frames_say(planted: Any) -> None:
    made = planted.survey(
        sizes=((10, 16), (100, 16)), seeds=5, threshold=lambda c: 0.6 * cosface_scale_bound(c, 0.9), diverging=(128.0,)
    )
    styles, rows = arm_styles(arm_kinds(made.trials)), convergence(made.trials, made.epochs)
    audit = scale_audit(made.trials, made.epochs, planted.METRIC)
    best = best_scales(audit, made.trials, planted.METRIC)
    table = scale_audit_table(audit, styles, NAME)
    cells = [row["cells"] for row in table.rows if "cells" in row]
    assert [row["group"] for row in table.rows if "group" in row] == ["C10-K16", "C100-K16"]
    assert len(cells) == len(audit)
    assert [key for key, _ in table.columns][-1] == "diverged"
    assert cells[7][-1] == "1"
    assert cells[3][2] == f"{8.0 / cosface_scale_bound(10, 0.9):.2f}"
    chosen = [row["cells"] for row in best_scales_table(best, styles, NAME).rows if "cells" in row]
    assert chosen[0][1:3] == ["16.0", "none"]
    assert chosen[1][-1].startswith("−")
    fits = convergence_table(convergence_fit(rows)).rows
    assert [row["cells"][0] for row in fits] == ["C10-K16", "C100-K16"]
    below = below_bound_table(below_bound(rows)).rows
    assert [row["cells"][1] for row in below] == ["0.5", "0.9"] * 2
    for name, made_table in (("audit", table), ("best", best_scales_table(best, styles, NAME))):
        assert "tabular" in latex_table(name, made_table, {"points": " (points)"})


def test_tables_without_scores_or_conditions(planted: Any) -> None:
    made = planted.survey(seeds=1, with_scores=False, adaptive=())
    audit = scale_audit(made.trials, made.epochs, planted.METRIC)
    table = scale_audit_table(audit, arm_styles(arm_kinds(made.trials)), NAME)
    keys = [key for key, _ in table.columns]
    assert "score" not in keys
    assert "diverged" not in keys
    nothing = best_scales(audit, made.trials, planted.METRIC)
    assert best_scales_table(nothing, {}, NAME).rows == []
    assert convergence_table(convergence_fit(convergence(made.trials.head(0), made.epochs))).rows == []


def test_violation_is_an_alarm(planted: Any) -> None:
    made = planted.survey(seeds=1)
    made.trials.loc[made.trials["s"] == 4.0, "geometry/class_centre_log_odds_min"] = 2.5
    audit = scale_audit(made.trials, made.epochs, planted.METRIC)
    table = scale_audit_table(audit, arm_styles(arm_kinds(made.trials)), NAME)
    alarms = [cell for row in table.rows for cell in row["cells"] if isinstance(cell, dict) and "alarm" in cell]
    assert len(alarms) == 1
