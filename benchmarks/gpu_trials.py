"""Steps per second of trials on one GPU: alone and side by side on shares of it, by precision and memory layout.

Run it from the repository's root, with nothing else running:

    python benchmarks/gpu_trials.py

It writes the table to `gpu_trials.md`. Every trial is a process of its own, as in a study. It trains one epoch to warm
up, waits until all of its company have, and then trains the epochs that are timed; validation and record are not timed.
"""

import argparse
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from hpstudy.record import StudyFolder, TrialRequest
from hpstudy.spec import DataSpec, ModelSpec, parse_study
from hpstudy.training import Objective, TrialRun, describe_device, make_ready, peak_memory_mb, pick_device
from hpstudy.training._trial_data import ImageData

STUDY = """
version: 1
name: benchmark
question: How fast?
data: {{identities: {{train: {classes}, val: 16, test: 16}}}}
model: {{width: {width}, embedding_dim: {dim}}}
training: {{epochs: {epochs}, steps_per_epoch: {steps}, batch_size: {batch}, precision: {precision}}}
arms: {{adacos: {{loss: adacos}}}}
search: {{objective: val/tar_at_far_1e-2}}
"""
PATIENCE_S = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Trials that run at the same time."""

    trials: int
    precision: str = "auto"
    layout: str = "channels_last"

    @property
    def share(self) -> float:
        """Of the GPU, for each."""
        return 1 / self.trials

    def words(self, number: int) -> list[str]:
        """Of one of its trials on the command line."""
        return [self.layout, self.precision, str(self.share), str(number), str(self.trials)]


CASES = (
    Case(trials=1),
    Case(trials=2),
    Case(trials=4),
    Case(trials=1, precision="float32"),
    Case(trials=1, layout="contiguous"),
    Case(trials=1, precision="float32", layout="contiguous"),
)


class Contiguous(ImageData):
    """Network and images in the layout that torch has by default."""

    def build_model(self, spec: ModelSpec, generator: torch.Generator) -> nn.Module:
        """The same weights in another order."""
        return super().build_model(spec, generator).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def batch(self, rows: Tensor, noise: torch.Generator) -> Tensor:
        """The same images in another order."""
        return super().batch(rows, noise).contiguous()


LAYOUTS: dict[str, type[ImageData]] = {"channels_last": ImageData, "contiguous": Contiguous}


class Stopwatch:
    """Seconds of the steps of each epoch: from an epoch's start to its last sign of progress."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._begun = self.taken_s = 0.0

    def begin(self) -> None:
        """An epoch begins."""
        self._begun = time.perf_counter()

    def progress(self) -> None:
        """Some steps are done."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.taken_s = time.perf_counter() - self._begun


def train(options: argparse.Namespace) -> None:
    """One trial; prints the start and the seconds of every timed epoch, and the peak of its memory."""
    folder, layout, precision, share, number, trials = options.trial
    device = pick_device(float(share) if options.device == "cuda" else 0.0)
    torch.set_num_threads(options.threads)
    make_ready(device, float(share))
    study = parse_study(
        STUDY.format(
            classes=options.classes,
            width=options.width,
            dim=options.dim,
            epochs=options.epochs + 2,  # so that the last one that is timed is not the end of the trial
            steps=options.steps,
            batch=options.batch,
            precision=precision,
        )
    )
    spec: DataSpec = study.spec.data
    data = LAYOUTS[layout](spec, Path(folder).parent / "datasets", device)
    request = TrialRequest(
        arm="adacos", condition="default", phase="search", search_seed=0, number=int(number), seed=0, params={}
    )
    watch = Stopwatch(device)
    run = TrialRun(
        request,
        study.trial_settings("adacos", "default", {}),
        StudyFolder(folder, f"trial-{number}"),
        data,
        device,
        Objective(name="val/tar_at_far_1e-2"),
        gpus=float(share),
        on_progress=watch.progress,
    )
    run.run_epoch()
    (Path(folder) / f"ready-{number}").touch()
    deadline = time.monotonic() + PATIENCE_S
    while len(list(Path(folder).glob("ready-*"))) < int(trials):
        if time.monotonic() > deadline:
            raise SystemExit("the other trials did not get ready")
        time.sleep(0.005)
    taken = []
    for _ in range(options.epochs):
        watch.begin()
        run.run_epoch()
        taken.append(watch.taken_s)
    print(median(taken), peak_memory_mb(device))


def measure(case: Case, scratch: Path, options: argparse.Namespace, arguments: Sequence[str]) -> tuple[float, float]:
    """Steps per second of all trials of a case together, and the largest peak of one in MiB."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, *arguments, "--trial", str(folder), *case.words(number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(case.trials)
    ]
    told = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"a trial of {case} failed")
    numbers = [[float(word) for word in line.split()] for line in told]
    return sum(options.steps / seconds for seconds, _ in numbers), max(peak for _, peak in numbers)


PREFACE = """\
# Trials on one GPU

Batches of {batch}, width {width}, K = {dim}, C = {classes}, {steps} steps an epoch, AdaCos. Measured on {machine}, by

    python benchmarks/gpu_trials.py {arguments}

Each trial is a process; medians of {epochs} epochs after one to warm up, of {rounds} rounds over all cases. `auto` is
bfloat16 on a GPU that has it. Steps of all trials together, and relative to the first row."""


def machine(device: torch.device) -> str:
    """Where it ran, in words."""
    return (
        f"{describe_device(device)}, {platform.system()}, Python {platform.python_version()}, torch {torch.__version__}"
    )


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=default)
    parser.add_argument("--classes", type=int, default=300, help="C")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--dim", type=int, default=256, help="K")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=3, help="that are timed")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--most", type=int, default=4, help="trials side by side, at most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder of the table")
    parser.add_argument("--trial", nargs=6, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Measure and write everything."""
    options = parsed(arguments)
    if options.trial:
        return train(options)
    device = torch.device(options.device)
    cases = [case for case in CASES if case.trials <= options.most]
    found: dict[Case, list[tuple[float, float]]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.rounds):
            for case in cases:
                found[case].append(measure(case, Path(scratch), options, arguments))
    rates = {case: median(rate for rate, _ in values) for case, values in found.items()}
    base = rates[cases[0]]
    head = ("trials at once", "share", "precision", "layout", "steps/s together", "× first row", "MiB a trial")
    rows: list[Sequence[Any]] = [
        (
            case.trials,
            f"{case.share:g}",
            case.precision,
            case.layout,
            f"{rates[case]:.1f}",
            f"{rates[case] / base:.2f}",
            f"{max(peak for _, peak in found[case]):.0f}",
        )
        for case in cases
    ]
    given = vars(options) | {"machine": machine(device), "arguments": shlex.join(arguments)}
    table = [f"| {' | '.join(map(str, cells))} |" for cells in (head, ["---:"] * len(head), *rows)]
    text = "\n".join([*(line.rstrip() for line in PREFACE.format(**given).splitlines()), "", *table])
    (options.output / "gpu_trials.md").write_text(text + "\n", encoding="utf-8")
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
