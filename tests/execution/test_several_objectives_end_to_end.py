"""A study of several objectives: a real Ray, real costs."""

import json
from pathlib import Path
from types import ModuleType

import optuna
import pandas as pd
import pytest

from hpstudy.analysis import pareto_front
from hpstudy.record import StudyFolder
from hpstudy.results import open_results

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(600)]

STUDY = """
version: 1
name: both
question: What does a point of TAR cost?
data: {identities: {train: 24, val: 16, test: 20}}
model: {width: 4, embedding_dim: 32}
training: {batch_size: 32, optimizer: {name: sgd, lr: 0.1}}
arms:
  cosface: {loss: cosface, m: 0.2, search: {s: {log: [2, 64]}, training.epochs: {choice: [1, 2, 6]}}}
  adacos-dynamic: {loss: adacos, search: {training.epochs: {int: [1, 6]}}}
search: {objective: [val/tar_at_far_1e-2, cost/cpu_s, val/tar_at_far_1e-1], trials: 4, paper_defaults: false}
confirm: {seeds: 2, equivalence_margin: 0.02}
"""
TRIALS = 2 * (4 + 2)


def test_a_study_of_two_objectives_is_run_and_reported(small: ModuleType, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "both.yaml"
    file.write_text(STUDY)
    done = small.hpstudy("run", str(file), "--home", str(home), "--json")
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "finished"

    results = open_results("both", home)
    names = results.facts().objectives
    trials = results.trials
    assert names == ("val/tar_at_far_1e-2", "cost/cpu_s", "val/tar_at_far_1e-1")
    assert len(trials) == TRIALS
    assert set(trials["status"]) == {"completed"}
    assert (trials["epochs"] == trials["param/training.epochs"]).all()
    assert trials[list(names)].notna().all(axis=None)
    assert_told(results.folder, trials, names)
    assert_chosen(trials, names)

    front = pareto_front(trials, names)
    assert len(front) == 8
    longest, shortest = (front[front["param/training.epochs"] == epochs] for epochs in (6, 1))
    assert longest["cost/cpu_s"].min() > shortest["cost/cpu_s"].max()
    written = pd.read_csv(home / "both" / "report" / "tables" / "pareto.csv")
    assert written["on_front"].to_list() == front["on_front"].to_list()


def assert_told(folder: StudyFolder, trials: pd.DataFrame, names: tuple[str, ...]) -> None:
    """Optuna's journal has what the record has."""
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(folder.journal)))
    record = trials.set_index("trial_id")
    for summary in optuna.get_all_study_summaries(storage):
        assert [direction.name for direction in summary.directions] == ["MAXIMIZE", "MINIMIZE", "MAXIMIZE"]
        for trial in optuna.load_study(study_name=summary.study_name, storage=storage).trials:
            row = record.loc[f"{summary.study_name}.{trial.number:03d}"]
            assert trial.values == [row[name] for name in names]
            assert trial.constraints == {"diverged": -1.0}


def assert_chosen(trials: pd.DataFrame, names: tuple[str, ...]) -> None:
    """The primary objective chose what is confirmed."""
    for _, rows in trials.groupby("arm"):
        search, confirm = rows[rows["phase"] == "search"], rows[rows["phase"] == "confirm"]
        best = search.sort_values([*names], ascending=[False, True, False]).iloc[0]
        assert set(confirm["param/training.epochs"]) == {best["param/training.epochs"]}
