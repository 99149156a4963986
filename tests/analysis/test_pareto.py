"""The front of several objectives, and which point a search chose."""

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from hpstudy.analysis import metric_name, pareto_front, search_points

TAR, CPU = "val/tar_at_far_1e-3", "cost/cpu_s"
Point = tuple[float, float]


def record(points: dict[str, list[Point]], **changes: Any) -> pd.DataFrame:
    rows = [
        {
            "condition": "default", "arm": arm, "loss": "cosface", "phase": "search", "search_seed": 0, "number": i,
            "trial_id": f"{arm}.{i}", "s": 10.0 + i, "m": 0.3, "status": "completed", "objective": tar, TAR: tar,
            CPU: cost, "param/s": 10.0 + i, "param/training.epochs": cost,
        }
        | changes
        for arm, found in points.items()
        for i, (tar, cost) in enumerate(found)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def on(front: pd.DataFrame, column: str) -> set[str]:
    return set(front.loc[front[column], "trial_id"])


def test_a_known_front() -> None:
    trials = record({"a": [(0.9, 30), (0.8, 10), (0.7, 20), (0.8, 10)], "b": [(0.85, 12), (0.5, 5), (0.5, 6)]})
    front = pareto_front(trials, [TAR, CPU])
    assert on(front, "on_front") == {"a.0", "a.1", "a.3", "b.0", "b.1"}
    assert on(front, "on_arm_front") == {"a.0", "a.1", "a.3", "b.0", "b.1"}
    assert on(front, "chosen") == {"a.0", "b.0"}
    assert front["trial_id"].to_list() == ["a.0", "a.1", "a.3", "a.2", "b.0", "b.1", "b.2"]
    assert set(front) >= {"condition", "arm", "s", "m", TAR, CPU, "param/training.epochs"}
    assert "param/s" not in front


def test_an_arm_that_is_beaten_everywhere_has_a_front_of_its_own() -> None:
    front = pareto_front(record({"a": [(0.9, 1)], "b": [(0.8, 3), (0.7, 2), (0.6, 4)]}), [TAR, CPU])
    assert on(front, "on_front") == {"a.0"}
    assert on(front, "on_arm_front") == {"a.0", "b.0", "b.1"}


def test_conditions_have_fronts_of_their_own() -> None:
    first = record({"a": [(0.9, 1)]})
    second = record({"a": [(0.5, 2)]}, condition="small", trial_id="a.small")
    front = pareto_front(pd.concat([first, second], ignore_index=True), [TAR, CPU])
    assert front["on_front"].all()
    assert front["condition"].to_list() == ["default", "small"]


def test_only_completed_trials_of_searches_and_grids_count() -> None:
    trials = record({"a": [(0.001, 0.1), (0.9, 30), (0.4, 1), (0.95, 1), (0.2, 2), (0.3, np.nan)]})
    trials["status"] = ["diverged", "completed", "pruned", "completed", "completed", "completed"]
    trials["phase"] = ["search", "search", "search", "confirm", "grid", "search"]
    front = pareto_front(trials, [TAR, CPU])
    assert set(front["trial_id"]) == on(front, "on_front") == {"a.1", "a.4"}


def test_nothing_completed_gives_an_empty_frame() -> None:
    front = pareto_front(record({"a": [(0.001, 0.1)]}, status="diverged"), [TAR, CPU])
    assert front.empty
    assert {"on_front", "on_arm_front", "chosen", TAR, CPU} <= set(front)


def test_two_metrics_are_both_maximised() -> None:
    trials = record({"a": [(0.9, 1), (0.8, 2), (0.7, 0.5)]}).rename(columns={CPU: "val/tar_at_far_1e-2"})
    assert on(pareto_front(trials, [TAR, "val/tar_at_far_1e-2"]), "on_front") == {"a.0", "a.1"}


def test_the_next_objective_decides_among_equals() -> None:
    trials = record({"a": [(0.8, 30), (0.8, 10), (0.8, 10), (0.7, 1)]})
    assert on(search_points(trials), "chosen") == {"a.0"}
    assert on(search_points(trials, [TAR, CPU]), "chosen") == on(pareto_front(trials, [TAR, CPU]), "chosen") == {"a.1"}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=25))
def test_whatever_is_off_the_front_is_beaten_by_something_on_it(found: list[tuple[int, int]]) -> None:
    front = pareto_front(record({"a": [(float(x), float(y)) for x, y in found]}), [TAR, CPU])
    rows = front[[TAR, CPU, "on_front"]].to_numpy(dtype=float)
    leading = rows[rows[:, 2] == 1]
    assert len(leading)
    for tar, cost, is_leading in rows:
        as_good = (leading[:, 0] >= tar) & (leading[:, 1] <= cost)
        better = (leading[:, 0] > tar) | (leading[:, 1] < cost)
        assert bool((as_good & better).any()) is not bool(is_leading)


def test_costs_have_names_and_units() -> None:
    assert (metric_name(CPU).title, metric_name(CPU).value(12.34)) == ("CPU time of a trial", "12.3\N{NO-BREAK SPACE}s")
    assert metric_name("cost/peak_memory_mb").unit == "MiB"
    assert not metric_name(CPU).is_rate
