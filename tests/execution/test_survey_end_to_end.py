"""A survey of free features, interrupted and continued: a real Ray, a real MLflow."""

import json
import signal
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from hpstudy.record import StudyFolder
from hpstudy.spec import parse_study

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(600)]

STUDY = """
version: 1
name: survey
question: Which margin can eight classes meet in the plane?
data: {source: free, identities: {train: 8, val: 0, test: 0}, samples: 4, label_noise: 0.05, imbalance: 2}
model: {name: free, embedding_dim: 2}
training: {epochs: 4, steps_per_epoch: 150, batch_size: 16, optimizer: {name: adamw, lr: 0.02, weight_decay: 0}}
arms:
  cosface: {loss: cosface, s: 30, grid: {m: [0, 0.28, 0.4]}}
  adacos-dynamic: {loss: adacos}
search: {seeds: [3, 0]}
confirm: {seeds: 0}
"""
TRIALS = 2 * (3 + 1)


def test_an_interrupted_survey_is_resumed_to_what_its_trials_come_to_alone(
    small: ModuleType, home: Path, tmp_path: Path
) -> None:
    file, log = tmp_path / "survey.yaml", tmp_path / "log"
    file.write_text(STUDY)
    folder = StudyFolder(home, "survey")
    with small.running("run", str(file), "--home", str(home), log=log) as driver:
        small.wait_for(driver, lambda: len(folder.finished_trials()) >= 3)
        driver.send_signal(signal.SIGINT)
        assert driver.wait(60) == 130
    assert log.read_text().rstrip().endswith(f"Continue with: hpstudy resume survey --home {home}")
    before = small.written(folder)
    assert 3 <= len(before) < TRIALS
    done = small.hpstudy("resume", "survey", "--home", str(home), "--json")
    assert "nan" not in done.stderr.lower().split(), done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "finished"
    assert before.items() <= small.written(folder).items(), "a finished trial was run again"
    assert len(folder.sessions()) == 2

    alone = small.run_alone(parse_study(STUDY), tmp_path / "alone")
    small.assert_same_numbers(folder, alone)
    trials = folder.trials()
    assert_is_the_survey(trials)
    assert all(len(folder.trajectory(trial_id)) == 600 for trial_id in trials["trial_id"])
    assert not list((folder.path / "checkpoints").iterdir())
    runs = small.mlflow_runs(home)
    assert {status for status, _ in runs.values()} == {"FINISHED"}
    assert len(runs) == 1 + 2 + TRIALS
    assert set(trials["trial_id"]) < runs.keys()


def assert_is_the_survey(trials: pd.DataFrame) -> None:
    """Every point on every seed, measured, and nothing chosen or judged."""
    assert len(trials) == TRIALS
    assert set(trials["phase"]) == {"grid"}
    assert set(trials["status"]) == {"completed"}
    assert (trials["seed"] == trials["search_seed"]).all()
    assert trials.groupby("arm")["seed"].value_counts().to_dict() == {
        ("cosface", 0): 3, ("cosface", 3): 3, ("adacos-dynamic", 0): 1, ("adacos-dynamic", 3): 1,
    }  # fmt: skip
    assert trials["objective"].isna().all()
    assert not [name for name in trials if name.startswith(("val/", "test/"))]
    assert set(trials["data/label_noise"]) == {0.05}
    assert set(trials["data/imbalance"]) == {2.0}
    measured = ["geometry/train_loss", "geometry/train_loss_balanced", "geometry/train_accuracy"]
    assert trials[measured].notna().all(axis=None)
