"""The installed program on a small study: a real Ray, a real MLflow, real processes killed."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pandas as pd
import pypdf
import pytest

from hpstudy.exceptions import StudyConflictError
from hpstudy.execution import run_study
from hpstudy.record import StudyFolder
from hpstudy.spec import load_study
from hpstudy.tracking import NullTracker
from hpstudy.workflow import open_results

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(240)]

STUDY = """
version: 1
name: small
question: Does a searched (s, m) beat AdaCos on a toy?
data: {identities: {train: 24, val: 16, test: 20}}
model: {width: 4, embedding_dim: 32}
training: {epochs: 4, batch_size: 32, optimizer: {name: sgd, lr: 0.1}}
arms:
  normface: {loss: normface, search: {s: {log: [2, 64]}}}
  cosface: {loss: cosface, search: {s: {log: [2, 64]}, m: {linear: [0, 0.6]}}}
  adacos-dynamic: {loss: adacos}
search: {objective: val/tar_at_far_1e-2, trials: 4, early_stopping: {kind: asha, grace_epochs: 1}}
confirm: {seeds: 2, equivalence_margin: 0.02}
"""
TRIALS = 2 * 4 + 3 * 2
TIMING = ["samples_per_s", "started_at", "ended_at", "attempt", "device"]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "hpstudy", *words]


def hpstudy(*words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("studies") / "small.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def finished(study_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """The home of a study that ran without interruption, and what `run --json` said of it."""
    home = tmp_path_factory.mktemp("whole")
    done = hpstudy("run", str(study_file), "--home", str(home), "--json")
    return home, json.loads(done.stdout.splitlines()[-1])


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A driver in a process group of its own, surely gone afterwards."""
    log = subprocess.DEVNULL
    process = subprocess.Popen(command(*words), stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(process: subprocess.Popen[bytes], condition: object, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, f"the driver ended with {process.returncode} before it could be disturbed"
        assert time.monotonic() < deadline, "the driver did not get there in time"
        time.sleep(0.02)


def comparable(trials: pd.DataFrame) -> pd.DataFrame:
    """What must not depend on interruptions."""
    costs = [name for name in trials if str(name).startswith("cost/")]
    return trials.drop(columns=[*TIMING, *costs]).sort_values("trial_id", ignore_index=True).sort_index(axis=1)


def assert_nothing_lost_or_doubled(home: Path, finished: Path) -> None:
    """Record, Optuna and MLflow hold every trial once, with the numbers of a study that was never interrupted."""
    trials, expected = open_results("small", home).trials, open_results("small", finished).trials
    pd.testing.assert_frame_equal(comparable(trials), comparable(expected), check_exact=True)
    folder = StudyFolder(home, "small")
    for trial_id in trials["trial_id"]:
        steps = folder.trajectory(trial_id)["step"]
        assert list(steps) == list(range(1, len(steps) + 1))
    assert not list((folder.path / "checkpoints").iterdir())
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(folder.journal)))
    told = {
        f"{summary.study_name}.{trial.number:03d}": trial.state.name
        for summary in optuna.get_all_study_summaries(storage)
        for trial in optuna.load_study(study_name=summary.study_name, storage=storage).trials
    }
    statuses = expected[expected["phase"] == "search"].set_index("trial_id")["status"]
    assert told == {trial: {"completed": "COMPLETE", "pruned": "PRUNED"}[status] for trial, status in statuses.items()}
    assert mlflow_runs(home) == mlflow_runs(finished)


def mlflow_runs(home: Path) -> dict[str, tuple[str, str]]:
    """Key of every live MLflow run with its status and parent's name; fails on a key that occurs twice."""
    with sqlite3.connect(home / "mlflow.db") as database:
        rows = database.execute(
            """select key.value, run.status, parent.value,
                 (select count(*) from metrics m where m.run_uuid = run.run_uuid
                  group by m.key, m.step having count(*) > 1)
               from runs run join tags key on key.run_uuid = run.run_uuid and key.key = 'hpstudy.key'
               left join tags link on link.run_uuid = run.run_uuid and link.key = 'mlflow.parentRunId'
               left join tags parent on parent.run_uuid = link.value and parent.key = 'hpstudy.key'
               where run.lifecycle_stage = 'active'"""
        ).fetchall()
    keys = [row[0] for row in rows]
    assert sorted(set(keys)) == sorted(keys)
    assert all(doubled is None for *_, doubled in rows), "a metric was logged twice for one step"
    return {key: (status, parent) for key, status, parent, _ in rows}


def test_a_study_runs_to_its_verdict(finished: tuple[Path, dict[str, object]]) -> None:
    home, answer = finished
    results = open_results("small", home)
    trials = results.trials
    assert len(trials) == TRIALS
    assert trials.groupby(["arm", "phase"]).size().to_dict() == {
        ("adacos-dynamic", "confirm"): 2,
        ("cosface", "confirm"): 2,
        ("cosface", "search"): 4,
        ("normface", "confirm"): 2,
        ("normface", "search"): 4,
    }
    assert set(trials["status"]) <= {"completed", "pruned"}
    assert trials.loc[trials["phase"] == "confirm", "test/tar_at_far_1e-2"].notna().all()
    assert trials.loc[trials["phase"] == "search", "test/tar_at_far_1e-2"].isna().all()
    assert answer["study"] == "small"
    assert answer["state"] == "finished"
    assert answer["verdict"] == results.verdict().paragraph
    assert {row["arm"] for row in answer["arms"]} == {"normface", "cosface", "adacos-dynamic"}  # type: ignore[index, attr-defined]
    pd.testing.assert_frame_equal(pd.read_parquet(home / "small" / "trials.parquet"), trials)


def test_mlflow_holds_the_tree(finished: tuple[Path, dict[str, object]]) -> None:
    home, _ = finished
    runs = mlflow_runs(home)
    trials = open_results("small", home).trials
    assert runs["small"] == ("FINISHED", None)
    assert runs["small:cosface"] == ("FINISHED", "small")
    assert len(runs) == 1 + 3 + TRIALS
    for trial_id, arm in zip(trials["trial_id"], trials["arm"], strict=True):
        assert runs[trial_id] == ("FINISHED", f"small:{arm}")


def test_the_report_is_a_pdf_with_the_verdict(finished: tuple[Path, dict[str, object]]) -> None:
    home, answer = finished
    report = Path(str(answer["report"]))
    assert report == home / "small" / "report" / "report.pdf"
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(report).pages)
    assert "Does a searched (s, m) beat AdaCos on a toy?" in text
    assert open_results("small", home).study.sha256[:12] in text.replace("\n", "")
    before = report.read_bytes()
    hpstudy("report", "small", "--home", str(home))
    assert report.read_bytes() == before


def test_running_a_finished_study_again_changes_nothing(
    finished: tuple[Path, dict[str, object]], study_file: Path
) -> None:
    home, answer = finished
    before = {path: path.stat().st_mtime_ns for path in (home / "small" / "results").iterdir()}
    done = hpstudy("run", str(study_file), "--home", str(home), "--json")
    assert json.loads(done.stdout.splitlines()[-1])["verdict"] == answer["verdict"]
    assert {path: path.stat().st_mtime_ns for path in (home / "small" / "results").iterdir()} == before


def test_the_same_name_with_another_file_is_refused_with_a_diff(
    finished: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    home, _ = finished
    other = tmp_path / "small.yaml"
    other.write_text(STUDY.replace("trials: 4", "trials: 5"))
    done = hpstudy("run", str(other), "--home", str(home), expect=2)
    assert "was begun in" in done.stderr
    assert "-  trials: 4\n+  trials: 5" in done.stderr


def test_bad_input_starts_and_writes_nothing(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        STUDY.replace("loss: cosface", "loss: cosfase")
        .replace("epochs: 4", "epochs: four")
        .replace("lr: 0.1", "lr: -1")
        .replace("linear: [0, 0.6]", "linear: [0.6, 0]")
        .replace("seeds: 2", "sedes: 2")
    )
    done = hpstudy("run", str(bad), "--home", str(tmp_path / "home"), expect=2)
    mistakes = [line for line in done.stderr.splitlines() if "bad.yaml:" in line]
    assert len(mistakes) == 5, done.stderr
    assert not (tmp_path / "home").exists()


def test_data_that_do_not_suffice_start_no_trial(tmp_path: Path) -> None:
    greedy = tmp_path / "greedy.yaml"
    greedy.write_text(STUDY.replace("train: 24", "train: 24000"))
    done = hpstudy("run", str(greedy), "--home", str(tmp_path / "home"), expect=2)
    assert "24000" in done.stderr
    assert not (tmp_path / "home" / "small").exists()


@pytest.mark.parametrize("results", [0, 9], ids=lambda count: f"after {count} results")
def test_a_killed_driver_is_resumed_with_nothing_lost_or_doubled(
    finished: tuple[Path, dict[str, object]], study_file: Path, tmp_path: Path, results: int
) -> None:
    folder = StudyFolder(tmp_path, "small")

    def reached() -> bool:
        working = list((folder.path / "checkpoints").glob("*/a001/epoch-*.pt"))
        return bool(working) and len(folder.finished_trials()) >= results

    with running("run", str(study_file), "--home", str(tmp_path)) as driver:
        wait_for(driver, reached)
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    assert len(folder.finished_trials()) < TRIALS
    before = {path: path.stat().st_mtime_ns for path in (folder.path / "results").glob("*.parquet")}
    hpstudy("resume", "small", "--home", str(tmp_path))
    after = {path: path.stat().st_mtime_ns for path in (folder.path / "results").glob("*.parquet")}
    assert before.items() <= after.items(), "a finished trial was run again"
    assert_nothing_lost_or_doubled(tmp_path, finished[0])
    assert len(folder.sessions()) == 2


def test_an_interrupted_driver_says_how_to_go_on(
    finished: tuple[Path, dict[str, object]], study_file: Path, tmp_path: Path
) -> None:
    folder = StudyFolder(tmp_path, "small")
    log = tmp_path / "log"
    words = command("run", str(study_file), "--home", str(tmp_path))
    with log.open("wb") as output:
        driver = subprocess.Popen(words, stdout=output, stderr=output)
        try:
            wait_for(driver, lambda: len(folder.finished_trials()) >= 1)
            assert folder.is_running()
            with pytest.raises(StudyConflictError, match=f"is being run by process {driver.pid}"):
                run_study(load_study(study_file), tmp_path, NullTracker())
            driver.send_signal(signal.SIGINT)
            assert driver.wait(60) == 130
        finally:
            driver.kill()
    assert f"Continue with: hpstudy resume small --home {tmp_path}" in log.read_text()
    assert not folder.is_running()
    hpstudy("resume", "small", "--home", str(tmp_path))
    assert_nothing_lost_or_doubled(tmp_path, finished[0])


def test_a_killed_worker_costs_an_attempt_and_no_number(
    finished: tuple[Path, dict[str, object]], study_file: Path, tmp_path: Path
) -> None:
    folder = StudyFolder(tmp_path, "small")
    with running("run", str(study_file), "--home", str(tmp_path)) as driver:
        wait_for(driver, lambda: list((folder.path / "checkpoints").glob("*/a001/epoch-*.pt")))
        [*workers] = trial_workers(driver.pid)
        assert workers
        os.kill(workers[0], signal.SIGKILL)
        assert driver.wait(150) == 0
    assert_nothing_lost_or_doubled(tmp_path, finished[0])


def trial_workers(driver: int) -> list[int]:
    """Process ids of the Ray actors that run trials below a driver."""
    lines = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    parents = {int(line.split()[0]): int(line.split()[1]) for line in lines[1:]}

    def below(process: int) -> bool:
        while process in parents:
            process = parents[process]
            if process == driver:
                return True
        return False

    found = [int(line.split()[0]) for line in lines[1:] if "ray::ResourceTrainable" in line]
    return [process for process in found if below(process)]
