"""Times a study's trials in processes like its workers, as many at once as trials will run."""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpstudy.exceptions import InputError, StudyFailedError
from hpstudy.spec import Arm, Choice, IntRange, LogRange, SearchRange, Study, TrialSettings

MOST_WORKERS = 8
"""Processes that a probe starts at most; their number shows what trials that run side by side take from each other."""

_WITHOUT_INFLUENCE = {"lr", "momentum", "weight_decay"}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialCost:
    """Seconds and bytes of the parts of one trial (`hpstudy.training.TrialTiming` says how they are measured)."""

    steps_per_epoch: int
    timed_steps: int
    setup_s: float
    step_s: float
    epoch_s: float
    validation_s: float
    geometry_s: float
    test_s: float
    weights_bytes: int
    checkpoint_bytes: int
    peak_memory_mb: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What was timed."""

    costs: dict[tuple[str, str], TrialCost]
    """By condition and arm."""
    workers: int
    """Processes that trained at the same time."""
    gpus: int
    """GPUs that torch sees here."""
    start_s: float
    """Until a worker has its libraries and data."""
    data_bytes: int
    """Of the cached data."""
    waited: float
    """Largest fraction of a probe's time that other processes had the CPU; deducted."""
    timed: int
    """Different networks, data and batch sizes that were trained; arms that share them differ by their heads."""


def probe_study(study: Study, datasets: Path, *, workers: int, budget_s: float) -> Probe | None:
    """Times a few steps of every condition and the head of every arm; None where torch sees no GPU that trials ask for.

    Searched values are at the paper's default, or in the middle of their ranges. Data that `datasets` holds are read
    from there, others are made in a temporary folder: nothing stays behind.

    Args:
        study: The study.
        datasets: The home's cache of data sets, which need not exist.
        workers: Trials that will run at the same time on this machine.
        budget_s: Seconds for each condition, roughly.

    Raises:
        InputError: data are missing or too few, or a part can't be built.
        StudyFailedError: the probe failed.
    """
    spec = study.spec
    with tempfile.TemporaryDirectory(prefix="hpstudy-probe-") as name:
        cache = Path(name)
        for path in datasets.glob("*.parquet"):
            (cache / path.name).symlink_to(path)
        count = max(1, min(workers, MOST_WORKERS))
        with _workers(cache, count, spec.resources.cpus, spec.resources.gpus) as team:
            start_s = max(worker.ask({"do": "start"})["start_s"] for worker in team)
            check = {"do": "check", "study": study.resolved_yaml}
            gpus = int(team[0].ask(check)["gpus"])
            if spec.resources.gpus and not gpus:
                return None
            costs: dict[tuple[str, str], TrialCost] = {}
            data_s = waited = 0.0
            groups = _groups(study)
            for members in groups:
                heads = {_shape(settings): settings for _, settings in members}
                job = {
                    "do": "time",
                    "settings": members[0][1].to_json(),
                    "heads": [settings.to_json() for settings in heads.values()],
                    "objectives": spec.search.objectives,
                    "budget_s": budget_s,
                }
                for worker in team:
                    worker.send(job)
                answers = [worker.answer() for worker in team]
                answer = _mean(answers)
                data_s = max(data_s, *(each["data_s"] for each in answers), 0.0)
                waited = max(waited, answer["waited"])
                seconds = dict(zip(heads, answer["heads_s"], strict=True))
                for key, settings in members:
                    costs[key] = _cost(answer, seconds[_shape(settings)] - seconds[_shape(members[0][1])])
        data_bytes = sum(path.stat().st_size for path in cache.glob("*.parquet"))
    return Probe(
        costs=costs,
        workers=count,
        gpus=gpus,
        start_s=start_s + data_s,
        data_bytes=data_bytes,
        timed=len(groups),
        waited=waited,
    )


def typical_points(arm: Arm) -> list[dict[str, float]]:
    """What stands for the arm's trials: its grid, or one point, the paper's default or the middle of the ranges."""
    if arm.kind == "grid":
        return arm.grid_points()
    return [arm.paper_default_point() or {name: _middle(entry) for name, entry in arm.space.items()}]


def _middle(entry: SearchRange) -> float:
    match entry:
        case Choice():
            return sorted(entry.values)[len(entry.values) // 2]
        case LogRange():
            return math.sqrt(entry.low * entry.high)
        case IntRange():
            return (entry.low + entry.high) // 2
    return (entry.low + entry.high) / 2


def _groups(study: Study) -> list[list[tuple[tuple[str, str], TrialSettings]]]:
    """Trials of equal data, network and batch size, whatever their head and learning rate."""
    groups: dict[str, list[tuple[tuple[str, str], TrialSettings]]] = {}
    for condition in study.conditions():
        for arm in study.arms:
            settings = study.trial_settings(arm.name, condition.id, typical_points(arm)[0])
            alike = json.loads(settings.to_json())
            del alike["head"], alike["data"]["seed"], alike["training"]["epochs"]
            for name in _WITHOUT_INFLUENCE:
                del alike["training"]["optimizer"][name]
            groups.setdefault(json.dumps(alike), []).append(((condition.id, arm.name), settings))
    return list(groups.values())


def _shape(settings: TrialSettings) -> str:
    """What a head's time depends on: its parts, not their numbers."""
    head = settings.head
    parts = [(part.get("name"), sorted(part)) for part in (head.margin, head.scale, head.criterion, head.params)]
    return json.dumps([head.loss, *parts, sorted(head.regularisers)])


def _cost(answer: dict[str, Any], head_s: float) -> TrialCost:
    """The timed trial's cost with another head, which takes `head_s` longer."""
    values = {name: answer[name] for name in TrialCost.__slots__}
    values["step_s"] = max(values["step_s"] + head_s, 0.0)
    values["epoch_s"] = max(values["epoch_s"] + head_s * values["steps_per_epoch"], 0.0)
    for name in ("steps_per_epoch", "timed_steps", "weights_bytes", "checkpoint_bytes"):
        values[name] = round(values[name])
    return TrialCost(**values)


def _mean(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def mean(values: list[Any]) -> Any:
        if isinstance(values[0], list):
            return [mean(list(entries)) for entries in zip(*values, strict=True)]
        return sum(values) / len(values)

    return {name: mean([answer[name] for answer in answers]) for name in answers[0]}


class _Worker:
    """One process of `_probe_worker`."""

    def __init__(self, cache: Path, cpus: float, gpus: float) -> None:
        self._errors = (cache / f"worker-{time.monotonic_ns()}.log").open("w+")
        threads = str(max(1, math.ceil(cpus)))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hpstudy.execution._probe_worker", str(cache), str(cpus), str(gpus)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={
                **os.environ,
                "OMP_NUM_THREADS": threads,
                "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
            },
        )

    def send(self, job: dict[str, Any]) -> None:
        """Hands a job in."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # `answer` tells of the process's end

    def answer(self) -> dict[str, Any]:
        """Waits for the answer to the job."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            last = self._errors.read().strip().rpartition("\n")[2]
            raise StudyFailedError(f"the probe's process ended with {self._process.wait()}: {last}")
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            raise InputError(answer["refused"])
        if "failed" in answer:
            raise StudyFailedError(f"the probe failed: {answer['failed']}")
        return answer

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Hands a job in and waits for its answer."""
        self.send(job)
        return self.answer()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


@contextmanager
def _workers(cache: Path, count: int, cpus: float, gpus: float) -> Iterator[list[_Worker]]:
    team: list[_Worker] = []
    try:
        for _ in range(count):
            team.append(_Worker(cache, cpus, gpus))
        yield team
    finally:
        for worker in team:
            worker.close()
