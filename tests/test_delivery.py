"""`hpstudy sync`: a study's record, delivered to MLflow by nobody's driver."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from hpstudy.delivery import deliver_missing
from hpstudy.exceptions import InputError, StudyConflictError
from hpstudy.record import TRAJECTORY_COLUMNS, StudyFolder, TrialResult
from hpstudy.spec import parse_study
from hpstudy.tracking import TrackingUnavailableError, serve
from hpstudy.workflow import sync

FILE = """version: 1
name: toy
question: Which?
arms: {adacos: {loss: adacos}, adacos-fixed: {loss: adacos_fixed}}
confirm: {seeds: 3}
"""
TRIALS = [(arm, seed) for arm in ("adacos", "adacos-fixed") for seed in (101, 102, 103)]

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")


@pytest.fixture
def folder(tmp_path: Path, furnished: Callable[[Path], Path]) -> StudyFolder:
    kept = StudyFolder(furnished(tmp_path), "toy")
    kept.begin(parse_study(FILE).resolved_yaml)
    kept.add_session({"started": "2026-01-01 00:00:00 UTC", "source": "revision 1", "data default": "77ab"})
    return kept


def record(folder: StudyFolder, arm: str, seed: int) -> None:
    """A finished confirm trial of two epochs."""
    trial_id = f"{arm}.default.confirm.s0.{seed}"
    writer = folder.attempt(trial_id)
    for epoch in (1, 2):
        steps = {name: np.linspace(1, 2, 50, dtype=np.float32) for name in TRAJECTORY_COLUMNS}
        steps |= {"step": np.arange(1, 51, dtype=np.int32) + 50 * (epoch - 1), "epoch": np.full(50, epoch, np.int32)}
        writer.write_epoch(epoch, steps, {"epoch": epoch, "step": 50 * epoch, "val/tar_at_far_1e-3": 0.5}, None)
    folder.finish_trial(
        TrialResult(
            study="toy", trial_id=trial_id, arm=arm, condition="default", phase="confirm", search_seed=0, number=seed,
            seed=seed, loss=arm.replace("-", "_"), num_classes=300, embedding_dim=256, s=float("nan"), m=float("nan"),
            status="completed", epochs=2, steps=100, objective=0.5 + 0.001 * seed, device="CPU", started_at=1.7e9,
            ended_at=1.7e9 + 60,
            groups={
                "val/tar_at_far_1e-3": 0.5 + 0.001 * seed, "test/tar_at_far_1e-3": 0.5 + 0.001 * seed,
                "cost/cpu_s": 10.0, "cost/gpu_s": 0.0, "cost/wall_s": 10.0, "cost/peak_memory_mb": 100.0,
                "geometry/final_s": 20.0,
            },
        )
    )  # fmt: skip


def runs_in(uri: str) -> dict[str, Any]:
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name("toy").experiment_id], max_results=1000)
    runs = {run.data.tags["hpstudy.key"]: run for run in found}
    assert len(runs) == len(found), "a run was doubled"
    return runs


def test_a_record_is_delivered_once_and_to_any_server(
    folder: StudyFolder, tmp_path: Path, furnished: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for trial in TRIALS[:4]:
        record(folder, *trial)
    first = sync("toy", tmp_path)
    assert (first.trials, first.kept, first.summary) == (4, 4, False)
    runs = runs_in(first.store)
    assert (runs["toy"].info.status, runs["toy:adacos"].info.status) == ("KILLED", "KILLED")
    assert not folder.report.exists()

    for trial in TRIALS[4:]:
        record(folder, *trial)
    rest = deliver_missing(folder.study(), folder, None)
    assert (rest.trials, rest.kept, rest.summary) == (2, 6, False)
    assert runs_in(rest.store)["toy"].data.tags["status"] == "unreported"
    assert not folder.report.exists()
    rest = sync("toy", tmp_path)
    assert (rest.trials, rest.kept, rest.summary) == (0, 6, True)
    runs = runs_in(rest.store)
    assert len(runs) == 1 + 2 + 6
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert runs["toy:adacos"].data.metrics["confirm/mean"] == pytest.approx(0.602)
    files = {file.path for file in MlflowClient(rest.store).list_artifacts(runs["toy"].info.run_id)}
    assert files >= {"report", "trials.parquet", "study.yaml"}
    written = (folder.report / "report.pdf").stat().st_mtime_ns

    again = sync("toy", tmp_path)
    assert (again.trials, again.kept, again.summary) == (0, 6, False)
    assert (folder.report / "report.pdf").stat().st_mtime_ns == written

    with serve(furnished(tmp_path / "elsewhere"), port=0) as server:
        environment = os.environ | {"MLFLOW_TRACKING_URI": server.url}
        command = [sys.executable, "-m", "hpstudy", "sync", "toy", "--home", str(tmp_path), "--json"]
        for words, delivered, summary in (
            ("toy: delivered 6 of 6 trials and the summary and the report to", 6, True),
            (f"toy: nothing to deliver, {server.url} has all 6 finished trials", 0, False),
        ):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
            assert words in done.stderr
            answer = json.loads(done.stdout)
            assert (answer["delivered"], answer["trials"], answer["summary"]) == (delivered, 6, summary)
            assert answer["store"] == server.url
        there = runs_in(server.url)
    assert {key: run.data.metrics for key, run in there.items()} == {key: run.data.metrics for key, run in runs.items()}

    command[-1] = f"--home={tmp_path}"  # the server is gone
    monkeypatch.setattr("hpstudy.delivery.DELAY_S", 0.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    with pytest.raises(TrackingUnavailableError, match=r"delivered 0 of 6 .*run `hpstudy sync toy --home .* again"):
        sync("toy", tmp_path)
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "does not answer: connection refused" in done.stderr


def test_a_study_that_runs_is_left_to_its_driver(folder: StudyFolder, tmp_path: Path) -> None:
    untouched = (tmp_path / "mlflow.db").stat().st_mtime_ns
    with StudyFolder(tmp_path, "toy").lock, pytest.raises(StudyConflictError, match="is being run by process"):
        sync("toy", tmp_path)
    with pytest.raises(InputError, match="there is no study 'absent'"):
        sync("absent", tmp_path)
    assert (tmp_path / "mlflow.db").stat().st_mtime_ns == untouched
