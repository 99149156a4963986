"""Figures and tables of the floor of the loss and of the joint bound, by their artists and cells."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpstudy.analysis import arm_kinds
from hpstudy.analysis.audit import joint_audit, joint_reach, loss_floor
from hpstudy.reporting._style import arm_styles, drawing, save
from hpstudy.reporting.audit._floor_tables import floor_table, joint_table, smallest_scale_table
from hpstudy.reporting.audit._joint_figure import joint_figure
from hpstudy.reporting.audit._loss_floor_figure import SIZES_SHOWN, loss_floor_figure
from hpstudy.theory import margin_loss_bound

LOSSES = {"normface": ("cosine", 0.0), "cosface": ("cosine", 0.4), "arcface": ("angle", 0.5)}


def trial(arm: str, s: float, *, size: tuple[int, int] = (10, 16), m: float | None = None, **changes: Any) -> dict:
    """A trial with 1.2 times its floor as loss, and log odds half a nat below the joint bound."""
    kind, usual = LOSSES[arm]
    own = usual if m is None else m
    count, dim = size
    left = (np.cos(own) if kind == "angle" else 1 - own) + 1 / (count - 1)
    floor = float(margin_loss_bound(count, s, own, kind))  # type: ignore[call-overload]
    shift = s * (1 - (left - 1 / (count - 1)))
    return {
        "trial_id": f"{arm}.{size}.{s:g}.{own:g}.{len(changes)}", "arm": arm, "condition": f"C{count}-K{dim}",
        "phase": "grid", "loss": arm, "num_classes": count, "embedding_dim": dim, "s": s,
        "m": np.nan if arm == "normface" else own, "status": "completed", "geometry/final_s": s,
        "geometry/train_loss": 1.2 * floor, "geometry/train_loss_balanced": 1.2 * floor,
        "geometry/train_accuracy": 1.0,
        "geometry/class_centre_log_odds_min": s * left - np.log(count - 1) + shift - 0.5,
    } | changes  # fmt: skip


def table_of(*rows: dict) -> tuple[pd.DataFrame, Any]:
    trials = pd.DataFrame(rows)
    return trials, arm_styles(arm_kinds(trials))


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def fits(figure: Figure) -> bool:
    """Whether the layout found room for all axes."""
    figure.draw_without_rendering()
    return all(axes.get_position().height > 0.05 for axes in figure.axes)


def test_floor_figure_has_a_loss_and_a_ratio_for_each_size(tmp_path: Path) -> None:
    sizes = ((10, 2), (10, 16), (50, 16), (100, 16))
    trials, styles = table_of(*(trial("normface", s, size=size) for size in sizes for s in (1.0, 4.0, 16.0)))
    with drawing():
        figure = loss_floor_figure(loss_floor(trials), styles)
        assert fits(figure)
        shown = [axes for axes in figure.axes if axes.axison]
        assert len(shown) == 2 * len(sizes)
        assert [texts(axes) for axes in shown if axes.texts] == [
            [f"$C$ = {count}, $K$ = {dim}"] for count, dim in sizes
        ]  # fmt: skip
        first, second = (
            save(loss_floor_figure(loss_floor(trials), styles), tmp_path / name).read_bytes() for name in ("a", "b")
        )
    assert first == second


def test_floor_curve_is_the_floor_and_points_are_the_trials() -> None:
    trials, styles = table_of(*(trial(arm, s) for arm in LOSSES for s in (2.0, 8.0)))
    frame = loss_floor(trials)
    with drawing():
        loss, ratio = loss_floor_figure(frame, styles).axes
    curve = loss.lines[0].get_xydata()
    assert curve[:, 1] == pytest.approx(margin_loss_bound(10, curve[:, 0], 0.0))
    points = np.vstack([line.get_xydata() for line in loss.lines if line.get_marker() in "osv^D"])
    assert np.sort(points, axis=0) == pytest.approx(np.sort(frame[["equivalent_s", "balanced"]].to_numpy(), axis=0))
    drawn = np.vstack([line.get_xydata() for line in ratio.lines if line.get_marker() in "osv^D"])
    assert drawn[:, 1] == pytest.approx([1.2] * 6)


def test_imbalanced_trials_are_hollow_as_shown() -> None:
    uneven = trial("normface", 4.0) | {"trial_id": "u", "data/imbalance": 20.0}
    uneven["geometry/train_loss"] /= 2
    trials, styles = table_of(trial("normface", 2.0), uneven)
    with drawing():
        figure = loss_floor_figure(loss_floor(trials), styles)
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
    hollow = [line for line in figure.axes[1].lines if line.get_markerfacecolor() == "white"]
    assert [line.get_ydata() for line in hollow] == [pytest.approx([0.6])]
    assert labels[-2:] == ["class-balanced", "as imbalanced data show it"]
    assert figure.axes[1].get_ylim()[0] < 0.6


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"geometry/train_loss_balanced": np.nan},
        {"geometry/train_loss": 0.0, "geometry/train_loss_balanced": 0.0},
        {"geometry/train_loss": 30.0, "geometry/train_loss_balanced": 30.0, "m": 1.5},
    ],
)
def test_floor_figure_of_one_odd_trial(changes: dict[str, float]) -> None:
    trials, styles = table_of(trial("cosface", 64.0, **changes))
    with drawing():
        assert fits(loss_floor_figure(loss_floor(trials), styles))


def test_as_many_sizes_as_a_figure_holds_are_readable() -> None:
    sizes = [(10 * (i + 1), 16) for i in range(SIZES_SHOWN)]
    trials, styles = table_of(*(trial(arm, 4.0, size=size) for size in sizes for arm in LOSSES))
    with drawing():
        assert fits(loss_floor_figure(loss_floor(trials), styles))


def test_a_crossing_has_a_ring() -> None:
    wrong = trial("normface", 4.0) | {"trial_id": "w", "geometry/train_loss_balanced": 0.05}
    trials, styles = table_of(trial("normface", 2.0), wrong)
    with drawing():
        figure = loss_floor_figure(loss_floor(trials), styles)
    rings = [line for line in figure.axes[0].lines if line.get_markersize() == 10]
    assert [list(line.get_ydata()) for line in rings if len(line.get_xdata())] == [[0.05]]


def test_joint_figure_draws_both_bounds_for_each_scale() -> None:
    trials, styles = table_of(*(trial("cosface", s, m=m) for s in (8.0, 16.0) for m in (0.2, 0.5, 0.8)))
    with drawing():
        figure = joint_figure(joint_audit(trials), styles)
        assert fits(figure)
    (axes,) = figure.axes
    joint = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 10]
    paper = [line for line in axes.lines if line.get_linestyle() == "--"]
    for line, constant, s in zip(joint, paper, (8.0, 16.0), strict=True):
        m, value = line.get_xydata().T
        assert value == pytest.approx(s * (10 / 9 - m) - np.log(9))
        assert list(constant.get_ydata()) == pytest.approx([s * 10 / 9 - np.log(9)] * 2)
    assert [text for text in texts(axes) if text.startswith("$s$")] == ["$s$ = 8.00", "$s$ = 16.0"]


def test_joint_figure_of_many_scales_conditions_and_kinds() -> None:
    scales = 2.0 ** np.arange(8)
    sizes = ((10, 16), (50, 4))
    rows = [trial(arm, s, size=size, m=0.3) for arm in ("cosface", "arcface") for size in sizes for s in scales]
    trials, styles = table_of(*rows)
    with drawing():
        figure = joint_figure(joint_audit(trials), styles)
        assert fits(figure)
    assert [axes.get_xlabel() for axes in figure.axes] == ["margin $m$ (cosine)"] * 2 + ["margin $m$ (rad)"] * 2
    for axes in figure.axes:
        assert len([text for text in texts(axes) if text.startswith("$s$")]) == 5


def test_joint_figure_of_one_trial() -> None:
    trials, styles = table_of(trial("arcface", 8.0))
    with drawing():
        assert fits(joint_figure(joint_audit(trials), styles))


def test_tables() -> None:
    rows = [trial(arm, s) for arm in LOSSES for s in (1.0, 4.0)]
    rows[1]["geometry/train_loss_balanced"] *= 1.1
    rows += [trial("cosface", 6.0, m=m, size=(10, 8)) for m in (0.2, 0.9)]
    trials, styles = table_of(*rows)
    frame, audit = loss_floor(trials), joint_audit(trials)
    floors = floor_table(frame, styles).as_json({})
    assert floors["rows"][0] == {"group": "C10-K16"}
    assert floors["rows"][1]["cells"][1:] == ["10", "16", "2", "1.00 to 4.00", "1.2", "1.00", "1.26", "0", "0"]
    smallest = smallest_scale_table(frame).as_json({})
    assert [row["cells"] for row in smallest["rows"]] == [
        ["10", "2.30", "1.38", "60", "0.252", "3", number_of(frame), "100.0"]
    ]
    joint = joint_table(joint_reach(audit), audit, styles).as_json({})
    cells = [row["cells"] for row in joint["rows"] if "cells" in row]
    assert cells[-2][1:6] == ["0.5", "2", "1 of 1", "0 of 1", "–"]
    assert cells[-1][1:6] == ["0.9", "2", "1 of 1", "0 of 1", "–"]
    for table in (floors, smallest, joint):
        assert len(table["headings"]) == len(table["keys"])


def number_of(frame: pd.DataFrame) -> str:
    return f"{frame.loc[frame['s'] == 1.0, 'balanced'].median():.2f}"


def test_a_crossing_is_an_alarm_in_the_table() -> None:
    trials, styles = table_of(trial("normface", 4.0) | {"geometry/train_loss_balanced": 0.05})
    (row,) = floor_table(loss_floor(trials), styles).rows
    assert row["cells"][-2] == {"text": "1", "alarm": "yes"}
