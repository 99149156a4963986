"""The record: what is written is read again, whatever was cut off in between."""

import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpstudy.exceptions import InputError, StudyConflictError
from hpstudy.record import (
    TRAJECTORY_COLUMNS,
    ObjectPath,
    StudyFolder,
    TrialResult,
    files_in,
    remove_file,
    studies_in,
    write_atomically,
)
from hpstudy.record._files import modified_times, read_tables, write_text


def make_result(trial_id: str = "cosface.default.search.s0.000", **changes: object) -> TrialResult:
    values: dict[str, object] = {
        "study": "toy",
        "trial_id": trial_id,
        "arm": "cosface",
        "condition": "default",
        "phase": "search",
        "search_seed": 0,
        "number": 0,
        "seed": 0,
        "loss": "cosface",
        "num_classes": 10,
        "embedding_dim": 4,
        "s": 30.0,
        "m": 0.35,
        "status": "completed",
        "epochs": 2,
        "steps": 6,
        "objective": 0.5,
        "groups": {"param/s": 30.0, "val/tar_at_far_1e-3": 0.5},
    }
    return TrialResult(**{**values, **changes})  # type: ignore[arg-type]


def write_epoch(folder: StudyFolder, trial_id: str, epoch: int, loss: float, writer=None):
    writer = writer or folder.attempt(trial_id)
    steps = {name: np.full(3, loss, np.float32) for name in TRAJECTORY_COLUMNS}
    steps["step"] = np.arange(3 * epoch - 2, 3 * epoch + 1, dtype=np.int32)
    steps["epoch"] = np.full(3, epoch, np.int32)
    writer.write_epoch(
        epoch, steps, {"epoch": epoch, "step": 3 * epoch, "val/x": loss}, lambda path: path.write_text("state")
    )
    return writer


@pytest.fixture
def folder(any_home: str) -> StudyFolder:
    return StudyFolder(any_home, "toy")


@pytest.fixture
def on_disk(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path, "toy")


def test_a_result_survives_the_round_trip(folder: StudyFolder) -> None:
    result = make_result()
    assert folder.finish_trial(result)
    kept = folder.result(result.trial_id)
    assert kept is not None
    assert kept == make_result(ended_at=kept.ended_at, started_at=kept.started_at, samples_per_s=kept.samples_per_s)
    assert folder.finished_trials() == [result.trial_id]


def test_a_finished_trial_is_not_overwritten(folder: StudyFolder) -> None:
    folder.finish_trial(make_result(objective=0.5))
    assert not folder.finish_trial(make_result(objective=0.9))
    kept = folder.result(make_result().trial_id)
    assert kept is not None
    assert kept.objective == 0.5


def test_trials_of_different_arms_share_one_table(folder: StudyFolder) -> None:
    folder.finish_trial(make_result())
    folder.finish_trial(
        make_result("normface.default.search.s0.000", arm="normface", m=float("nan"), groups={"param/s": 9.0})
    )
    trials = folder.trials()
    assert list(trials["arm"]) == ["cosface", "normface"]
    assert np.isnan(trials.loc[1, "val/tar_at_far_1e-3"])
    assert folder.write_trials().is_file()
    (written,) = folder.local_files("trials.parquet", "absent.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(written), trials)
    folder.drop_copies()
    assert written.exists() == isinstance(folder.path, Path)


def test_the_table_of_many_spares_reading_each_and_is_never_out_of_date(
    any_home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = StudyFolder(any_home, "toy")
    ids = [f"cosface.default.search.s0.{number:03d}" for number in range(4)]
    for trial_id in ids[:3]:
        folder.finish_trial(make_result(trial_id))
    outdate(folder)
    folder.write_trials()
    folder.finish_trial(make_result(ids[3], groups={"param/s": 9.0, "val/other": 0.5}))
    # Somebody has a trial run again.
    remove_file(folder.path / "results" / f"{ids[1]}.parquet")
    assert list(folder.trials()["trial_id"]) == [ids[0], ids[2], ids[3]]
    folder.finish_trial(make_result(ids[1], objective=0.25))
    singly: list[str] = []
    whole = read_tables
    monkeypatch.setattr(
        "hpstudy.record._folder.read_tables", lambda paths: whole(singly.append(path.name) or path for path in paths)
    )
    gathered = folder.trials()
    assert singly == [f"{ids[1]}.parquet", f"{ids[3]}.parquet"]
    assert gathered.set_index("trial_id")["objective"][ids[1]] == 0.25
    assert list(map(str, folder.results())) == [str(folder.result(trial_id)) for trial_id in ids]
    remove_file(folder.path / "trials.parquet")
    pd.testing.assert_frame_equal(folder.trials(), gathered)


def outdate(folder: StudyFolder) -> None:
    """Lets the clock of the store, which may know seconds alone, go on past the results."""
    newest = max(modified_times(folder.path / "results").values())
    deadline = time.monotonic() + 10
    while modified_times(folder.path).get("clock", 0.0) <= newest:
        assert time.monotonic() < deadline
        write_text(folder.path / "clock", "")
        time.sleep(0.05)


def test_before_the_first_trial_the_table_has_the_columns_of_every_trial(folder: StudyFolder) -> None:
    empty = folder.trials()
    folder.finish_trial(make_result())
    kept = folder.trials()
    assert empty.empty
    assert list(empty.columns) == [name for name in kept.columns if "/" not in name]
    assert (empty.dtypes == kept.dtypes[empty.columns]).all()


def test_epochs_of_a_killed_attempt_are_joined_with_its_successors(folder: StudyFolder) -> None:
    trial_id = make_result().trial_id
    first = write_epoch(folder, trial_id, 1, loss=1.0)
    write_epoch(folder, trial_id, 2, loss=2.0, writer=first)
    second = folder.attempt(trial_id)
    assert second.attempt == 2
    (kept,) = second.latest_checkpoints()
    assert (kept.read_bytes() if isinstance(kept, Path) else kept.read()) == b"state"
    write_epoch(folder, trial_id, 2, loss=20.0, writer=second)
    write_epoch(folder, trial_id, 3, loss=30.0, writer=second)
    write_epoch(folder, trial_id, 3, loss=99.0, writer=first)  # the cut-off worker lives on
    folder.finish_trial(make_result(epochs=3))
    trajectory = folder.trajectory(trial_id)
    assert list(trajectory["step"]) == list(range(1, 10))
    assert list(trajectory["loss"]) == [1.0] * 3 + [20.0] * 3 + [30.0] * 3
    assert list(folder.epochs(trial_id)["val/x"]) == [1.0, 20.0, 30.0]
    assert not files_in(folder.path / "checkpoints" / trial_id / "a001")
    assert isinstance(folder.path, ObjectPath) or not (folder.path / "checkpoints" / trial_id).exists()
    assert isinstance(folder.path, Path) or not (folder.path / "checkpoints").below()


def test_a_stopped_trial_keeps_the_epochs_up_to_its_stop(folder: StudyFolder) -> None:
    trial_id = make_result().trial_id
    writer = write_epoch(folder, trial_id, 1, loss=1.0)
    write_epoch(folder, trial_id, 2, loss=2.0, writer=writer)
    folder.finish_trial(make_result(status="pruned", epochs=1))
    assert list(folder.trajectory(trial_id)["step"]) == [1, 2, 3]


def test_a_trial_without_an_epoch_has_empty_frames(folder: StudyFolder) -> None:
    folder.finish_trial(make_result(status="failed", epochs=0))
    assert folder.trajectory(make_result().trial_id).empty
    assert folder.epochs(make_result().trial_id).empty


def test_leftovers_of_finished_trials_are_swept_and_those_of_others_kept(folder: StudyFolder) -> None:
    folder.finish_trial(make_result())
    write_epoch(folder, make_result().trial_id, 1, loss=1.0)
    write_epoch(folder, "other", 1, loss=1.0)
    folder.sweep()
    assert folder.attempt(make_result().trial_id).attempt == 1
    assert folder.attempt("other").attempt == 2


def test_an_attempt_that_is_cut_off_at_once_counts(folder: StudyFolder) -> None:
    assert [folder.attempt("some").attempt for _ in range(3)] == [1, 2, 3]


def test_sessions_errors_and_files_are_kept(folder: StudyFolder) -> None:
    folder.add_session({"nodes": "1"})
    folder.add_session({"nodes": "2"})
    assert [session["nodes"] for session in folder.sessions()] == ["1", "2"]
    assert folder.keep_error("some", "θ broke").read_text(encoding="utf-8") == "θ broke"


def test_weights_are_kept_until_the_trial_is_finished_and_then_fixed(folder: StudyFolder) -> None:
    trial_id = make_result().trial_id
    assert folder.weights(trial_id) is None
    for content in (b"of an attempt that was cut off", b"of the next"):
        folder.keep_weights(trial_id, lambda path, content=content: path.write_bytes(content))
    folder.finish_trial(make_result())
    folder.keep_weights(trial_id, lambda path: path.write_bytes(b"of the first, which lived on"))
    assert folder.weights(trial_id) == folder.keep_file(trial_id, "weights.pt").read_bytes() == b"of the next"


def test_a_marker_is_seen_until_it_is_removed(folder: StudyFolder) -> None:
    name = folder.leave_marker()
    assert folder.sees_marker(name)
    folder.remove_marker(name)
    assert not folder.sees_marker(name)


def test_a_folder_is_the_same_in_another_process(folder: StudyFolder) -> None:
    copy = pickle.loads(pickle.dumps(folder))
    assert (copy.home, copy.path, copy.name) == (folder.home, folder.path, folder.name)


def test_status_and_group_names_are_checked() -> None:
    with pytest.raises(ValueError, match="status must be one of completed, pruned, diverged, failed, but got 'done'"):
        make_result(status="done")
    with pytest.raises(ValueError, match="grouped value is named <group>/<name>"):
        make_result(groups={"accuracy": 1.0})


def test_atomic_write_leaves_the_old_file_when_the_writer_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, lambda temporary: temporary.write_text("old"))

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_of_another_schema_version_is_refused(folder: StudyFolder) -> None:
    write_atomically(folder.path / "results" / "alien.parquet", lambda path: pd.DataFrame({"x": [1]}).to_parquet(path))
    with pytest.raises(ValueError, match="schema version none, this hpstudy reads version 1"):
        folder.result("alien")


def test_the_study_file_is_fixed_and_guarded(folder: StudyFolder) -> None:
    with pytest.raises(InputError, match="there is no study 'toy'"):
        folder.resolved_yaml()
    folder.begin("name: toy\n")
    assert folder.exists()
    assert folder.resolved_yaml() == "name: toy\n"
    assert studies_in(folder.home) == ["toy"]
    write_atomically(folder.path / "study.yaml", lambda path: path.write_text("name: other\n"))
    with pytest.raises(StudyConflictError, match="was changed after the study began"):
        folder.resolved_yaml()


@pytest.mark.parametrize(
    ("home", "message"),
    [
        ("ftp://server/home", "a folder or an address with s3:// and gs://, but got 'ftp://server/home'"),
        ("s3:///home", "names a bucket, s3://bucket/name, but got 's3:///home'"),
        ("s3://me:secret@bucket/home", "credentials come from the environment, not from the address of s3://bucket"),
    ],
)
def test_a_home_that_can_not_be_is_refused(home: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        StudyFolder(home, "toy")
    assert "secret" not in str(caught.value)


def _hold(path: Path, ready: "multiprocessing.synchronize.Event") -> None:
    with StudyFolder(path, "toy").lock:
        ready.set()
        signal.pause()


def test_the_lock_refuses_a_second_driver_and_dies_with_the_first(on_disk: StudyFolder) -> None:
    folder = on_disk
    folder.begin("name: toy\n")
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(folder.home, ready))
    holder.start()
    try:
        assert ready.wait(30)
        assert folder.is_running()
        with pytest.raises(StudyConflictError, match=rf"is being run by process {holder.pid} on"):
            folder.lock.__enter__()
    finally:
        os.kill(holder.pid or 0, signal.SIGKILL)
        holder.join()
    assert not folder.is_running()
    with folder.lock:
        assert folder.is_running()


def test_sessions_are_kept_in_order(folder: StudyFolder) -> None:
    assert folder.sessions() == []
    folder.add_session({"started": "first"})
    folder.add_session({"started": "second"})
    assert [session["started"] for session in folder.sessions()] == ["first", "second"]
