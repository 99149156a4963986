"""Delivery to real servers that are slow, lose answers, or are killed."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

import hpstudy.tracking as tracking

Frames = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module")
def frames(frames: Frames) -> Frames:
    """The first epoch alone: a trial is two batches."""
    trajectory, epochs = frames
    return trajectory[trajectory["epoch"] == 0], epochs.head(1)


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[tracking.ServerHandle]:
    with tracking.serve(home, port=0) as running:
        yield running


@pytest.fixture
def proxy(proxies: ModuleType, server: tracking.ServerHandle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with proxies.passing_on(port_of(server)) as passing:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", passing.url)
        yield passing


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "t").write_text("steps")
    (tmp_path / "e").write_text("epochs")
    return {"trajectory.parquet": tmp_path / "t", "epochs.parquet": tmp_path / "e"}


def port_of(server: tracking.ServerHandle) -> int:
    return int(server.url.rpartition(":")[2])


def tracker_of(home: Path, name: str) -> tracking.MlflowTracker:
    return tracking.MlflowTracker(home, name, "Why?", "5ead", "version: 1\n", arms=("cosface",))


def held(home: Path, name: str) -> dict[str, Any]:
    """What the database holds of a study by the key of each run; summaries are as old as their run, so without time."""
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    by_key = {
        run.data.tags["hpstudy.key"].removeprefix(name): {
            "metrics": {
                metric: sorted(
                    (point.step, point.timestamp * ("number" in run.data.tags), point.value)
                    for point in client.get_metric_history(run.info.run_id, metric)
                )
                for metric in run.data.metrics
            },
            "params": run.data.params,
            "status": run.info.status,
            "artifacts": sorted(path.name for path in (home / "mlartifacts").glob(f"**/{run.info.run_id}/artifacts/*")),
        }
        for run in runs
    }
    assert len(by_key) == len(runs), "a run was doubled"
    return by_key


def deliver(tracker: tracking.Tracker, row: dict[str, Any], frames: Frames, files: dict[str, Path]) -> None:
    tracker.start()
    for number in (1, 2, 3):
        trial = {**row, "trial_id": f"trial {number}", "number": number}
        tracker.trial_started({key: trial[key] for key in trial if key not in ("status", "ended_at")})
        tracker.trial_finished(trial, lambda row: (*frames, files))
    tracker.arm_finished("cosface", tracking.Page(metrics={"confirm/mean": 0.8}))
    tracker.study_finished(tracking.Page(note="a tie", metrics={"trials": 3.0}))


@pytest.fixture(scope="module")
def undisturbed(home: Path, row: dict[str, Any], frames: Frames, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a delivery without any trouble leaves."""
    folder = tmp_path_factory.mktemp("files")
    names = {name: folder / name for name in ("trajectory.parquet", "epochs.parquet")}
    for path in names.values():
        path.write_text("rows")
    deliver(tracker_of(home, "undisturbed"), row, frames, names)
    return held(home, "undisturbed")


def test_a_server_killed_in_the_middle_gets_everything_once(
    home: Path,
    proxies: ModuleType,
    undisturbed: Any,
    row: dict[str, Any],
    frames: Frames,
    files: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tracking.serve(home, port=0) as first:
        killed = threading.Event()
        batches = []

        def kill(request: str) -> bool:
            """After the fourth batch was written and before it is answered."""
            batches.extend([request] * request.endswith("runs/log-batch"))
            if len(batches) < 4 or killed.is_set():
                return False
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
            killed.set()
            return True

        with proxies.passing_on(port_of(first)) as proxy:
            proxy.lose_answer = kill
            monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.url)
            background = tracking.BackgroundTracker(lambda: tracker_of(home, "killed"), first_delay=0.1, max_delay=0.5)
            deliver(background, row, frames, files)
            assert killed.wait(60)
            monkeypatch.delenv("MLFLOW_TRACKING_URI")
            with tracking.serve(home, port=0) as second:
                proxy.upstream = port_of(second)
                assert background.close(120.0) == ()
    assert held(home, "killed") == undisturbed


@pytest.mark.parametrize("seconds", [0.0, 10.0])
def test_a_slow_server_holds_nobody_up(
    seconds: float,
    home: Path,
    proxy: Any,
    undisturbed: Any,
    row: dict[str, Any],
    frames: Frames,
    files: dict[str, Path],
) -> None:
    proxy.gate.clear()
    name = f"slow {seconds}"
    began = time.monotonic()
    background = tracking.BackgroundTracker(lambda: tracker_of(home, name))
    deliver(background, row, frames, files)
    assert proxy.arrived.wait(30)
    assert time.monotonic() - began < 5.0
    assert len(proxy.requests) == 1, "the first request is still held"
    release = threading.Timer(seconds, proxy.gate.set)
    release.start()
    assert background.close(120.0) == ()
    assert time.monotonic() - began >= seconds
    assert held(home, name) == undisturbed


@pytest.mark.parametrize(
    ("lost", "retries"),
    [("experiments/create", "0"), ("runs/create", "0"), ("runs/create", "2"), ("runs/log-batch", "2"), ("PUT ", "0")],
)
def test_a_lost_answer_doubles_nothing(
    lost: str,
    retries: str,
    home: Path,
    proxy: Any,
    undisturbed: Any,
    row: dict[str, Any],
    frames: Frames,
    files: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without retries the writer asks again, with them MLflow's own client does."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", retries)
    asked: list[str] = []

    def every_second(request: str) -> bool:
        asked.extend([request] * (lost in request))
        return asked.count(request) % 2 == 1

    proxy.lose_answer = every_second
    name = f"lost {lost.partition('/')[0]} {lost.rpartition('/')[2]} {retries}"
    background = tracking.BackgroundTracker(lambda: tracker_of(home, name), first_delay=0.05, max_delay=0.2)
    deliver(background, row, frames, files)
    assert background.close(120.0) == ()
    assert asked
    assert held(home, name) == undisturbed


def test_runs_that_were_doubled_late_become_one(
    home: Path, row: dict[str, Any], frames: Frames, files: dict[str, Path], undisturbed: Any
) -> None:
    """As by a server that works off requests after their sender gave them up."""
    deliver(tracker_of(home, "late"), row, frames, files)
    client = MlflowClient(tracking.tracking_uri(home))
    experiment = client.get_experiment_by_name("late").experiment_id
    for run in client.search_runs([experiment]):
        double = client.create_run(experiment, tags=run.data.tags | {"hpstudy.delivered": "0"})
        for child in client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")[:1]:
            client.set_tag(child.info.run_id, "mlflow.parentRunId", double.info.run_id)
    again = tracker_of(home, "late")
    assert again.delivered() == {"trial 1", "trial 2", "trial 3"}
    assert held(home, "late") == undisturbed
    runs = {run.data.tags["hpstudy.key"]: run for run in client.search_runs([experiment])}
    for key, parent in {"trial 1": "late:cosface", "trial 3": "late:cosface", "late:cosface": "late"}.items():
        assert runs[key].data.tags["mlflow.parentRunId"] == runs[parent].info.run_id
