import dataclasses
import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import hpstudy.tracking as tracking
from hpstudy.record import TRAJECTORY_COLUMNS, StudyFolder, TrialResult

Make = Callable[..., tracking.MlflowTracker]
Frames = tuple[pd.DataFrame, pd.DataFrame]


def runs_of(home: Path, experiment: str) -> dict[str, Any]:
    client = MlflowClient(tracking.tracking_uri(home))
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=1000)
    by_key = {run.data.tags["hpstudy.key"]: run for run in found}
    assert len(by_key) == len(found), "a run was doubled"
    return by_key


def test_tree(home: Path, make_tracker: Make, row: dict[str, Any], frames: Frames, tmp_path: Path) -> None:
    figure, folder = tmp_path / "figure.txt", tmp_path / "report"
    figure.write_text("figure")
    folder.mkdir()
    (folder / "report.pdf").write_text("report")
    tracker = make_tracker()
    tracker.start()
    tracker.trial_started({key: row[key] for key in row if key not in ("status", "ended_at")})
    assert runs_of(home, "tree")[row["trial_id"]].data.tags["status"] == "running"
    assert tracker.delivered() == set()
    tracker.trial_finished(row, lambda row: (*frames, {"figure.txt": figure}))
    tracker.arm_finished("cosface", tracking.Page(metrics={"confirm/mean": 0.8, "confirm/spread": math.nan}))
    files = {"": [folder, tmp_path / "gone"]}
    tracker.study_finished(tracking.Page(note="**Verdict**: a tie", metrics={"trials/completed": 1}, files=files))
    assert tracker.delivered() == {row["trial_id"]}

    runs = runs_of(home, "tree")
    study, arm, trial = runs["tree"], runs["tree:cosface"], runs[row["trial_id"]]
    assert set(runs) == {"tree", "tree:cosface", "tree:adacos-dynamic", row["trial_id"]}
    assert arm.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert trial.data.tags["mlflow.parentRunId"] == arm.info.run_id
    assert trial.info.run_name == "cosface #07 s=31.2 m=0.28 lr=0.1"
    assert [run.info.status for run in (study, arm, trial)] == ["FINISHED"] * 3
    assert (trial.info.start_time, trial.info.end_time) == (1_700_000_000_250, 1_700_000_061_750)
    assert (
        trial.data.tags.items() >= {"phase": "search", "condition": "default", "seed": "3", "loss": "cosface"}.items()
    )
    assert trial.data.params.items() >= {"s": "31.2", "m": "0.28", "C": "300", "training.optimizer.lr": "0.1"}.items()
    assert trial.data.metrics["train/theta_med_deg"] == pytest.approx(math.degrees(frames[0]["theta_med"].iloc[-1]))
    assert trial.data.metrics.keys() >= {
        "train/log_b_avg",
        "train/s",
        "val/tar_at_far_1e-3",
        "trial/cost/wall_s",
        "objective",
    }
    assert "confirm/spread" not in arm.data.metrics
    assert study.data.tags["mlflow.note.content"] == "**Verdict**: a tie"

    client = MlflowClient(tracking.tracking_uri(home))
    validation = client.get_metric_history(trial.info.run_id, "val/tar_at_far_1e-3")
    assert [(point.step, point.value) for point in validation] == [(112, 0.2), (224, 0.5), (336, 0.71)]
    assert validation[-1].timestamp == 1_700_000_061_750
    assert len(client.get_metric_history(trial.info.run_id, "train/loss")) == 336
    assert [point.step for point in client.get_metric_history(trial.info.run_id, "train/s")] == [1, 336]
    assert [file.path for file in client.list_artifacts(trial.info.run_id)] == ["figure.txt"]
    assert {file.path for file in client.list_artifacts(study.info.run_id)} == {"report", "study.yaml"}
    assert (home / "mlartifacts" / trial.info.run_id / "artifacts" / "figure.txt").read_text() == "figure"


def test_redelivery(
    home: Path,
    make_tracker: Make,
    row: dict[str, Any],
    frames: Frames,
    count: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_tracker = functools.partial(make_tracker, max_points_of_others=1000)
    first = make_tracker()
    first.start()
    client, calls = first._store.client, []
    log_batch = client.log_batch

    def killed(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt("killed")
        log_batch(*arguments)

    monkeypatch.setattr(client, "log_batch", killed)
    with pytest.raises(KeyboardInterrupt, match="killed"):
        first.trial_finished(row, lambda row: (*frames, {}))

    again = make_tracker()
    again.start()
    assert again.delivered() == set()
    run_id = runs_of(home, "redelivery")[row["trial_id"]].info.run_id
    metrics = "select count(*) from metrics where run_uuid = ?"
    assert 0 < count(metrics, run_id) < 2000
    loads = []

    def load(missing: Any) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Path]]:
        loads.append(missing["trial_id"])
        return *frames, {}

    again.catch_up([row], load)
    curves = 336 * 11 + 2 + 3 * 2
    single = len({"trial/cost/wall_s", "trial/cost/epochs", "trial/cost/samples_per_s", "objective"})
    assert count(metrics, run_id) == curves + single
    make_tracker().catch_up([row], load)
    again.trial_finished(row, lambda row: (*frames, {}))
    assert loads == [row["trial_id"]]
    assert count(metrics, run_id) == curves + single
    assert count("select count(*) from params where run_uuid = ?", run_id) == 7
    assert len(runs_of(home, "redelivery")) == 4


def test_unreported(home: Path, make_tracker: Make) -> None:
    tracker = make_tracker()
    tracker.start()
    tracker.trials_finished()
    runs = runs_of(home, "unreported")
    assert {key: (run.info.status, run.data.tags["status"]) for key, run in runs.items()} == dict.fromkeys(
        runs, ("FINISHED", "unreported")
    )
    assert len(runs) == 3
    assert not make_tracker().is_finished()
    tracker.study_finished(tracking.Page())
    assert make_tracker().is_finished()
    tracker.start()
    assert not make_tracker().is_finished()


def test_resume(home: Path, make_tracker: Make, row: dict[str, Any], frames: Frames) -> None:
    tracker = make_tracker()
    tracker.start()
    tracker.trial_started(row)
    tracker.interrupted()
    assert {run.info.status for run in runs_of(home, "resume").values()} == {"KILLED"}
    resumed = make_tracker()
    resumed.start()
    resumed.trial_started({**row, "attempt": 1})
    assert {run.info.status for run in runs_of(home, "resume").values()} == {"RUNNING"}
    resumed.trial_finished({**row, "attempt": 1}, lambda row: (*frames, {}))
    for score in (0.8, 0.8, 0.7):
        resumed.arm_finished("cosface", tracking.Page(metrics={"confirm/mean": score}))
    runs = runs_of(home, "resume")
    assert runs[row["trial_id"]].data.tags["attempt"] == "1"
    assert runs["resume:cosface"].data.metrics["confirm/mean"] == 0.7
    client = MlflowClient(tracking.tracking_uri(home))
    history = client.get_metric_history(runs["resume:cosface"].info.run_id, "confirm/mean")
    assert [point.step for point in history] == [0, 1]


def test_divergence(home: Path, make_tracker: Make, row: dict[str, Any], frames: Frames) -> None:
    trajectory = frames[0].head(10).assign(s=[16.0] * 9 + [math.inf], grad_norm=math.nan)
    changes = {
        "status": "diverged",
        "cause": "s is inf",
        "diverged_step": 10,
        "steps": 10,
        "geometry/final_s": math.inf,
    }
    tracker = make_tracker()
    tracker.trial_finished({**row, **changes}, lambda row: (trajectory, frames[1].head(0), {}))
    run = runs_of(home, "divergence")[row["trial_id"]]
    assert run.info.status == "FAILED"
    assert run.info.run_name.endswith("(diverged)")
    assert run.data.tags["cause"] == "s is inf"
    assert run.data.tags["diverged_step"] == "10"
    assert run.data.tags["non_finite/train/s"] == "inf at step 10 (1 of 10 points)"
    assert run.data.metrics["train/s"] == 16.0
    assert "trial/geometry/final_s" not in run.data.metrics
    assert "train/grad_norm" not in run.data.metrics
    assert "non_finite/train/grad_norm" not in run.data.tags
    assert all(abs(value) < 1e300 for value in run.data.metrics.values())


def test_a_later_attempt_takes_the_place_of_an_earlier_one(
    home: Path, make_tracker: Make, row: dict[str, Any], frames: Frames
) -> None:
    tracker = make_tracker(arms=())
    empty = frames[0].head(2), frames[1].head(0)
    tracker.trial_finished({**row, "status": "failed", "cause": "out of memory", "steps": 2}, lambda row: (*empty, {}))
    tracker.trial_finished({**row, "attempt": 1}, lambda row: (*frames, {}))
    run = runs_of(home, "a_later_attempt_takes_the_place_of_an_earlier_one")[row["trial_id"]]
    assert run.info.status == "FINISHED"
    assert "cause" not in run.data.tags
    assert tracker.delivered() == {row["trial_id"]}


def test_another_file_of_the_same_name(make_tracker: Make, row: dict[str, Any], frames: Frames) -> None:
    make_tracker().trial_finished(row, lambda row: (*frames, {}))
    assert make_tracker(sha256="0ther").delivered() == set()
    assert make_tracker().delivered() == {row["trial_id"]}


def test_deleted_experiment(home: Path, make_tracker: Make) -> None:
    make_tracker().start()
    client = MlflowClient(tracking.tracking_uri(home))
    client.delete_experiment(client.get_experiment_by_name("deleted_experiment").experiment_id)
    make_tracker().start()
    assert len(runs_of(home, "deleted_experiment")) == 3


def test_decimation(home: Path, make_tracker: Make, row: dict[str, Any], frames: Frames) -> None:
    make_tracker(max_points=20).trial_finished(row, lambda row: (*frames, {}))
    run = runs_of(home, "decimation")[row["trial_id"]]
    history = MlflowClient(tracking.tracking_uri(home)).get_metric_history(run.info.run_id, "train/loss")
    values = [point.value for point in history]
    assert len(values) <= 20
    assert (min(values), max(values)) == (frames[0]["loss"].min(), frames[0]["loss"].max())


def test_the_curves_that_a_study_is_about_get_more_points(
    home: Path, make_tracker: Make, row: dict[str, Any], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    names = ("theta_med", "log_b_avg", "s", "implied_p_w", "loss", "grad_norm", "lr")
    trajectory = pd.DataFrame({"step": range(1, 5001)} | {name: rng.normal(size=5000) for name in names})
    make_tracker().trial_finished(row, lambda row: (trajectory, pd.DataFrame(), {}))
    run = runs_of(home, "the_curves_that_a_study_is_about_get_more_points")[row["trial_id"]]
    client = MlflowClient(tracking.tracking_uri(home))
    for name in names:
        values = [point.value for point in client.get_metric_history(run.info.run_id, f"train/{name}")]
        low, high = (800, 1000) if name not in ("grad_norm", "lr") else (100, 160)
        assert low <= len(values) <= high
        assert (min(values), max(values)) == (trajectory[name].min(), trajectory[name].max())


def test_the_record_of_a_trial_arrives_whole(home: Path, make_tracker: Make, row: dict[str, Any]) -> None:
    folder = StudyFolder(home / "studies", "whole")
    steps = {name: np.zeros(3, np.float32) for name in TRAJECTORY_COLUMNS}
    steps |= {"step": np.arange(1, 4, dtype=np.int32), "epoch": np.ones(3, np.int32)}
    folder.attempt(row["trial_id"]).write_epoch(
        1, steps, {"epoch": 1, "step": 3, "theta_target_histogram": [1, 2, 3], "val/x": 0.5}, None
    )
    names = {field.name for field in dataclasses.fields(TrialResult)} & row.keys()
    folder.finish_trial(TrialResult(**{name: row[name] for name in names}))
    make_tracker().catch_up([row], tracking.record_loader(folder))
    run_id = runs_of(home, "the_record_of_a_trial_arrives_whole")[row["trial_id"]].info.run_id
    arrived = home / "mlartifacts" / run_id / "artifacts"
    assert {path.name for path in arrived.iterdir()} == {"trajectory.parquet", "epochs.parquet"}
    assert list(pd.read_parquet(arrived / "trajectory.parquet").columns) == list(TRAJECTORY_COLUMNS)
    assert list(pd.read_parquet(arrived / "epochs.parquet")["theta_target_histogram"][0]) == [1, 2, 3]


def test_an_unreachable_server_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: dict[str, Any]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = tracking.MlflowTracker(tmp_path, "away", "", "5ead", "")
    with pytest.raises(tracking.TrackingUnavailableError, match="does not answer"):
        tracker.trial_started(row)
    assert list(tmp_path.iterdir()) == []


def test_no_half_made_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(tracking_uri: str) -> None:
        Path(tracking_uri.removeprefix("sqlite:///")).write_text("half")
        raise KeyboardInterrupt("killed")

    monkeypatch.setattr("mlflow.MlflowClient", cut_off)
    with pytest.raises(KeyboardInterrupt, match="killed"):
        tracking.MlflowTracker(tmp_path, "cut", "", "5ead", "").start()
    assert list(tmp_path.iterdir()) == []


def test_mlflow_was_told_to_be_quiet() -> None:
    assert mlflow.environment_variables.MLFLOW_DISABLE_TELEMETRY.get()
    assert not mlflow.environment_variables.MLFLOW_SERVER_ENABLE_JOB_EXECUTION.get()
