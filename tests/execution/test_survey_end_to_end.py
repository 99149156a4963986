"""A survey of free features, killed and continued: a real Ray, a real MLflow."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from hpstudy.record import StudyFolder
from hpstudy.workflow import open_results

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
TIMING = ["samples_per_s", "started_at", "ended_at", "attempt", "device"]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "hpstudy", *words]


def hpstudy(*words: str) -> dict[str, object]:
    """Runs to the end; what it says as JSON."""
    done = subprocess.run(command(*words, "--json"), capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "nan" not in done.stderr.lower().split(), done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def kill_in_the_middle(file: Path, home: Path, results: int) -> None:
    """Kills the driver alone, without a chance to tidy up, while trials run."""
    folder = StudyFolder(home, "survey")
    words = command("run", str(file), "--home", str(home))
    driver = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 150
        while len(folder.finished_trials()) < results or not list(folder.path.glob("checkpoints/*/a001/epoch-*.pt")):
            assert driver.poll() is None, "the driver ended before it could be killed"
            assert time.monotonic() < deadline, "the driver did not get there in time"
            time.sleep(0.01)
    finally:
        if driver.poll() is None:
            os.kill(driver.pid, signal.SIGKILL)
            driver.wait()


def comparable(trials: pd.DataFrame) -> pd.DataFrame:
    """What must not depend on interruptions."""
    costs = [name for name in trials if str(name).startswith("cost/")]
    return trials.drop(columns=[*TIMING, *costs]).sort_values("trial_id", ignore_index=True).sort_index(axis=1)


def mlflow_keys(home: Path) -> dict[str, str]:
    """Key and status of every run; fails on a key that occurs twice."""
    with sqlite3.connect(home / "mlflow.db") as database:
        rows = database.execute(
            """select key.value, run.status from runs run
               join tags key on key.run_uuid = run.run_uuid and key.key = 'hpstudy.key'
               where run.lifecycle_stage = 'active'"""
        ).fetchall()
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def test_a_killed_survey_is_resumed_to_the_record_of_one_that_never_was(tmp_path: Path) -> None:
    file, whole, cut = tmp_path / "survey.yaml", tmp_path / "whole", tmp_path / "cut"
    file.write_text(STUDY)
    answer = hpstudy("run", str(file), "--home", str(whole), "--no-report")
    assert answer["state"] == "finished"
    kill_in_the_middle(file, cut, results=3)
    folder = StudyFolder(cut, "survey")
    before = {path: path.stat().st_mtime_ns for path in (folder.path / "results").glob("*.parquet")}
    assert 3 <= len(before) < TRIALS
    assert hpstudy("resume", "survey", "--home", str(cut))["state"] == "finished"
    after = {path: path.stat().st_mtime_ns for path in (folder.path / "results").glob("*.parquet")}
    assert before.items() <= after.items(), "a finished trial was run again"
    assert len(folder.sessions()) == 2

    expected, trials = (open_results("survey", home).trials for home in (whole, cut))
    pd.testing.assert_frame_equal(comparable(trials), comparable(expected), check_exact=True)
    assert_is_the_survey(trials)
    other = StudyFolder(whole, "survey")
    for trial_id in trials["trial_id"]:
        steps, theirs = (each.trajectory(trial_id).drop(columns="samples_per_s") for each in (folder, other))
        pd.testing.assert_frame_equal(steps, theirs, check_exact=True)
        assert list(steps["step"]) == list(range(1, 601))
        for read in ("epochs", "plane"):
            pd.testing.assert_frame_equal(
                getattr(folder, read)(trial_id), getattr(other, read)(trial_id), check_exact=True
            )
    assert not list((folder.path / "checkpoints").iterdir())
    keys, theirs = mlflow_keys(cut), mlflow_keys(whole)
    assert keys == dict.fromkeys(keys, "FINISHED")
    assert keys.keys() == theirs.keys()
    assert len(keys) == 1 + 2 + TRIALS


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
