"""The record as an Optuna storage, held against what the searches heard and what Optuna's own `add_trials` does."""

import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from hpstudy.record import TRAJECTORY_COLUMNS, StudyFolder, TrialRequest, TrialResult
from hpstudy.search import Exported, Planner, write_optuna_storage
from hpstudy.search._bulk import add_trials
from hpstudy.spec import Study, parse_study

VAL, TEST = "val/tar_at_far_1e-3", "test/tar_at_far_1e-3"
EPOCHS = 4


def study_of(search: str = "", *, arms: str = "", **more: str) -> Study:
    arms = arms or (
        "  cosface:\n    loss: cosface\n"
        "    search: {s: {log: [2, 64]}, m: {linear: [0, 0.6]}, training.epochs: {int: [4, 5]}}\n"
        "  listed: {loss: normface, grid: {s: [4, 16, 40]}}\n"
        "  chosen: {loss: arcface, search: {s: {choice: [8, 16, 32]}}}\n"
        "  adacos: {loss: adacos}\n"
    )
    others = "".join(f"{name}: {text}\n" for name, text in more.items())
    return parse_study(
        f"version: 1\nname: toy\nquestion: Which one?\ntraining: {{epochs: {EPOCHS}}}\narms:\n{arms}"
        f"search: {{trials: 6{search}}}\n{others or 'confirm: {seeds: 2}'}\n"
    )


def kept(folder: StudyFolder, study: Study, request: TrialRequest, status: str, values: Sequence[float]) -> TrialResult:
    """A trial's row and its epochs, as a worker leaves them."""
    attempt = folder.attempt(request.trial_id)
    for epoch, value in enumerate(values, 1):
        steps: dict[str, Any] = {
            name: np.array([value, value + epoch], dtype=np.float32) for name in TRAJECTORY_COLUMNS
        }
        steps |= {"step": np.array([1, 2]) + 2 * (epoch - 1), "epoch": np.array([epoch, epoch])}
        attempt.write_epoch(epoch, steps, {"epoch": epoch, "step": 2 * epoch, VAL: value}, None)
    score = 1e-3 if status in ("diverged", "failed") else values[-1]
    judged = {TEST: score - 0.1} if request.judged and status == "completed" else {}
    began = 1_700_000_000.25 + request.number
    result = TrialResult(
        study=study.name, **request.identity(), loss=study.arm(request.arm).loss, num_classes=300, embedding_dim=256,
        s=float(request.params.get("s", math.nan)), m=float(request.params.get("m", math.nan)), status=status,
        cause={"failed": "out of memory", "diverged": "the loss is not finite"}.get(status, ""), epochs=len(values),
        steps=2 * len(values), objective=score, device="CPU", started_at=began, ended_at=began + 10,
        groups={**request.values(), VAL: score, **judged, "cost/wall_s": 10.0 + request.number},
    )  # fmt: skip
    folder.finish_trial(result)
    return result


def run(folder: StudyFolder, study: Study, at_most: int = 1000) -> dict[str, dict[int, float]]:
    """All trials of a study, one after the other; of each search the second diverges and the third fails.

    Returns:
        The values of each, by epoch.
    """
    courses = {}
    folder.begin(study.resolved_yaml)
    planner = Planner(study, folder.journal, lookup=folder.result)
    for _ in range(at_most):
        request = planner.next()
        if not isinstance(request, TrialRequest):
            break
        status = {1: "diverged", 2: "failed"}.get(request.number, "completed")
        values: list[float] = []
        for epoch in range(1, EPOCHS + 1):
            value = (
                0.2 * epoch - 0.001 * ((request.number * 7 + len(request.arm)) % 5) - 0.1 * request.params.get("m", 0)
            )
            values.append(value)
            if planner.report(request.trial_id, epoch, value):
                status = "pruned"
                break
        courses[request.trial_id] = dict(enumerate(values, 1))
        planner.finish(request.trial_id, kept(folder, study, request, status, values))
    return courses


def exported(folder: StudyFolder, study: Study, path: Path) -> dict[str, optuna.Study]:
    written = write_optuna_storage(folder, study, path)
    storage = RDBStorage(f"sqlite:///{path}")
    names = optuna.get_all_study_names(storage)
    studies = {name: optuna.load_study(study_name=name, storage=storage) for name in names}
    finished = [trial for each in studies.values() for trial in each.trials if trial.state.is_finished()]
    assert written == Exported(studies=len(studies), trials=len(finished))
    return studies


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyFolder:
    monkeypatch.setattr("os.fsync", lambda file: None)
    return StudyFolder(tmp_path / "home", "toy")


@pytest.mark.parametrize(
    "search", [", early_stopping: {kind: asha, grace_epochs: 1}", ", sampler: random, seeds: [0, 3]"]
)
def test_a_search_has_what_it_asked_and_heard(search: str, folder: StudyFolder, tmp_path: Path) -> None:
    study = study_of(search)
    courses = run(folder, study)
    journal = JournalStorage(JournalFileBackend(str(folder.journal)))
    found = exported(folder, study, tmp_path / "toy.db")
    asked = optuna.get_all_study_names(journal)
    assert [name for name in found if ".confirm." not in name] == asked
    states = set()
    for name in asked:
        told = optuna.load_study(study_name=name, storage=journal)
        assert found[name].directions == told.directions
        assert found[name].metric_names == [VAL]
        for own, other in zip(found[name].trials, told.trials, strict=True):
            states.add(own.state)
            assert (own.number, own.state, own.values) == (other.number, other.state, other.values)
            assert (own.params, own.distributions) == (other.params, other.distributions)
            assert own.intermediate_values == courses[f"{name}.{own.number:03d}"]
            assert own.user_attrs["status"] == other.user_attrs["status"]
            assert own.user_attrs.get("origin") == other.user_attrs.get("origin")
            assert own.user_attrs["trial_id"] == f"{name}.{own.number:03d}"
    assert states == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}


def test_a_trial_tells_what_it_was_and_when(folder: StudyFolder, tmp_path: Path) -> None:
    study = study_of()
    run(folder, study)
    found = exported(folder, study, tmp_path / "toy.db")
    search = found["cosface.default.search.s0"]
    assert search.user_attrs["question"] == "Which one?"
    assert search.user_attrs["SHA-256 of the study file"] == study.sha256
    assert {name: search.user_attrs[name] for name in ("arm", "loss", "condition", "phase", "search_seed")} == {
        "arm": "cosface", "loss": "cosface", "condition": "default", "phase": "search", "search_seed": 0,
    }  # fmt: skip
    first, diverged, failed = search.trials[:3]
    assert first.datetime_start is not None
    assert first.datetime_start.timestamp() == 1_700_000_000.25
    assert first.duration is not None
    assert first.duration.total_seconds() == 10
    assert first.user_attrs["cost/wall_s"] == 10.0
    assert first.user_attrs["theta_med_end"] == pytest.approx(first.intermediate_values[EPOCHS] + EPOCHS)
    assert "diverged_step" not in first.user_attrs
    assert (diverged.value, diverged.user_attrs["cause"]) == (1e-3, "the loss is not finite")
    assert (failed.value, failed.user_attrs["status"]) == (None, "failed")
    assert len(search.trials_dataframe()) == 6


def test_confirm_trials_are_judged_on_test_and_told_of_the_chosen_one(folder: StudyFolder, tmp_path: Path) -> None:
    study = study_of()
    run(folder, study)
    found = exported(folder, study, tmp_path / "toy.db")
    assert list(found) == [
        "cosface.default.search.s0", "cosface.default.confirm.s0", "listed.default.grid.s0",
        "listed.default.confirm.s0", "chosen.default.search.s0", "chosen.default.confirm.s0",
        "adacos.default.confirm.s0",
    ]  # fmt: skip
    for arm, phase in (("cosface", "search"), ("listed", "grid"), ("chosen", "search")):
        confirm = found[f"{arm}.default.confirm.s0"]
        assert confirm.metric_names == [TEST]
        marked = [trial for trial in found[f"{arm}.default.{phase}.s0"].trials if "chosen" in trial.user_attrs]
        assert len(marked) == 1
        assert marked[0].user_attrs["confirm/trials"] == 2
        scores = [trial.value for trial in confirm.trials]
        assert marked[0].user_attrs[f"confirm/{TEST} (mean)"] == pytest.approx(np.mean(scores))
        for trial, seed in zip(confirm.trials, (101, 102), strict=True):
            assert trial.params == marked[0].params
            assert trial.user_attrs["seed"] == seed
            assert trial.value == pytest.approx(trial.user_attrs[VAL] - 0.1)
    adaptive = found["adacos.default.confirm.s0"].trials
    assert [trial.params for trial in adaptive] == [{}, {}]
    assert "origin" not in adaptive[0].user_attrs


def test_a_search_that_goes_on_keeps_the_numbers_of_its_trials(folder: StudyFolder, tmp_path: Path) -> None:
    study = study_of(arms="  a: {loss: normface, search: {s: {log: [2, 64]}}}\n")
    run(folder, study, at_most=3)
    (folder.path / "results" / "a.default.search.s0.001.parquet").unlink()  # it still runs
    trials = exported(folder, study, tmp_path / "toy.db")["a.default.search.s0"].trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.WAITING, TrialState.FAIL]
    assert "chosen" not in trials[0].user_attrs


def test_several_objectives_have_directions_names_and_a_front(folder: StudyFolder, tmp_path: Path) -> None:
    study = study_of(f", objective: [{VAL}, cost/wall_s]", arms="  a: {loss: normface, search: {s: {log: [2, 64]}}}\n")
    run(folder, study)
    found = exported(folder, study, tmp_path / "toy.db")
    search = found["a.default.search.s0"]
    told = optuna.load_study(
        study_name="a.default.search.s0", storage=JournalStorage(JournalFileBackend(str(folder.journal)))
    )
    assert search.metric_names == [VAL, "cost/wall_s"]
    assert search.directions == told.directions
    assert [trial.values for trial in search.trials] == [trial.values for trial in told.trials]
    assert [trial.constraints for trial in search.trials] == [trial.constraints for trial in told.trials]
    assert [trial.number for trial in search.best_trials] == [trial.number for trial in told.best_trials]
    confirm = found["a.default.confirm.s0"]
    assert confirm.metric_names == [TEST, "cost/wall_s"]
    assert confirm.trials[0].values[1] == 111.0


def test_a_survey_is_one_study_a_seed_judged_on_test(folder: StudyFolder, tmp_path: Path) -> None:
    study = study_of(
        ", seeds: [3, 0]",
        arms="  listed: {loss: normface, grid: {s: [4, 16, 40]}}\n  adacos: {loss: adacos}\n",
        confirm="{seeds: 0}",
    )
    run(folder, study)
    found = exported(folder, study, tmp_path / "toy.db")
    assert list(found) == [f"{arm}.default.grid.s{seed}" for arm in ("listed", "adacos") for seed in (0, 3)]
    listed = found["listed.default.grid.s3"]
    assert listed.metric_names == [TEST]
    assert [trial.params["s"] for trial in listed.trials] == [4, 16, 40]
    assert [trial.value for trial in listed.trials] == [pytest.approx(0.699), 1e-3, None]
    assert [trial.state.name for trial in listed.trials] == ["COMPLETE", "COMPLETE", "FAIL"]


def test_where_nothing_is_held_out_the_training_accuracy_stands_in(folder: StudyFolder, tmp_path: Path) -> None:
    study = study_of(arms="  a: {loss: normface, grid: {s: [4, 16]}}\n", confirm="{seeds: 0}")
    folder.begin(study.resolved_yaml)
    for number, status in enumerate(("completed", "diverged")):
        request = TrialRequest(
            arm="a", condition="default", phase="grid", search_seed=0, number=number, seed=0,
            params={"s": 4.0 + 12 * number},
        )  # fmt: skip
        accuracy = {"geometry/train_accuracy": 0.9} if status == "completed" else {}
        folder.finish_trial(
            TrialResult(
                study="toy",
                **request.identity(),
                loss="normface",
                num_classes=8,
                embedding_dim=2,
                s=4.0,
                m=math.nan,
                status=status,
                groups={**request.values(), **accuracy},
            )
        )
    found = exported(folder, study, tmp_path / "toy.db")["a.default.grid.s0"]
    assert found.metric_names == ["geometry/train_accuracy"]
    assert [trial.value for trial in found.trials] == [0.9, 1 / 8]


def test_in_bulk_it_is_as_optuna_adds_them() -> None:
    def made(state: TrialState, **more: Any) -> optuna.trial.FrozenTrial:
        return optuna.trial.create_trial(
            state=state,
            params={"s": 3.0, "n": 2, "c": 16},
            distributions={
                "s": optuna.distributions.FloatDistribution(2, 64, log=True),
                "n": optuna.distributions.IntDistribution(1, 3),
                "c": optuna.distributions.CategoricalDistribution((8, 16)),
            },
            user_attrs={"θ": [1.5, "a"], "chosen": True},
            system_attrs={"x": 1},
            **more,
        )

    trials = [
        made(TrialState.COMPLETE, values=[0.5, math.inf], constraints={"diverged": -1.0}),
        made(TrialState.PRUNED, intermediate_values={1: 0.25, 2: math.nan, 3: -math.inf}),
        made(TrialState.FAIL),
        optuna.trial.create_trial(state=TrialState.WAITING),
    ]
    kept_by: dict[Callable[..., Any], list[Mapping[str, Any]]] = {}
    for add in (optuna.Study.add_trials, add_trials):
        storage = RDBStorage("sqlite://")
        for name in ("first", "second"):
            study = optuna.create_study(storage=storage, study_name=name, directions=["maximize", "minimize"])
            if add is add_trials:
                add_trials(storage, study._study_id, trials, first_id=1 + 4 * (name == "second"))
            else:
                study.add_trials(trials)
        loaded = optuna.load_study(storage=storage, study_name="second")
        kept_by[add] = [{name: repr(value) for name, value in sorted(vars(trial).items())} for trial in loaded.trials]
        storage.engine.dispose()
    assert kept_by[add_trials] == kept_by[optuna.Study.add_trials]
    assert len(kept_by[add_trials]) == 4


def test_of_an_object_store_it_is_the_same(bucket: str, folder: StudyFolder, tmp_path: Path) -> None:
    study = study_of(arms="  a: {loss: normface, search: {s: {log: [2, 64]}}}\n")
    away = StudyFolder(f"{bucket}/home", "toy")
    for place in (folder, away):
        run(place, study, at_most=3)
    write_optuna_storage(folder, study, tmp_path / "one.db")
    write_optuna_storage(away, study, tmp_path / "two.db")
    one, two = (_dump(tmp_path / f"{name}.db") for name in ("one", "two"))
    assert one == two
    assert any("a.default.search.s0.002" in line for line in one)


def test_the_file_is_replaced_whole_and_needs_no_journal(folder: StudyFolder, tmp_path: Path) -> None:
    study = study_of(arms="  a: {loss: normface, search: {s: {log: [2, 64]}}}\n")
    run(folder, study)
    folder.journal.unlink()  # type: ignore[union-attr]
    path = tmp_path / "with space #1?.db"
    path.write_text("as it was")
    write_optuna_storage(folder, study, path)
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == [path.name]
    assert any("a.default.confirm.s0" in line for line in _dump(path))


def test_trials_of_unknown_times_are_kept(folder: StudyFolder, tmp_path: Path) -> None:
    study = study_of(arms="  a: {loss: normface, search: {s: {log: [2, 64]}}}\n")
    run(folder, study, at_most=1)
    result = folder.results()[0]
    (folder.path / "results" / f"{result.trial_id}.parquet").unlink()  # type: ignore[union-attr]
    folder.finish_trial(replace(result, started_at=math.nan))
    trial = exported(folder, study, tmp_path / "toy.db")["a.default.search.s0"].trials[0]
    assert trial.duration is not None
    assert trial.duration.total_seconds() == 0


def _dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()
