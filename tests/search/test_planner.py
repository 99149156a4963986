"""The planner: budgets, order, early stopping, and what a killed driver leaves."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest

from hpstudy.record import TrialRequest
from hpstudy.search import Decision, Planner
from hpstudy.spec import Study, parse_study

STUDY = """
version: 1
name: toy
question: Which?
training: {{epochs: 4}}
arms:
  normface: {{loss: normface, search: {{s: {{log: [2, 64]}}}}}}
  cosface: {{loss: cosface, search: {{s: {{log: [2, 64]}}, m: {{linear: [0, 0.6]}}}}}}
  adacos: {{loss: adacos}}
search: {{trials: 5, sampler: {sampler}, early_stopping: {{kind: {early}, grace_epochs: 1, reduction_factor: 2}}}}
confirm: {{seeds: 2}}
"""


@dataclass(frozen=True)
class Outcome:
    status: str
    objective: float


class Bench:
    """Runs a plan to its end, in the order handed out, with a made-up objective; remembers everything."""

    def __init__(self, study: Study, journal: Path, slots: int = 1, record: dict[str, Outcome] | None = None) -> None:
        self.record = {} if record is None else record
        self.study = study
        self.planner = Planner(study, journal, lookup=self.record.get)
        self.planner.spread_over(slots)
        self.handed_out: list[TrialRequest] = []

    def objective(self, request: TrialRequest) -> float:
        return 0.5 - abs(request.params.get("s", 16) - 16) / 100

    def take(self) -> TrialRequest:
        request = self.planner.next()
        assert isinstance(request, TrialRequest)
        self.handed_out.append(request)
        return request

    def run(self, request: TrialRequest) -> None:
        for epoch in range(1, 4):
            if self.planner.report(request.trial_id, epoch, self.objective(request)):
                return self.end(request, Outcome("pruned", self.objective(request)))
        return self.end(request, Outcome("completed", self.objective(request)))

    def end(self, request: TrialRequest, outcome: Outcome) -> None:
        self.record[request.trial_id] = outcome
        self.planner.finish(request.trial_id, outcome)

    def run_all(self, at_most: int = 1000) -> None:
        for _ in range(at_most):
            if self.planner.finished:
                return
            self.run(self.take())


def toy(sampler: str = "tpe", early: str = "none") -> Study:
    return parse_study(STUDY.format(sampler=sampler, early=early))


def points(bench: Bench) -> list[tuple[str, tuple[float, ...]]]:
    return [(request.trial_id, tuple(request.params.values())) for request in bench.handed_out]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp", "cmaes"])
def test_every_arm_gets_its_budget_and_its_confirm_trials(tmp_path: Path, sampler: str) -> None:
    bench = Bench(toy(sampler), tmp_path / "journal")
    bench.run_all()
    counted = {
        (arm, phase): len(list(group))
        for (arm, phase), group in itertools.groupby(
            sorted(bench.handed_out, key=lambda r: (r.arm, r.phase)), key=lambda r: (r.arm, r.phase)
        )
    }
    assert counted == {
        ("adacos", "confirm"): 2,
        ("cosface", "confirm"): 2,
        ("cosface", "search"): 5,
        ("normface", "confirm"): 2,
        ("normface", "search"): 5,
    }
    assert len({request.trial_id for request in bench.handed_out}) == 16
    assert bench.planner.next() is Decision.FINISHED
    assert len({point for _, point in points(bench) if len(point) == 2}) == 5


def test_confirm_trials_run_the_best_completed_point_on_fresh_seeds(tmp_path: Path) -> None:
    bench = Bench(toy(), tmp_path / "journal")
    bench.run_all()
    search = [r for r in bench.handed_out if (r.arm, r.phase) == ("normface", "search")]
    confirm = [r for r in bench.handed_out if (r.arm, r.phase) == ("normface", "confirm")]
    best = max(search, key=bench.objective)
    assert [r.seed for r in confirm] == [101, 102]
    assert all(dict(r.params) == dict(best.params) for r in confirm)
    assert {r.seed for r in search} == {0}


def test_the_paper_default_is_tried_first(tmp_path: Path) -> None:
    bench = Bench(toy(), tmp_path / "journal")
    bench.run_all()
    first = next(r for r in bench.handed_out if r.arm == "cosface")
    assert dict(first.params) == {"s": 64.0, "m": 0.35}
    assert first.origin == "paper default"


def test_confirm_trials_wait_for_their_search_only(tmp_path: Path) -> None:
    bench = Bench(toy(), tmp_path / "journal", slots=16)
    taken = []
    while isinstance(request := bench.planner.next(), TrialRequest):
        taken.append(request)
    assert request is Decision.WAIT
    assert {(r.arm, r.phase) for r in taken} == {
        ("normface", "search"),
        ("cosface", "search"),
        ("adacos", "confirm"),
    }
    for request in [r for r in taken if r.arm == "normface"]:
        bench.run(request)
    following = bench.take()
    assert (following.arm, following.phase) == ("normface", "confirm")


def test_a_search_hands_out_one_trial_at_a_time_where_there_are_searches_enough(tmp_path: Path) -> None:
    bench = Bench(toy(), tmp_path / "journal", slots=2)
    assert {bench.take().arm for _ in range(2)} == {"normface", "cosface"}
    assert bench.take().arm == "adacos"


def test_choices_depend_on_the_seed_alone(tmp_path: Path) -> None:
    first, second = Bench(toy(), tmp_path / "a"), Bench(toy(), tmp_path / "b")
    first.run_all()
    second.run_all()
    assert points(first) == points(second)


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid", "gp", "cmaes"])
@pytest.mark.parametrize("killed_after", [0, 1, 4, 9, 12])
def test_a_killed_study_continues_as_if_it_never_stopped(tmp_path: Path, sampler: str, killed_after: int) -> None:
    whole = Bench(toy(sampler), tmp_path / "whole")
    whole.run_all()
    first = Bench(toy(sampler), tmp_path / "killed")
    first.run_all(at_most=killed_after)
    if not first.planner.finished:
        first.take()  # asked for, never run
    second = Bench(toy(sampler), tmp_path / "killed", record=first.record)
    second.run_all()
    finished_before = set(points(first)[:killed_after])
    assert finished_before.isdisjoint(points(second))
    assert finished_before | set(points(second)) == set(points(whole))
    third = Bench(toy(sampler), tmp_path / "killed", record=second.record)
    assert third.planner.finished
    assert third.planner.next() is Decision.FINISHED


def test_a_result_that_was_written_but_not_told_is_told_and_not_rerun(tmp_path: Path) -> None:
    first = Bench(toy(), tmp_path / "journal")
    request = first.take()
    first.record[request.trial_id] = Outcome("completed", 0.25)
    second = Bench(toy(), tmp_path / "journal", record=first.record)
    second.run_all()
    assert request.trial_id not in {r.trial_id for r in second.handed_out}
    study = optuna.load_study(study_name="normface.default.search.s0", storage=stored(tmp_path / "journal"))
    assert [trial.value for trial in study.trials if trial.number == request.number] == [0.25]
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}


def stored(path: Path) -> optuna.storages.JournalStorage:
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))


def test_a_torn_last_line_of_the_journal_is_cut_off(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    first = Bench(toy(), journal)
    first.run_all(at_most=3)
    with journal.open("ab") as file:
        file.write(b'{"op_code": 4, "worker_id": "x", "stu')
    second = Bench(toy(), journal, record=first.record)
    second.run_all()
    assert len(second.record) == 16
    for line in journal.read_text().splitlines():
        assert line.endswith("}")


def test_a_trial_that_is_handed_back_is_handed_out_again(tmp_path: Path) -> None:
    bench = Bench(toy(), tmp_path / "journal", slots=2)
    taken = [bench.take() for _ in range(3)]
    assert {request.phase for request in taken} == {"search", "confirm"}
    for request in taken:
        bench.planner.hand_back(request.trial_id)
    assert [bench.take() for _ in range(3)] == taken
    for request in taken:
        bench.run(request)
    bench.run_all()
    assert len(bench.record) == 16


def test_early_stopping_compares_within_one_search_only(tmp_path: Path) -> None:
    class Rigged(Bench):
        def objective(self, request: TrialRequest) -> float:
            # Every normface trial is worse than every cosface trial, each gets better with its number.
            return request.number / 100 + (0.5 if request.arm == "cosface" else 0.0)

    bench = Rigged(toy(early="asha"), tmp_path / "journal")
    bench.run_all()
    assert {outcome.status for trial, outcome in bench.record.items() if "search" in trial} == {"completed"}


def test_early_stopping_ends_what_is_worse_than_its_search(tmp_path: Path) -> None:
    class Rigged(Bench):
        def objective(self, request: TrialRequest) -> float:
            return 0.5 - request.number / 100

    bench = Rigged(toy(early="asha"), tmp_path / "journal")
    bench.run_all()
    statuses = [bench.record[f"normface.default.search.s0.{number:03d}"].status for number in range(5)]
    assert statuses[0] == "completed"
    assert "pruned" in statuses
    assert all(outcome.status == "completed" for trial, outcome in bench.record.items() if "confirm" in trial)


def test_early_stopping_compares_trials_of_the_same_length_only(tmp_path: Path) -> None:
    class Rigged(Bench):
        def objective(self, request: TrialRequest) -> float:
            # Longer trials have not come as far on their schedule, and each trial is worse than the one before.
            return 0.9 - request.params.get("training.epochs", 4) / 10 - request.number / 1000

    text = STUDY.format(sampler="grid", early="asha").replace("trials: 5", "trials: 8")
    study = parse_study(text.replace("s: {log: [2, 64]}}", "s: {log: [2, 64]}, training.epochs: {choice: [2, 4]}}"))
    bench = Rigged(study, tmp_path / "journal")
    bench.run_all()
    for epochs in (2, 4):
        alike = [r for r in bench.handed_out if (r.arm, r.phase) == ("normface", "search")]
        alike = [r for r in alike if r.params["training.epochs"] == epochs]
        statuses = [bench.record[r.trial_id].status for r in alike]
        assert len(statuses) >= 3
        assert statuses[0] == "completed"
        assert "pruned" in statuses


def test_what_was_decided_of_an_epoch_holds_when_it_is_reported_again(tmp_path: Path) -> None:
    class Rigged(Bench):
        def objective(self, request: TrialRequest) -> float:
            return 0.5 - request.number / 100

    first = Rigged(toy(early="asha"), tmp_path / "journal")
    first.run_all(at_most=2)
    good, doomed = first.take(), first.take()
    assert not first.planner.report(good.trial_id, 1, 0.9)
    assert first.planner.report(doomed.trial_id, 1, 0.0)
    second = Rigged(toy(early="asha"), tmp_path / "journal", record=first.record)
    assert [second.take(), second.take()] == [good, doomed]
    assert not second.planner.report(good.trial_id, 1, 0.9)
    assert second.planner.report(doomed.trial_id, 1, 0.0)


def test_diverged_trials_score_chance_and_are_never_chosen(tmp_path: Path) -> None:
    class Cliff(Bench):
        def run(self, request: TrialRequest) -> None:
            if request.phase == "search" and request.arm == "normface":
                return self.end(request, Outcome("diverged", 1e-3))
            return super().run(request)

    bench = Cliff(toy(), tmp_path / "journal")
    bench.run_all()
    assert not [r for r in bench.handed_out if (r.arm, r.phase) == ("normface", "confirm")]
    assert bench.planner.finished
    study = optuna.load_study(study_name="normface.default.search.s0", storage=stored(tmp_path / "journal"))
    assert [trial.value for trial in study.trials] == [1e-3] * 5


def test_failed_trials_are_spent_but_are_no_evidence(tmp_path: Path) -> None:
    class Broken(Bench):
        def run(self, request: TrialRequest) -> None:
            if request.phase == "search" and request.number % 2:
                return self.end(request, Outcome("failed", 1e-3))
            return super().run(request)

    bench = Broken(toy(), tmp_path / "journal")
    bench.run_all()
    study = optuna.load_study(study_name="cosface.default.search.s0", storage=stored(tmp_path / "journal"))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "FAIL", "COMPLETE"]


def test_a_search_by_grid_ends_with_its_points_and_is_confirmed(tmp_path: Path) -> None:
    study = parse_study(STUDY.format(sampler="grid", early="asha").replace("trials: 5", "trials: 8"))
    bench = Bench(study, tmp_path / "journal", slots=3)
    bench.run_all()
    assert bench.planner.next() is Decision.FINISHED
    searched = {
        arm: [r for r in bench.handed_out if (r.arm, r.phase) == (arm, "search")] for arm in ("normface", "cosface")
    }
    assert {arm: len(requests) for arm, requests in searched.items()} == {"normface": 8, "cosface": 7}
    assert study.planned_trials() == {"search": 15, "grid": 0, "confirm": 6}
    assert sum(state.budget for state in bench.planner.states()) == 21 == len(bench.record)
    assert [r.origin for r in searched["cosface"]] == ["paper default", *["grid"] * 6]
    assert {r.params["m"] for r in searched["cosface"]} == {0.0, 0.35, 0.6}
    assert "pruned" in {outcome.status for outcome in bench.record.values()}
    assert len([r for r in bench.handed_out if r.phase == "confirm"]) == 6


def test_a_grid_runs_each_point_once_and_confirms_the_best(tmp_path: Path) -> None:
    text = STUDY.format(sampler="tpe", early="asha").replace(
        "normface: {loss: normface, search: {s: {log: [2, 64]}}}", "normface: {loss: normface, grid: {s: [4, 16, 40]}}"
    )
    bench = Bench(parse_study(text), tmp_path / "journal", slots=4)
    bench.run_all()
    grid = [r for r in bench.handed_out if (r.arm, r.phase) == ("normface", "grid")]
    assert sorted(r.params["s"] for r in grid) == [4, 16, 40]
    confirm = [r for r in bench.handed_out if (r.arm, r.phase) == ("normface", "confirm")]
    assert {r.params["s"] for r in confirm} == {16}
