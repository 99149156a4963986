"""What a study of thousands of trials costs in its driver, with the training replaced by a recording.

Run it from the repository's root, with nothing else running:

    python benchmarks/many_trials.py --trials 5000 --home FOLDER

One trial is trained in earnest; every trial of the study then plays its record of 2,000 steps instead of training. All
else is real: Ray, Tune, the planner with Optuna's TPE and its journal, early stopping, the workers' record with
checkpoints, MLflow. The driver is killed when a hundredth of the trials is left and resumed. `--output FOLDER` writes
the table to `many_trials.md` there.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from hpstudy.record import StudyFolder
from hpstudy.spec import Study, parse_study

STEPS, EPOCHS, CONFIRM_SEEDS = 2000, 8, 10
STUDY = """
version: 1
name: many-trials
question: What does a study of many trials cost beside its training?
data: {{source: glyphs, identities: {{train: 24, val: 16, test: 16}}}}
model: {{name: convnet, width: 4, embedding_dim: 32}}
training: {{epochs: {epochs}, batch_size: 32, steps_per_epoch: {steps}, optimizer: {{name: sgd, lr: 0.1}}}}
conditions: {{model.embedding_dim: [16, 32, 48, 64, 96]}}
arms:
  normface:   {{loss: normface,   search: {{s: {{log: [2, 64]}}}}}}
  cosface:    {{loss: cosface,    search: {{s: {{log: [2, 64]}}, m: {{linear: [0.0, 0.6]}}}}}}
  arcface:    {{loss: arcface,    search: {{s: {{log: [2, 64]}}, m: {{linear: [0.0, 0.8]}}}}}}
  sphereface: {{loss: sphereface, search: {{s: {{log: [2, 64]}}, m: {{linear: [1.0, 2.0]}}}}}}
search: {{objective: val/tar_at_far_1e-2, trials: {trials}, early_stopping: {{kind: none}}}}
confirm: {{seeds: {seeds}}}
resources: {{cpus: 1, max_parallel: 2}}
"""
RECORDING = "HPSTUDY_BENCHMARK_RECORDING"
"""Names the file that trials play."""
BEGUN = "HPSTUDY_BENCHMARK_BEGUN"
"""When the process of a driver was started."""


def study_of(trials: int) -> Study:
    """A study of so many trials: 20 searches of equal budgets, and their confirm trials."""
    budget = max(1, (trials - 20 * CONFIRM_SEEDS) // 20)
    return parse_study(STUDY.format(epochs=EPOCHS, steps=STEPS // EPOCHS, trials=budget, seeds=CONFIRM_SEEDS))


def record(path: Path, home: Path) -> None:
    """Trains one trial in earnest and keeps its steps."""
    import torch

    from hpstudy.record import TrialRequest
    from hpstudy.training import Objective, TrialRun, load_trial_data

    study = study_of(5000)
    request = TrialRequest(
        arm="cosface", condition=study.conditions()[0].id, phase="search", search_seed=0, number=0, seed=0,
        params={"s": 20.0, "m": 0.2},
    )  # fmt: skip
    settings = study.trial_settings(request.arm, request.condition, request.params)
    data = load_trial_data(settings.data, home / "datasets", torch.device("cpu"))
    folder = StudyFolder(home, "recording")
    run = TrialRun(
        request, settings, folder, data, torch.device("cpu"), Objective.of(study.spec.search.objectives)
    )  # fmt: skip
    while not run.run_epoch().ended:
        pass
    frame = folder.trajectory(request.trial_id)
    np.savez(path, **{name: frame[name].to_numpy() for name in frame})


def play_recordings(runtime_env: Any) -> dict[str, Any]:
    """Called by Ray when it is started: what the environment of its workers has in addition."""
    here = str(Path(__file__).parent)
    return {
        **(runtime_env or {}),
        "worker_process_setup_hook": "recorded_training.replace_training",
        "env_vars": {"PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])},
    }


class Meter:
    """Times every call of the book that connects Tune with the planner, trial by trial."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("a", encoding="utf-8")
        self._begun = False
        self._book, self._book_cpu = 0.0, 0.0
        self._cpu, self._wall = time.thread_time(), time.perf_counter()

    def begin(self) -> None:
        """Puts the book with a clock in the place of the driver's, once that has imported it."""
        tune = sys.modules.get("hpstudy.execution._tune")
        if tune and not self._begun:
            self._begun = True
            tune.OrderBook = self._timed_book(tune.OrderBook)  # type: ignore[attr-defined]

    def _timed_book(self, whole: Any) -> type:
        meter = self

        class TimedBook(whole):  # type: ignore[misc]
            def __reduce__(self) -> Any:
                return (dict, ())

        for name in ("next", "started", "reported", "ended"):
            setattr(TimedBook, name, meter._timed(getattr(whole, name), last=name == "ended"))
        return TimedBook

    def _timed(self, method: Any, *, last: bool) -> Any:
        def call(book: Any, *words: Any) -> Any:
            begun, cpu = time.perf_counter(), time.thread_time()
            try:
                return method(book, *words)
            finally:
                self._book += time.perf_counter() - begun
                self._book_cpu += time.thread_time() - cpu
                if last:
                    self.note("trial")

        return call

    def note(self, what: str) -> None:
        cpu, wall = time.thread_time(), time.perf_counter()
        spent = {
            "book_s": self._book,
            "book_cpu_s": self._book_cpu,
            "cpu_s": cpu - self._cpu,
            "wall_s": wall - self._wall,
        }
        self._log.write(json.dumps({"what": what, **spent}) + "\n")
        self._log.flush()
        self._book, self._book_cpu, self._cpu, self._wall = 0.0, 0.0, cpu, wall


def drive(trials: int, home: Path, log: Path) -> None:
    """One session of a driver, as `hpstudy run` has it."""
    begun = float(os.environ[BEGUN])
    from hpstudy.workflow import run_session

    meter = Meter(log)
    seen: list[float] = []

    def observe(progress: Any) -> None:
        meter.begin()
        if not seen and any(arm.running for arm in progress.arms):
            seen.append(time.time() - begun)
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"what": "first", "after_s": seen[0], "done": progress.done}) + "\n")

    outcome = run_session(study_of(trials), home, observe)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"what": "end", "finished": outcome.finished, "s": time.time() - begun}) + "\n")


def main() -> None:
    """Runs the study, kills and resumes its driver, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--home", type=Path, required=True, help="a new folder")
    parser.add_argument("--output", type=Path, help="where many_trials.md is written")
    parser.add_argument("--drive", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    home, log = given.home.absolute(), given.home.absolute() / "many_trials.jsonl"
    if given.drive:
        drive(given.trials, home, log)
        return
    home.mkdir(parents=True)
    os.environ[RECORDING] = str(home / "recording.npz")
    os.environ["RAY_RUNTIME_ENV_HOOK"] = "many_trials.play_recordings"
    record(home / "recording.npz", home)
    study = study_of(given.trials)
    planned = sum(study.planned_trials().values())
    words = [sys.executable, __file__, "--drive", "--trials", str(given.trials), "--home", str(home)]
    results = home / study.name / "results"
    driver = subprocess.Popen(words, env=begun_now(), start_new_session=True)
    while driver.poll() is None and _count(results) < planned - planned // 100:
        time.sleep(0.2)
    if driver.poll() is not None:
        sys.exit(f"the driver ended with {driver.returncode} before it was killed")
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    subprocess.run(words, env=begun_now(), check=True)
    text = table(log, planned, study)
    print(text)
    if given.output:
        command = f"python benchmarks/many_trials.py --trials {given.trials} --home FOLDER --output benchmarks"
        source = StudyFolder(home, study.name).sessions()[0]["source"]
        (given.output / "many_trials.md").write_text(
            f"# The driver of a study of many trials\n\nWritten by `{command}` of {source}; the training is a "
            f"recording, see the script.\n\n{text}", encoding="utf-8"
        )  # fmt: skip


def begun_now() -> dict[str, str]:
    """The environment of a driver."""
    return {**os.environ, BEGUN: str(time.time())}


def _count(folder: Path) -> int:
    return len(os.listdir(folder)) if folder.is_dir() else 0


def table(log: Path, planned: int, study: Study) -> str:
    """What the sessions came to, in Markdown."""
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    trials = [entry for entry in entries if entry["what"] == "trial"]
    starts = [entry for entry in entries if entry["what"] == "first"]
    [end] = [entry for entry in entries if entry["what"] == "end"]
    assert end["finished"]
    lines = [
        "| trials | planner and bookkeeping (ms a trial) | their CPU | main thread's CPU, Tune with them | wall, all |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    kept = starts[1]["done"] if len(starts) > 1 else len(trials)
    windows = [(50, 150), *((at, at + 100) for at in range(900, kept - 100, 900)), (kept - 100, kept)]
    costs = []
    for low, high in windows:
        rows = trials[low:high]
        names = ("book_s", "book_cpu_s", "cpu_s", "wall_s")
        means = [1000 * sum(row[name] for row in rows) / len(rows) for name in names]
        costs.append(means[0])
        lines.append(f"| {low:,} to {high:,} | {means[0]:.1f} | {means[1]:.1f} | {means[2]:.1f} | {means[3]:.0f} |")
    lines += [
        "",
        f"{planned:,} trials of {STEPS:,} steps in {EPOCHS} epochs, {len(study.conditions())} conditions, two at a "
        f"time. From the first of these windows, whose trials are drawn at random, to the dearest the cost of planner "
        f"and bookkeeping grows by a factor of {max(costs) / costs[0]:.2f}; the last trials confirm, and no sampler "
        f"draws them. Over all trials it is {1000 * sum(row['book_s'] for row in trials) / len(trials):.1f} ms.",
        "",
        f"Killed with {starts[1]['done']:,} trials done and resumed: {starts[1]['after_s']:.1f} s from the start of "
        f"the process to its first trial (a new study: {starts[0]['after_s']:.1f} s).",
        "",
        f"{os.cpu_count()} CPU cores ({platform.machine()}), Python {platform.python_version()}.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
