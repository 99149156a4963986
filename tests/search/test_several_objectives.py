"""Searches of several objectives: what they are told, where they look, and what they choose."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import pytest

from hpstudy.record import TrialRequest
from hpstudy.search import Planner
from hpstudy.spec import Study, parse_study

SAMPLERS = ("tpe", "random", "qmc", "grid", "gp")
SPACE = "s: {log: [4, 64]}, training.epochs: {choice: [1, 2, 4, 8]}"
Params = Mapping[str, float]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda file: None)


@dataclass(frozen=True)
class Outcome:
    status: str
    objective: float
    groups: Mapping[str, float] = field(default_factory=dict)


def study_of(
    sampler: str, trials: int, space: str = SPACE, objectives: str = "val/tar_at_far_1e-3, cost/cpu_s"
) -> Study:
    return parse_study(
        f"version: 1\nname: toy\narms:\n  a: {{loss: normface, search: {{{space}}}}}\nconfirm: {{seeds: 1}}\n"
        f"search: {{objective: [{objectives}], sampler: {sampler}, trials: {trials}, paper_defaults: false}}\n"
    )


def judged(params: Params) -> Outcome:
    """Every epoch gains and costs: the best of each number of epochs has s = 16, and all of these are the front."""
    value = 0.9 * (1 - 2 ** -params["training.epochs"]) - 0.05 * abs(math.log(params["s"] / 16))
    return Outcome("completed", value, {"cost/cpu_s": 3.0 * params["training.epochs"]})


def searched(
    study: Study, journal: Path, judge: Callable[[Params], Outcome] = judged, at_most: int = 1000
) -> list[TrialRequest]:
    planner = Planner(study, journal, lookup=lambda trial_id: None)
    handed_out = []
    while len(handed_out) < at_most:
        request = planner.next()
        if not isinstance(request, TrialRequest) or request.phase != "search":
            break
        handed_out.append(request)
        outcome = judge(request.params)
        assert not planner.report(request.trial_id, 1, outcome.objective)
        planner.finish(request.trial_id, outcome)
    return handed_out


def confirmed(study: Study, journal: Path, judge: Callable[[Params], Outcome]) -> Params:
    searched(study, journal, judge)
    request = Planner(study, journal, lookup=lambda trial_id: None).next()
    assert isinstance(request, TrialRequest)
    assert request.phase == "confirm"
    return request.params


def told(journal: Path) -> optuna.Study:
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    return optuna.load_study(study_name="a.default.search.s0", storage=storage)


def points(requests: list[TrialRequest]) -> dict[int, tuple[float, ...]]:
    return {request.number: tuple(request.params.values()) for request in requests}


def test_the_front_of_a_factorial_is_the_known_one(tmp_path: Path) -> None:
    searched(study_of("grid", 20), tmp_path / "journal")
    study = told(tmp_path / "journal")
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    front = sorted((trial.params["training.epochs"], trial.params["s"]) for trial in study.best_trials)
    assert front == [(epochs, pytest.approx(16)) for epochs in (1, 2, 4, 8)]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_goes_on_the_same_wherever_its_driver_was_killed(tmp_path: Path, sampler: str) -> None:
    study = study_of(sampler, trials=4 if sampler == "gp" else 8)
    whole = points(searched(study, tmp_path / "whole"))
    lines = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
    # Three lines end a trial: its status, whether it diverged, its values.
    assert sum("constraints:diverged" in str(json.loads(line)) for line in lines) == len(whole)
    for kept in range(len(lines) - 16 if sampler == "gp" else 1, len(lines), 5 if sampler == "gp" else 2):
        journal = tmp_path / f"cut {kept}"
        journal.write_bytes(b"".join(lines[:kept]) + b'{"op_code"')
        rest = points(searched(study, journal))
        assert rest == {number: whole[number] for number in sorted(rest)}
        assert max(rest, default=len(whole) - 1) == len(whole) - 1


def test_what_learns_comes_nearer_to_the_front_than_chance(tmp_path: Path) -> None:
    far = {}
    for sampler in ("tpe", "random"):
        requests = searched(study_of(sampler, trials=60), tmp_path / sampler)
        far[sampler] = sum(abs(math.log(request.params["s"] / 16)) for request in requests[20:])
        assert {request.params["training.epochs"] for request in requests[20:]} == {1, 2, 4, 8}
    assert far["tpe"] < 0.75 * far["random"]


# Divergence


def cliff(params: Params) -> Outcome:
    """Diverges at once, and cheaply, from s = 32 on."""
    if params["s"] >= 32:
        return Outcome("diverged", 1e-3, {"cost/cpu_s": 0.1})
    return judged(params)


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid"])
def test_what_diverged_cheaply_is_never_on_the_front(tmp_path: Path, sampler: str) -> None:
    requests = searched(study_of(sampler, trials=24), tmp_path / "journal", cliff)
    diverged = {request.number for request in requests if request.params["s"] >= 32}
    study = told(tmp_path / "journal")
    assert diverged
    assert {trial.number for trial in study.best_trials}.isdisjoint(diverged)
    assert all(study.trials[number].values == [1e-3, 0.1] for number in diverged)
    assert all(trial.state.name == "COMPLETE" for trial in study.trials)


def test_a_model_of_both_objectives_keeps_from_the_cliff(tmp_path: Path) -> None:
    requests = searched(study_of("gp", trials=12), tmp_path / "journal", cliff)
    assert sum(request.params["s"] >= 32 for request in requests[6:]) <= 2


def test_a_search_whose_every_trial_diverged_goes_on_and_confirms_nothing(tmp_path: Path) -> None:
    def dead(params: Params) -> Outcome:
        return Outcome("diverged", 1e-3, {"cost/cpu_s": 0.1})

    for sampler in ("tpe", "gp"):
        study = study_of(sampler, trials=4)
        assert len(searched(study, tmp_path / sampler, dead)) == 4
        assert Planner(study, tmp_path / sampler, lookup=lambda trial_id: None).finished


def test_a_metric_that_a_diverged_trial_lacks_is_told_at_chance_and_failed_trials_are_no_evidence(
    tmp_path: Path,
) -> None:
    def ended(params: Params) -> Outcome:
        return Outcome("diverged" if params["s"] > 16 else "failed", 1e-3, {"cost/cpu_s": 2.0})

    study = study_of("qmc", trials=4, objectives="val/tar_at_far_1e-3, cost/cpu_s, val/tar_at_far_1e-2")
    requests = searched(study, tmp_path / "journal", ended)
    expected = [("COMPLETE", [1e-3, 2.0, 1e-2]) if r.params["s"] > 16 else ("FAIL", None) for r in requests]
    assert [(trial.state.name, trial.values) for trial in told(tmp_path / "journal").trials] == expected


# The choice


def test_the_first_objective_chooses_and_the_next_decides_among_equals(tmp_path: Path) -> None:
    def flat(params: Params) -> Outcome:
        return Outcome("completed", min(judged(params).objective, 0.5), judged(params).groups)

    best = confirmed(study_of("grid", 20), tmp_path / "strict", judged)
    assert (best["training.epochs"], best["s"]) == (8, pytest.approx(16))
    assert confirmed(study_of("grid", 20), tmp_path / "flat", flat)["training.epochs"] == 2
