import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

import hpstudy.tracking as tracking
from hpstudy.tracking._curves import TrialCurves

Make = Callable[..., tracking.MlflowTracker]
Frames = tuple[pd.DataFrame, pd.DataFrame]

PICTURE = b"\x89PNG\r\n\x1a\n picture"
TRAIN = tracking.DataInput(
    name="glyphs train",
    digest="f6395644" * 8,
    context="train",
    source_type="glyphs",
    source={"data": {"source": "glyphs"}},
    profile={"num_identities": 300, "num_images": 3600},
)
TEST = tracking.DataInput(
    name="glyphs test",
    digest="f6395644" * 8,
    context="test",
    source_type="glyphs",
    source={"data": {"source": "glyphs"}},
    profile={"num_identities": 400, "num_images": 4800},
)
OPENING = tracking.OpeningPages(
    study=tracking.Page(
        note="**Question** and no answer yet",
        tags={"mlflow.source.git.commit": "8fa58cb38f66"},
        content={"environment.txt": b"python 3.11"},
        inputs=[TRAIN, TEST],
    ),
    arms={"cosface": tracking.Page(note="searches s and m", tags={"kind": "searched"})},
    data={"default": [TRAIN, TEST]},
)
CLOSING = tracking.Page(
    note="**Verdict**: a tie",
    tags={"verdict": "a tie"},
    metrics={"confirm/mean": 0.8, "chosen/s": 31.2, "chosen/m": float("nan")},
    tables={
        "tables/confirmed.json": pd.DataFrame({"arm": ["cosface", "adacos"], "mean": [0.8123456789, float("nan")]}),
        "tables/trials.json": pd.DataFrame({"trial": [1], "s": [31.2]}),
    },
    content={"figures/search.png": PICTURE},
)


def opened(home: Path, experiment: str) -> tuple[MlflowClient, dict[str, Any]]:
    client = MlflowClient(tracking.tracking_uri(home))
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=1000)
    return client, {run.data.tags["hpstudy.key"]: run for run in found}


def files_of(home: Path, run: Any) -> dict[str, bytes]:
    root = home / "mlartifacts" / run.info.run_id / "artifacts"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def state(home: Path, experiment: str) -> dict[str, Any]:
    """Everything that MLflow shows of a study, histories, data and files included."""
    client, runs = opened(home, experiment)
    description = client.get_experiment_by_name(experiment).tags["mlflow.note.content"]
    shown: dict[str, Any] = {"description": description}
    for key, run in runs.items():
        histories = {
            name: [
                (point.step, point.value, point.timestamp) for point in client.get_metric_history(run.info.run_id, name)
            ]
            for name in run.data.metrics
        }
        data = sorted(
            (
                given.dataset.name,
                given.dataset.digest,
                given.dataset.profile,
                [(tag.key, tag.value) for tag in given.tags],
            )
            for given in run.inputs.dataset_inputs
        )
        shown[key] = (run.info.status, run.data.tags, run.data.params, histories, data, files_of(home, run))
    return shown


def deliver(tracker: tracking.MlflowTracker, row: dict[str, Any], frames: Frames) -> None:
    tracker.start()
    tracker.trial_started({key: row[key] for key in row if key not in ("status", "ended_at")})
    tracker.trial_finished(row, lambda row: (*frames, {}))
    tracker.arm_finished("cosface", CLOSING)
    tracker.study_finished(CLOSING)


def test_a_study_says_from_the_start_what_it_asks(home: Path, make_tracker: Make) -> None:
    make_tracker(describe=lambda: OPENING).start()
    client, runs = opened(home, "a_study_says_from_the_start_what_it_asks")
    study, arm = (runs[f"a_study_says_from_the_start_what_it_asks{end}"] for end in ("", ":cosface"))
    experiment = client.get_experiment(study.info.experiment_id)
    assert experiment.tags["mlflow.note.content"] == "Question and no answer yet", "its list shows no Markdown"
    assert study.data.tags["mlflow.note.content"] == "**Question** and no answer yet"
    assert study.data.tags.items() >= {"status": "running", "mlflow.source.git.commit": "8fa58cb38f66"}.items()
    assert arm.data.tags.items() >= {"mlflow.note.content": "searches s and m", "kind": "searched"}.items()
    assert files_of(home, study) == {"environment.txt": b"python 3.11", "study.yaml": b"version: 1\n"}
    make_tracker().interrupted()
    _, runs = opened(home, "a_study_says_from_the_start_what_it_asks")
    assert {run.data.tags["status"] for run in runs.values()} == {"interrupted"}


def test_pages(home: Path, make_tracker: Make, row: dict[str, Any], frames: Frames) -> None:
    tracker = make_tracker(describe=lambda: OPENING, draw=lambda row, epochs: {"figures/angles.png": PICTURE})
    deliver(tracker, row, frames)
    client, runs = opened(home, "pages")
    study, arm, trial = runs["pages"], runs["pages:cosface"], runs[row["trial_id"]]
    assert client.get_experiment(study.info.experiment_id).tags["mlflow.note.content"] == "Verdict: a tie"
    assert arm.data.metrics == {"confirm/mean": 0.8, "chosen/s": 31.2}
    assert arm.data.tags.items() >= {"status": "completed", "verdict": "a tie", "kind": "searched"}.items()
    assert study.data.tags["status"] == "completed"
    files = files_of(home, study)
    assert files["figures/search.png"] == PICTURE
    assert json.loads(files["tables/confirmed.json"]) == {
        "columns": ["arm", "mean"],
        "data": [["cosface", 0.812346], ["adacos", ""]],
    }
    shown = json.loads(study.data.tags["mlflow.loggedArtifacts"])
    assert [table["path"] for table in shown] == ["tables/confirmed.json", "tables/trials.json"]
    assert json.loads(files["tables/trials.json"]) == {"columns": ["trial", "s"], "data": [[1, 31.2]]}
    assert files_of(home, trial) == {"figures/angles.png": PICTURE}
    for run in (study, trial):
        data = {given.tags[0].value: given.dataset for given in run.inputs.dataset_inputs}
        assert {context: json.loads(found.profile)["num_images"] for context, found in data.items()} == {
            "train": 3600,
            "test": 4800,
        }
        assert {(found.digest, found.source_type) for found in data.values()} == {(TRAIN.digest[:36], "glyphs")}
    assert not arm.inputs.dataset_inputs


def test_delivered_again_nothing_changes(
    home: Path, make_tracker: Make, row: dict[str, Any], frames: Frames, count: Callable[..., int]
) -> None:
    def make() -> tracking.MlflowTracker:
        return make_tracker(describe=lambda: OPENING, draw=lambda row, epochs: {"figures/angles.png": PICTURE})

    deliver(make(), row, frames)
    once = state(home, "delivered_again_nothing_changes")
    tables = ("runs", "metrics", "params", "tags", "datasets", "inputs", "input_tags", "experiment_tags")
    rows = {table: count(f"select count(*) from {table}") for table in tables}
    deliver(make(), row, frames)
    again = state(home, "delivered_again_nothing_changes")
    # A trial that starts anew is not delivered until it has ended again; MLflow shows the same afterwards.
    assert again == once
    assert {table: count(f"select count(*) from {table}") for table in tables} == rows


@pytest.mark.parametrize("method", ["log_artifacts", "log_inputs", "set_terminated", "set_experiment_tag"])
def test_killed_at_any_place_and_delivered_again(
    home: Path,
    make_tracker: Make,
    row: dict[str, Any],
    frames: Frames,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    def make(name: str) -> tracking.MlflowTracker:
        tracker = tracking.MlflowTracker(
            home,
            name,
            "Does any (s, m) win?",
            "5ead",
            "version: 1\n",
            arms=("cosface", "adacos-dynamic"),
            describe=lambda: OPENING,
            draw=lambda row, epochs: {"figures/angles.png": PICTURE},
        )
        tracker.start()
        return tracker

    whole, name = f"whole {method}", f"killed {method}"
    deliver(make(whole), row, frames)
    calls = 0
    while True:
        tracker = make(name)
        client, done = tracker._store.client, getattr(tracker._store.client, method)
        left = calls = calls + 1

        def killed(*arguments: Any, done: Callable[..., Any] = done, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if not left:
                raise KeyboardInterrupt("killed")
            return done(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(client, method, killed)
            try:
                deliver(tracker, row, frames)
            except KeyboardInterrupt:
                continue
        break
    assert calls > 2

    def comparable(experiment: str) -> dict[str, Any]:
        own = ("mlflow.parentRunId", "hpstudy.key")
        found = state(home, experiment)
        description = found.pop("description")
        histories = {
            key.replace(experiment, "study"): (
                status,
                {name: value for name, value in tags.items() if name not in own},
                params,
                # Numbers of a study and its arms are timed from the making of their runs.
                {
                    name: points if key == row["trial_id"] else [point[:2] for point in points]
                    for name, points in metrics.items()
                },
                data,
                files,
            )
            for key, (status, tags, params, metrics, data, files) in found.items()
        }
        for _, tags, *_ in histories.values():
            tags.pop("mlflow.runName")
        return {"description": description, **histories}

    assert comparable(name) == comparable(whole)


def test_a_picture_that_cannot_be_drawn_costs_no_numbers(
    home: Path, make_tracker: Make, row: dict[str, Any], frames: Frames, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(row: Any, epochs: pd.DataFrame) -> dict[str, bytes]:
        raise ValueError("no histogram")

    make_tracker(draw=broken).trial_finished(row, lambda row: (*frames, {}))
    _, runs = opened(home, "a_picture_that_cannot_be_drawn_costs_no_numbers")
    assert runs[row["trial_id"]].data.tags["hpstudy.delivered"] == "1"
    assert "no picture in MLflow: ValueError('no histogram')" in caplog.text


def test_an_arm_without_m_has_no_param_m(home: Path, make_tracker: Make, row: dict[str, Any], frames: Frames) -> None:
    fixed = {**row, "m": float("nan"), "param/m": float("nan")}
    make_tracker().trial_finished(fixed, lambda row: (*frames, {}))
    _, runs = opened(home, "an_arm_without_m_has_no_param_m")
    params = runs[row["trial_id"]].data.params
    assert "m" not in params
    assert float(params["s"]) == 31.2


def test_no_metric_says_what_another_says(home: Path, make_tracker: Make, row: dict[str, Any], frames: Frames) -> None:
    ended = {
        **row,
        "geometry/train_loss": 0.5,
        "geometry/train_loss_balanced": 0.5,
        "geometry/max_prototype_cosine": 0.4,
        "cost/gpu_s": 0.0,
    }
    make_tracker().trial_finished(ended, lambda row: (*frames, {}))
    _, runs = opened(home, "no_metric_says_what_another_says")
    metrics = runs[row["trial_id"]].data.metrics
    assert metrics.keys() >= {"trial/geometry/train_loss", "trial/geometry/max_prototype_cosine", "train/s"}
    left_out = ("geometry/final_s", "geometry/train_loss_balanced", "cost/gpu_s")
    assert not metrics.keys() & {f"trial/{name}" for name in left_out}


def test_what_counts_and_how_it_moved_come_first(row: dict[str, Any], frames: Frames) -> None:
    curves = TrialCurves({**row, "test/tar_at_far_1e-3": 0.6}, *frames, max_points=100, max_points_of_others=100)
    names = list(dict.fromkeys(metric.key for metric in curves.metrics))
    assert names[:7] == [
        "objective",
        "test/tar_at_far_1e-3",
        "val/tar_at_far_1e-3",
        "train/theta_med_deg",
        "train/log_b_avg",
        "train/s",
        "train/loss",
    ]
    assert names[-1].startswith("trial/cost/")
    steps = [metric.step for metric in curves.metrics if metric.key == "train/loss"]
    assert steps == sorted(steps)
