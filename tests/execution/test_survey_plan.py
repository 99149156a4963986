"""Surveys before they run and while they run: what is planned, forecast and shown."""

import math
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from hpstudy.cli._live import watching
from hpstudy.cli._plan_view import show
from hpstudy.execution import Progress
from hpstudy.execution._forecast import AROUND_S, forecast, plan_arm
from hpstudy.execution._plan import plan_study
from hpstudy.execution._probe import Probe, TrialCost, probe_study
from hpstudy.execution._progress import ProgressKeeper
from hpstudy.record import TrialResult
from hpstudy.search import LaneState
from hpstudy.spec import Study, parse_study

SURVEY = """
version: 1
name: toy
question: What does s do?
data: {source: digits, identities: {train: 4, val: 0, test: 3}}
model: {width: 2, embedding_dim: 8}
training: {batch_size: 64, epochs: 4, steps_per_epoch: 6}
conditions: {model.embedding_dim: [8, 16]}
arms:
  listed: {loss: cosface, m: 0.2, grid: {s: [8, 16, 32]}}
  adaptive: {loss: adacos}
search: {objective: val/tar_at_far_1e-2, seeds: [0, 1, 2, 3, 4]}
confirm: {seeds: 0}
resources: {cpus: 1, max_parallel: 1}
"""
FREE = """
version: 1
name: free
question: Where do they go?
data: {source: free, identities: {train: 4, val: 0, test: 0}, samples: 8}
model: {name: free, embedding_dim: 2}
training: {batch_size: 16, epochs: 2, steps_per_epoch: 10}
arms: {listed: {loss: cosface, grid: {m: [0, 0.5]}}, adaptive: {loss: adacos}}
confirm: {seeds: 0}
resources: {max_parallel: 1}
"""
COST = TrialCost(
    steps_per_epoch=6,
    timed_steps=6,
    setup_s=1.0,
    step_s=0.1,
    epoch_s=2.0,
    validation_s=0.0,
    geometry_s=3.0,
    test_s=4.0,
    weights_bytes=1000,
    checkpoint_bytes=2000,
    peak_memory_mb=100.0,
)


def survey() -> Study:
    return parse_study(SURVEY)


def test_a_survey_plans_its_points_on_every_seed_and_tests_nothing(tmp_path: Path) -> None:
    found = plan_study(survey(), tmp_path / "home", probe=False, budget_s=1.0)
    assert found.trials == {"search": 0, "grid": 2 * 5 * (3 + 1), "confirm": 0}
    assert [(arm.arm, arm.search, arm.grid, arm.confirm) for arm in found.arms] == [
        ("listed", 0, 15, 0),
        ("adaptive", 0, 5, 0),
    ] * 2
    assert sum(arm.epochs for arm in found.arms) == 40 * 4
    assert found.expectation == "every trial trains all of its epochs"
    assert (found.power, found.forecast, found.notes) == (None, None, ())
    assert not list(tmp_path.iterdir())


def test_every_trial_of_a_survey_pays_for_being_judged() -> None:
    planned = survey()
    listed, adaptive = (plan_arm(planned, planned.conditions()[0], arm, COST) for arm in planned.arms)
    trial_s = 1 + 4 * 2.0 + 3 + 4
    assert listed.expected_s == listed.most_s == 15 * trial_s
    assert adaptive.expected_s == adaptive.most_s == 5 * trial_s
    assert listed.search_trial_s == adaptive.search_trial_s == trial_s
    assert adaptive.steps == 5 * 4 * 6


@pytest.mark.parametrize("slots", [1, 2])
def test_a_forecast_adds_the_trials_up_and_keeps_no_weights(slots: int) -> None:
    planned = survey()
    arms = [plan_arm(planned, condition, arm, COST) for condition in planned.conditions() for arm in planned.arms]
    keys = [(condition.id, arm.name) for condition in planned.conditions() for arm in planned.arms]
    probe = Probe(costs=dict.fromkeys(keys, COST), workers=2, gpus=0, start_s=5.0, data_bytes=10, waited=0.0, timed=2)
    found = forecast(planned, arms, probe, slots)
    assert found.weights_bytes == 0
    assert found.expected_wall_s == found.most_wall_s == pytest.approx(AROUND_S + 5.0 + 40 * 16.0 / slots)


@pytest.mark.parametrize("text", [SURVEY, FREE], ids=["images", "free"])
def test_the_probe_times_what_is_not_validated(tmp_path: Path, text: str) -> None:
    planned = parse_study(text)
    found = probe_study(planned, tmp_path / "home" / "datasets", workers=1, budget_s=1.0)
    assert found is not None
    assert {arm for _, arm in found.costs} == {"listed", "adaptive"}
    for cost in found.costs.values():
        assert cost.steps_per_epoch == planned.spec.training.steps_per_epoch
        assert cost.validation_s == 0
        assert cost.epoch_s > 0
        assert math.isfinite(cost.test_s)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", [SURVEY, FREE], ids=["images", "free"])
def test_a_plan_on_the_screen_says_that_a_survey_tests_no_difference(tmp_path: Path, text: str) -> None:
    screen = StringIO()
    planned = parse_study(text)
    show(Console(file=screen, width=110), plan_study(planned, tmp_path, probe=False, budget_s=1.0))
    lines = [" ".join(line.split()) for line in screen.getvalue().splitlines()]
    trials = sum(planned.planned_trials().values())
    assert any(f"{trials} grid trials" in line for line in lines)
    assert " ".join(lines).count("it tests no difference between arms") == 1
    assert not [line for line in lines if "detectable" in line or "confirm" in line or "nan" in line]


# While it runs


def result(trial: str, objective: float, status: str = "completed") -> TrialResult:
    return TrialResult(
        study="toy", trial_id=trial, arm="listed", condition="default", phase="grid", search_seed=0, number=0, seed=0,
        loss="cosface", num_classes=4, embedding_dim=8, s=8.0, m=0.2, status=status, objective=objective,
        groups={"param/s": 8.0, "cost/wall_s": 10.0},
    )  # fmt: skip


LANES = [LaneState(arm="listed", condition="default", phase="grid", search_seed=0, budget=3)]


def snapshots() -> list[Progress]:
    """A trial begins, tells of an epoch, and three end: one without an objective, one that diverged, one with one."""
    keeper, seen = ProgressKeeper(), []
    seen.append(keeper.snapshot(LANES))
    keeper.started("listed", "default", "a")
    keeper.reported("listed", "default", "a", 2, math.nan)
    seen.append(keeper.snapshot(LANES))
    for ended in (result("a", math.nan), result("b", math.nan, "diverged"), result("c", 0.25)):
        keeper.finished(ended)
        seen.append(keeper.snapshot(LANES))
    return seen


def test_a_trial_without_an_objective_is_counted_and_has_no_score() -> None:
    seen = [each.arms[0] for each in snapshots()]
    assert seen[1].running == ("epoch 2",)
    assert (seen[2].search_done, seen[2].best, dict(seen[2].best_params)) == (1, None, {})
    assert (seen[3].search_done, seen[3].diverged, seen[3].best) == (2, 1, None)
    assert (seen[4].search_done, seen[4].search_total, seen[4].best) == (3, 3, 0.25)


@pytest.mark.parametrize("terminal", [False, True], ids=["lines", "table"])
def test_nothing_on_the_screen_is_nan(terminal: bool) -> None:
    screen = StringIO()
    console = Console(file=screen, width=120, force_terminal=terminal)
    with watching(console, "toy") as observe:
        for progress in snapshots():
            observe(progress)
    text = screen.getvalue()
    assert "nan" not in text
    if not terminal:
        assert "] a completed, about 0:20 left" in text
        assert "] b diverged" in text
        assert "] c completed val 0.250" in text
