"""Maps, importance and fidelity by their artists, and their tables."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from scipy.special import expit

from hpstudy.analysis import (
    arm_kinds,
    fidelity,
    fit_responses,
    importance,
    metric_name,
    search_points,
    surface_summary,
    surfaces,
)
from hpstudy.reporting._fidelity_figure import fidelity_figure
from hpstudy.reporting._importance_figure import importance_figure
from hpstudy.reporting._label_places import emptiest
from hpstudy.reporting._map_figure import map_figure, mapped_arms
from hpstudy.reporting._response_tables import fidelity_table, importance_table, surface_table
from hpstudy.reporting._style import arm_styles, drawing
from hpstudy.spec import LinearRange, LogRange

OBJECTIVE = "val/tar_at_far_1e-3"
NAME = metric_name(OBJECTIVE)
WORDS = {"points": " (points)", "margin": "1.0 points"}
RANGES = {
    "normface": {"s": LogRange(log=(2.0, 64.0))},
    "cosface": {"s": LogRange(log=(2.0, 64.0)), "m": LinearRange(linear=(0.0, 0.6))},
}


def record(trials: int, *, searches: int = 1, lr: bool = False) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Two searched arms and an adaptive one; cosface diverges in a corner and some of its trials are pruned."""
    rng = np.random.default_rng(0)
    rows, epochs = [], {}
    for arm in ("normface", "cosface"):
        for search in range(searches):
            for number in range(trials):
                s, m = float(2 * 32 ** rng.random()), float(0.6 * rng.random()) if arm == "cosface" else np.nan
                logit = 1.5 - 0.8 * np.log(s / 16) ** 2 - (12 * (m - 0.3) ** 2 if arm == "cosface" else 0)
                value = float(expit(logit + 0.05 * rng.standard_normal()))
                status = "diverged" if arm == "cosface" and s > 32 and m > 0.4 else "completed"
                status = "pruned" if arm == "cosface" and number % 9 == 8 and status == "completed" else status
                trial_id = f"{arm}.default.search.s{search}.{number:03d}"
                epochs[trial_id] = pd.DataFrame(
                    {"epoch": [1, 2, 3, 4], OBJECTIVE: value * np.array([0.4, 0.7, 0.9, 1])}
                )
                extra = {"param/training.optimizer.lr": float(10 ** rng.uniform(-2, 0))} if lr else {}
                rows.append(
                    {
                        "trial_id": trial_id, "arm": arm, "condition": "default", "phase": "search",
                        "search_seed": search, "number": number, "loss": arm, "s": s, "m": m, "status": status,
                        "objective": 0.001 if status == "diverged" else value, "num_classes": 300,
                        "embedding_dim": 256, "param/s": s, "param/m": m, **extra,
                    }
                )  # fmt: skip
    for arm in ("normface", "cosface", "adacos"):
        for seed in (101, 102):
            trial_id = f"{arm}.default.confirm.s0.{seed}"
            value = {"normface": 0.7, "cosface": 0.8, "adacos": 0.75}[arm]
            epochs[trial_id] = pd.DataFrame({"epoch": [1, 2, 3, 4], OBJECTIVE: value * np.array([0.4, 0.7, 0.9, 1])})
            rows.append(
                {
                    "trial_id": trial_id, "arm": arm, "condition": "default", "phase": "confirm", "search_seed": 0,
                    "number": seed, "loss": arm, "s": 20.0, "m": 0.3, "status": "completed", "objective": value,
                    "num_classes": 300, "embedding_dim": 256,
                }
            )  # fmt: skip
    return pd.DataFrame(rows), epochs


def drawn_map(trials: pd.DataFrame) -> Figure:
    points = search_points(trials)
    with drawing():
        return map_figure(points, mapped_arms(points), NAME, surfaces(fit_responses(trials, OBJECTIVE, RANGES), 0.01))


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title("left") == title)


def svg(figure: Figure) -> str:
    with drawing():
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def test_a_map_has_contours_with_values_and_every_trial_on_top() -> None:
    trials, _ = record(40, searches=2)
    axes = panel(drawn_map(trials), "cosface")
    lines = [c for c in axes.collections if isinstance(c, QuadContourSet) and not c.filled]
    assert len(lines) == 1
    levels = {f"{level:g}" for level in lines[0].levels}
    labels = {text.get_text() for text in axes.texts}
    assert len(labels & levels) >= 2
    own = trials[(trials["arm"] == "cosface") & (trials["phase"] == "search")]
    marks = [c for c in axes.collections if isinstance(c, PathCollection)]
    counts = own["status"].value_counts()
    assert sorted(len(c.get_offsets()) for c in marks) == sorted([counts["completed"], counts["pruned"], 2])
    crosses = [line for line in axes.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [len(line.get_xdata()) for line in crosses] == [counts["diverged"]]
    assert crosses[0].get_color() == "#cc0022"
    best = own.loc[own["status"] == "completed", "objective"].max()
    assert f"{100 * best:.1f}" in labels
    assert re.fullmatch(r"\$Q\^2\$ = [01]\.\d\d", axes.get_title("right"))


def test_the_map_covers_the_searched_box_and_stays_off_divergence() -> None:
    trials, _ = record(40)
    (surface,) = [s for s in surfaces(fit_responses(trials, OBJECTIVE, RANGES), 0.01) if s.arm == "cosface"]
    axes = panel(drawn_map(trials), "cosface")
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert left < 2 < 64 < right
    assert low < 0 < 0.6 < high
    diverged = trials[trials["status"] == "diverged"]
    for s, m in zip(diverged["s"], diverged["m"], strict=True):
        row, column = (np.abs(axis - at).argmin() for axis, at in zip(surface.grid[::-1], (m, s), strict=True))
        assert not surface.known[row, column]


def test_one_value_has_a_curve_with_a_band() -> None:
    trials, _ = record(20)
    axes = panel(drawn_map(trials), "normface")
    curve = max(axes.lines, key=lambda line: len(line.get_xdata()))
    assert len(curve.get_xdata()) == 201
    assert axes.get_ylabel() == "validation value (%)"


def test_without_a_fit_the_points_stand_alone() -> None:
    trials, _ = record(5)
    figure = drawn_map(trials)
    for axes in figure.axes[:2]:
        assert not [c for c in axes.collections if isinstance(c, QuadContourSet)]
        assert axes.get_title("right") == ""


def test_what_is_held_is_said() -> None:
    trials, _ = record(60, lr=True)
    assert re.match(r"lr = [\d.]+; \$Q\^2\$", panel(drawn_map(trials), "cosface").get_title("right"))


def test_the_same_trials_give_the_same_bytes() -> None:
    trials, epochs = record(14)
    assert svg(drawn_map(trials)) == svg(drawn_map(trials))
    ranks = fidelity(trials, epochs.__getitem__, OBJECTIVE, rungs=[2])
    with drawing():
        figures = [fidelity_figure(ranks, arm_styles(arm_kinds(trials))) for _ in range(2)]
    assert svg(figures[0]) == svg(figures[1])


def test_importance_has_a_bar_and_an_interval_for_each_source() -> None:
    trials, _ = record(40)
    shares = importance(fit_responses(trials, OBJECTIVE, RANGES))
    with drawing():
        figure = importance_figure(shares, arm_styles(arm_kinds(trials)))
    cosface = next(axes for axes in figure.axes if axes.texts[0].get_text() == "cosface")
    assert [label.get_text() for label in cosface.get_yticklabels()] == ["$s$", "$m$", "$s$ × $m$", "unexplained"]
    widths = [bar.get_width() for bar in cosface.patches]
    assert widths == pytest.approx(100 * shares.loc[shares["arm"] == "cosface", "share"].to_numpy())
    assert sum(widths) == pytest.approx(100, abs=0.01)


def test_fidelity_has_a_panel_for_each_arm_and_one_for_the_confirm_trials() -> None:
    trials, epochs = record(12)
    ranks = fidelity(trials, epochs.__getitem__, OBJECTIVE, rungs=[2])
    with drawing():
        figure = fidelity_figure(ranks, arm_styles(arm_kinds(trials)))
    own = trials[(trials["arm"] == "cosface") & (trials["phase"] == "search")]["status"].value_counts()
    count = f"{own['completed']} of {own['completed'] + own['pruned']} trials"
    assert [sorted(text.get_text() for text in axes.texts) for axes in figure.axes] == [
        [count, "cosface"], ["12 trials", "normface"], ["3 points", "all arms, confirm"],
    ]  # fmt: skip


def test_tables_say_what_the_frames_say() -> None:
    trials, epochs = record(40)
    styles, responses = arm_styles(arm_kinds(trials)), fit_responses(trials, OBJECTIVE, RANGES)
    optimum = surface_table(surface_summary(surfaces(responses, 0.01)), styles, NAME)
    assert len(optimum.rows) == 2
    assert optimum.rows[1]["cells"][4].startswith("s = ")
    assert ", m = 0." in optimum.rows[1]["cells"][4]
    shares = importance_table(importance(responses), styles, NAME)
    assert [row["cells"][4] for row in shares.rows] == ["s", "unexplained", "s", "m", "s × m", "unexplained"]
    ranks = fidelity_table(fidelity(trials, epochs.__getitem__, OBJECTIVE), styles, NAME)
    assert [row["cells"][2] for row in ranks.rows] == ["1 of 4", "2 of 4"] * 3
    assert ranks.rows[-2]["cells"][0] == "all arms, confirm"
    for table in (optimum, shares, ranks):
        assert [table.heading(key, WORDS) for key, _ in table.columns]
        table.as_json(WORDS)
    few, _ = record(5)
    refused = importance_table(importance(fit_responses(few, OBJECTIVE, RANGES)), styles, NAME)
    assert refused.rows[0]["cells"][4].endswith("are needed")


def test_text_goes_where_there_is_room() -> None:
    candidates = np.array([[0.5, 0.5], [0.2, 0.5], [0.99, 0.5]])
    assert emptiest(candidates, []) == 0
    assert emptiest(candidates, [np.array([[0.5, 0.52]])]) == 1
    assert emptiest(candidates, [], [np.array([[0.5, 0.5], [0.2, 0.5]])]) is None
    assert emptiest(candidates[2:], []) is None
