"""Every sampler: points inside the ranges, from the seed and the journal alone, wherever the driver is killed."""

import math
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest

from hpstudy.record import TrialRequest
from hpstudy.search import Planner
from hpstudy.spec import Study, parse_study

SAMPLERS = ("tpe", "random", "qmc", "grid", "gp", "cmaes")
CHANCE = 1e-3
SPACES = {
    "one": "loss: normface, search: {s: {log: [2, 64]}}",
    "two": "loss: cosface, search: {s: {log: [2, 64]}, m: {linear: [0, 0.6]}}",
    "with the learning rate": "loss: cosface, search: {s: {log: [2, 64]}, m: {linear: [0, 0.6]}, "
    "training.optimizer.lr: {log: [0.01, 0.3]}}",
    "of every kind": "loss: cosface, search: {s: {choice: [16, 32, 64]}, m: {linear: [0, 0.6]}, "
    "training.batch_size: {int: [16, 128]}}",
    "choices only": "loss: cosface, search: {s: {choice: [8, 16, 32, 64]}, m: {choice: [0.2, 0.35, 0.5]}}",
    "nothing but the learning rate": "loss: adacos, search: {training.optimizer.lr: {log: [0.01, 0.3]}}",
}
Point = tuple[float, ...]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda file: None)


@dataclass(frozen=True)
class Outcome:
    status: str
    objective: float


def study_of(arm: str, sampler: str, trials: int = 12, seeds: tuple[int, ...] = (0,), defaults: bool = True) -> Study:
    return parse_study(
        f"version: 1\nname: toy\nmodel: {{width: 4}}\narms:\n  a: {{{arm}}}\nconfirm: {{seeds: 1}}\n"
        f"search: {{sampler: {sampler}, trials: {trials}, seeds: {list(seeds)}, "
        f"paper_defaults: {str(defaults).lower()}, early_stopping: {{kind: none}}}}\n"
    )


def judged(params: Mapping[str, float]) -> Outcome:
    """Best at s = 16, m = 0.4, a learning rate of 0.05 and the smallest batch."""
    far = math.log(params.get("s", 16) / 16) ** 2 + 4 * (params.get("m", 0.4) - 0.4) ** 2
    far += math.log(params.get("training.optimizer.lr", 0.05) / 0.05) ** 2 / 4
    return Outcome("completed", 0.9 - 0.1 * far - params.get("training.batch_size", 16) / 1e4)


def searched(
    study: Study,
    journal: Path,
    judge: Callable[[Mapping[str, float]], Outcome] = judged,
    at_once: int = 1,
    at_most: int = 10**6,
) -> list[TrialRequest]:
    """Runs the search trials of a study, `at_once` at a time, and returns those handed out."""
    planner = Planner(study, journal, lookup=lambda trial_id: None)
    planner.spread_over(at_once)
    handed_out: list[TrialRequest] = []
    running: list[TrialRequest] = []
    while len(handed_out) < at_most:
        request = planner.next()
        if isinstance(request, TrialRequest) and request.phase == "search":
            handed_out.append(request)
            running.append(request)
            if len(running) < at_once:
                continue
        if not running:
            break
        ended = running.pop(0)
        outcome = judge(ended.params)
        planner.report(ended.trial_id, 1, outcome.objective)
        planner.finish(ended.trial_id, outcome)
    return handed_out


def points(requests: list[TrialRequest]) -> dict[int, Point]:
    return {request.number: tuple(request.params.values()) for request in requests}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("space", SPACES)
def test_points_lie_in_the_ranges_and_the_paper_default_comes_first(tmp_path: Path, sampler: str, space: str) -> None:
    study = study_of(SPACES[space], sampler, trials=8 if sampler == "gp" else 16)
    (arm,) = study.arms
    requests = searched(study, tmp_path / "journal")
    assert len(requests) == study.planned_trials()["search"] <= 16
    for request in requests:
        assert list(request.params) == list(arm.space)
        assert all(entry.contains(request.params[name]) for name, entry in arm.space.items())
        study.trial_settings("a", "default", request.params)
    assert requests[0].params == arm.paper_default_point()
    assert [request.origin for request in requests].count("paper default") == 1
    assert requests[0].params.get("training.optimizer.lr", 0.1) == study.spec.training.optimizer.lr
    if space != "choices only":
        assert len({tuple(request.params.values()) for request in requests}) > len(requests) // 2


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_points_depend_on_the_search_seed_alone(tmp_path: Path, sampler: str) -> None:
    study = study_of(SPACES["of every kind"], sampler, trials=6 if sampler == "gp" else 14, seeds=(0, 1))
    first, second = (searched(study, tmp_path / name) for name in ("first", "second"))
    assert first == second
    by_seed = [[tuple(r.params.values()) for r in first if r.search_seed == seed][1:] for seed in (0, 1)]
    assert by_seed[0] != by_seed[1]
    assert (set(by_seed[0]) == set(by_seed[1])) == (sampler == "grid")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_goes_on_the_same_wherever_its_driver_was_killed(tmp_path: Path, sampler: str) -> None:
    study = study_of(SPACES["with the learning rate"], sampler, trials=7 if sampler == "gp" else 10)
    whole = points(searched(study, tmp_path / "whole"))
    lines = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
    for kept in range(1, len(lines), 7 if sampler == "gp" else 3):
        journal = tmp_path / f"cut {kept}"
        journal.write_bytes(b"".join(lines[:kept]) + b'{"op_code"')
        rest = points(searched(study, journal))
        assert rest == {number: whole[number] for number in sorted(rest)}
        assert max(rest, default=len(whole) - 1) == len(whole) - 1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_several_trials_at_a_time_are_spread_out(tmp_path: Path, sampler: str) -> None:
    study = study_of(SPACES["two"], sampler, trials=24)
    requests = searched(study, tmp_path / "journal", at_once=4)
    assert [request.number for request in requests] == list(range(study.planned_trials()["search"]))
    assert len(set(points(requests).values())) >= 0.9 * len(requests)


CONTINUE = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_samplers import SPACES, points, searched, study_of
print(points(searched(study_of(SPACES["two"], {sampler!r}), Path({journal!r}))))
print("torch" in sys.modules)
"""


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_another_process_goes_on_with_the_same_points_and_only_gp_loads_torch(tmp_path: Path, sampler: str) -> None:
    study = study_of(SPACES["two"], sampler)
    whole = points(searched(study, tmp_path / "whole"))
    searched(study, tmp_path / "cut", at_most=8)
    code = CONTINUE.format(folder=str(Path(__file__).parent), sampler=sampler, journal=str(tmp_path / "cut"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str({number: whole[number] for number in range(8, 12)}), str(sampler == "gp")]


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_what_learns_finds_better_points_than_chance(tmp_path: Path, sampler: str) -> None:
    found = {}
    for name in (sampler, "random"):
        study = study_of(SPACES["with the learning rate"], name, trials=30, defaults=False)
        requests = searched(study, tmp_path / name)
        found[name] = [judged(request.params).objective for request in requests]
    assert sum(found[sampler][15:]) > sum(found["random"][15:])


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_trials_that_are_stopped_early_keep_a_sampler_away(tmp_path: Path, sampler: str) -> None:
    def stopped(params: Mapping[str, float]) -> Outcome:
        return Outcome("pruned", 0.1) if params["m"] > 0.3 else Outcome("completed", 0.6 + params["m"])

    study = study_of(SPACES["two"], sampler, trials=30, defaults=False)
    requests = searched(study, tmp_path / "journal", stopped)
    assert sum(request.params["m"] > 0.3 for request in requests[15:]) < 10


# Divergence


def cliff(params: Mapping[str, float]) -> Outcome:
    """Better up to m = 0.5, where training diverges."""
    if params["m"] > 0.5:
        return Outcome("diverged", CHANCE)
    return Outcome("completed", 0.95 - 0.3 * (0.5 - params["m"]) - 0.05 * abs(math.log(params["s"] / 16)))


CLIFF = "loss: cosface, search: {s: {log: [2, 64]}, m: {linear: [0, 1]}}"


def told_nan(seed: int, trials: int) -> list[Outcome]:
    """The same search where a diverged trial is told as NaN, which Optuna keeps as a failure and TPE doesn't read."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    outcomes = []
    for _ in range(trials):
        trial = study.ask()
        outcome = cliff({"s": trial.suggest_float("s", 2, 64, log=True), "m": trial.suggest_float("m", 0, 1)})
        outcomes.append(outcome)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The value nan is not acceptable")
            study.tell(trial, outcome.objective if outcome.status == "completed" else math.nan)
    assert sum(trial.state.name == "FAIL" for trial in study.trials) == diverged(outcomes)
    return outcomes


def diverged(outcomes: list[Outcome]) -> int:
    return sum(outcome.status == "diverged" for outcome in outcomes)


def best(outcomes: list[Outcome]) -> float:
    return max(outcome.objective for outcome in outcomes)


def test_a_search_does_not_walk_off_the_cliff(tmp_path: Path) -> None:
    seeds, trials = range(10), 60
    study = study_of(CLIFF, "tpe", trials=trials, seeds=tuple(seeds), defaults=False)
    requests = searched(study, tmp_path / "journal", cliff)
    ours = [[cliff(r.params) for r in requests if r.search_seed == seed] for seed in seeds]
    theirs = [told_nan(seed, trials) for seed in seeds]
    assert [len(outcomes) for outcomes in ours] == [trials] * len(seeds)
    mean_diverged = [sum(map(diverged, runs)) / len(seeds) for runs in (ours, theirs)]
    mean_best = [sum(map(best, runs)) / len(seeds) for runs in (ours, theirs)]
    assert mean_diverged[0] < 30
    assert mean_diverged[1] > 45
    assert mean_best[0] > mean_best[1] + 0.015


@pytest.mark.parametrize("sampler", ["gp", "cmaes"])
def test_the_other_learners_keep_from_the_cliff_too(tmp_path: Path, sampler: str) -> None:
    study = study_of(CLIFF, sampler, trials=30, defaults=False)
    outcomes = [cliff(request.params) for request in searched(study, tmp_path / "journal", cliff)]
    assert diverged(outcomes[15:]) < 9
    assert best(outcomes) > 0.9
