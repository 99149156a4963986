"""The installed program on a small study: what tests of its faults share."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import torch

from hpstudy.record import StudyFolder, TrialRequest
from hpstudy.search import Planner
from hpstudy.spec import Study
from hpstudy.training import Objective, TrialRun, load_trial_data

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
search: {objective: val/tar_at_far_1e-2, trials: 3, early_stopping: {kind: asha, grace_epochs: 1}}
confirm: {seeds: 2, equivalence_margin: 0.02}
resources: {max_parallel: 2}
"""
TRIALS = 2 * 3 + 3 * 2
TIMING = ["samples_per_s", "started_at", "ended_at", "attempt", "device"]


def furnish(home: Path, template: Path) -> Path:
    """Gives a new home what is in the template."""
    shutil.copytree(template, home, dirs_exist_ok=True)
    return home


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "hpstudy", *words]


def hpstudy(*words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@contextmanager
def running(*words: str, log: Path | None = None, env: Mapping[str, str] = {}) -> Iterator[subprocess.Popen[bytes]]:
    """A driver in a process group of its own, surely gone afterwards; it ends with the last trial unless told else.

    What goes wrong meanwhile is raised with the end of its log.
    """
    with (log or Path(os.devnull)).open("ab") as output:
        process = subprocess.Popen(
            command(words[0], "--no-report", *words[1:]),
            stdout=output,
            stderr=output,
            env={**os.environ, **env},
            start_new_session=True,
        )
    try:
        yield process
    except BaseException as error:
        if log:
            error.add_note(log.read_text(errors="replace")[-3000:])
        raise
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run_alone(study: Study, home: Path) -> StudyFolder:
    """The record of a study whose trials ran one after the other in this process, without Ray."""
    cpu, threads = torch.device("cpu"), torch.get_num_threads()
    torch.set_num_threads(1)  # as a trial has them
    folder = StudyFolder(home, study.name)
    folder.begin(study.resolved_yaml)
    planner, search = Planner(study, folder.journal, lookup=lambda trial_id: None), study.spec.search
    while isinstance(request := planner.next(), TrialRequest):
        settings = study.trial_settings(request.arm, request.condition, request.params)
        data = load_trial_data(settings.data, folder.datasets, cpu)
        run = TrialRun(request, settings, folder, data, cpu, Objective.of((search.primary, *search.objectives[1:])))
        while not (report := run.run_epoch()).ended:
            if planner.report(request.trial_id, report.epoch, report.objective):
                folder.finish_trial(report.result)  # it stops early
                break
        result = folder.result(request.trial_id)
        assert result is not None
        planner.finish(request.trial_id, result)
    torch.set_num_threads(threads)
    folder.write_trials()
    return folder


def wait_for(process: subprocess.Popen[bytes], condition: Callable[[], Any], seconds: float = 240) -> None:
    """Returns as soon as the condition holds, while the driver runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"the driver ended with {process.returncode} before it could be disturbed"
        assert time.monotonic() < deadline, "the driver did not get there in time"
        time.sleep(0.02)


def written(folder: StudyFolder) -> dict[Path, int]:
    """When each finished trial's result was written: that of one which is run again is written anew."""
    assert isinstance(folder.path, Path)
    return {path: path.stat().st_mtime_ns for path in (folder.path / "results").glob("*.parquet")}


def assert_same_numbers(folder: StudyFolder, whole: StudyFolder) -> None:
    """Two records have the same trials, which came to the same at every step."""
    trials = folder.trials()
    pd.testing.assert_frame_equal(comparable(trials), comparable(whole.trials()), check_exact=True)
    for trial_id in trials["trial_id"]:
        steps, others = (each.trajectory(trial_id).drop(columns="samples_per_s") for each in (folder, whole))
        assert list(steps["step"]) == list(range(1, len(steps) + 1))
        pd.testing.assert_frame_equal(steps, others, check_exact=True)
        for read in ("epochs", "plane"):
            found, expected = (getattr(each, read)(trial_id) for each in (folder, whole))
            pd.testing.assert_frame_equal(found, expected, check_exact=True)


def comparable(trials: pd.DataFrame) -> pd.DataFrame:
    """What must not depend on interruptions."""
    costs = [name for name in trials if str(name).startswith("cost/")]
    return trials.drop(columns=[*TIMING, *costs]).sort_values("trial_id", ignore_index=True).sort_index(axis=1)


def assert_nothing_lost_or_doubled(folder: StudyFolder, whole: StudyFolder, tracking: Path) -> None:
    """Record, Optuna and MLflow (in `tracking`) hold every trial once, with the numbers of an undisturbed study."""
    assert_same_numbers(folder, whole)
    trials, expected = folder.trials(), whole.trials()
    for trial_id in trials.loc[trials["phase"] == "confirm", "trial_id"]:
        assert_same_weights(*(each.keep_file(trial_id, "weights.pt") for each in (folder, whole)))
    assert not list((folder.path / "checkpoints").iterdir())
    assert_told(optuna.storages.journal.JournalFileBackend(str(folder.journal)), expected)
    runs, whole_runs = mlflow_runs(tracking), tree(trials)
    assert runs.keys() == whole_runs.keys()
    of_trials = set(trials["trial_id"])  # the others are closed with the report
    assert {key: runs[key] for key in of_trials} == {key: whole_runs[key] for key in of_trials}


def tree(trials: pd.DataFrame) -> dict[str, tuple[str, str | None]]:
    """What `mlflow_runs` finds of a finished study."""
    arms = {f"small:{arm}": ("FINISHED", "small") for arm in trials["arm"].unique()}
    of_arms = zip(trials["trial_id"], trials["arm"], strict=True)
    return {"small": ("FINISHED", None), **arms, **{trial: ("FINISHED", f"small:{arm}") for trial, arm in of_arms}}


def assert_told(journal: Any, expected: pd.DataFrame) -> None:
    """Optuna's journal has every trial of the searches once, as it ended."""
    storage = optuna.storages.JournalStorage(journal)
    told = {
        f"{summary.study_name}.{trial.number:03d}": trial.state.name
        for summary in optuna.get_all_study_summaries(storage)
        for trial in optuna.load_study(study_name=summary.study_name, storage=storage).trials
    }
    statuses = expected[expected["phase"] == "search"].set_index("trial_id")["status"]
    assert told == {trial: {"completed": "COMPLETE", "pruned": "PRUNED"}[status] for trial, status in statuses.items()}


def assert_same_weights(path: Path, other: Path) -> None:
    """Network and head are equal to the last bit."""
    states = [torch.load(each, weights_only=True) for each in (path, other)]
    for part in ("model", "head"):
        assert states[0][part].keys() == states[1][part].keys()
        for name, value in states[0][part].items():
            assert torch.equal(value, states[1][part][name]), f"{part}.{name} differs"


def mlflow_runs(home: Path) -> dict[str, tuple[str, str | None]]:
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

    found = [
        int(line.split()[0]) for line in lines[1:] if "ray::ResourceTrainable" in line or "ray::TrialWorker" in line
    ]
    return [process for process in found if below(process)]
