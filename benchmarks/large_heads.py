"""Time and memory of one training step of a large head, against pytorch-metric-learning's (PML).

Run it from the repository's root, with the extra `benchmark` installed and nothing else running:

    python benchmarks/large_heads.py

It writes the tables to `large_heads.md` and every measured number to `large_heads.csv`. A step is the forward and the
backward pass, to the gradients of the embeddings and of the prototypes W. Shapes: N samples, C classes, K dimensions.
"""

import argparse
import csv
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

import torch
import torch.nn.functional as F
from peak_memory import resident_mib, tensors_mib
from torch import Tensor, nn

from hpstudy.losses import build_head

LOSSES = {"cosface": {"s": 64.0, "m": 0.35}, "arcface": {"s": 64.0, "m": 0.5}}
VARIANTS = {"kept": "hpstudy, kept", "chunked": "hpstudy, chunked", "pml": "PML", "plain": "plain"}
SMALL = {"num_classes": 300, "dim": 256, "samples": 128}
TOLERANCES = {"kept": 1e-5, "chunked": 1e-5, "pml": 5e-5}
"""Largest error that passes for float32 rounding, relative to the largest entry. PML's is that of F.cross_entropy,
which loses digits over many classes: on the same float32 logits it is some 1e-7 in float64."""
MIB = 2**20

Batch = tuple[Tensor, Tensor]
"""Embeddings (N, K) with gradient, labels (N,)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One training step of one head on one batch."""

    weight: nn.Parameter
    """Prototypes, (C, K); in PML (K, C)."""
    embeddings: Tensor
    forward: Callable[[], tuple[Tensor, Mapping[str, Tensor]]]
    """Gives the loss and, for hpstudy, the statistics."""

    def clear(self) -> None:
        """Drop the gradients, with their memory."""
        self.embeddings.grad = self.weight.grad = None

    def run(self) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Forward and backward."""
        loss, statistics = self.forward()
        loss.backward()
        return loss.detach(), statistics


@dataclass(frozen=True, slots=True)
class Number:
    """A measured number, a row of the CSV file."""

    measured: str
    loss: str
    variant: str
    num_classes: int
    run: int
    value: float
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What is written in the end."""

    lines: list[str] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)
    peaks: dict[tuple[str, str, int], dict[str, float]] = field(default_factory=dict)
    """Memory in MiB by loss, variant and number of classes."""

    def add(self, measured: str, case: tuple[str, str, int], run: int, value: float, unit: str) -> None:
        """Add a number of a loss, a variant and a number of classes."""
        loss, variant, num_classes = case
        self.numbers.append(Number(measured, loss, variant, num_classes, run, float(f"{value:.6g}"), unit))

    def table(self, title: str, text: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a section with one table."""
        ruler = ["---", *("---:" for _ in head[1:])]
        self.lines.extend(["", f"## {title}", "", text, ""])
        self.lines.extend(f"| {' | '.join(cells)} |" for cells in (head, ruler, *rows))

    def write(self, folder: Path) -> None:
        """Write both files."""
        (folder / "large_heads.md").write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        with (folder / "large_heads.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([each.name for each in fields(Number)])
            writer.writerows(astuple(number) for number in self.numbers)


def build(loss: str, variant: str, batch: Batch, weight: Tensor, width: int) -> Step:
    """A head with these prototypes, which the heads of hpstudy share and those of PML copy into their own layout."""
    (num_classes, dim), (embeddings, labels), params = weight.shape, batch, LOSSES[loss]
    if variant == "plain":
        own = nn.Parameter(weight)

        def plain() -> tuple[Tensor, Mapping[str, Tensor]]:
            logits = params["s"] * (F.normalize(embeddings) @ F.normalize(own).T)
            return F.cross_entropy(logits, labels), {}

        return Step(weight=own, embeddings=embeddings, forward=plain)
    if variant == "pml":
        from pytorch_metric_learning.losses import ArcFaceLoss, CosFaceLoss

        kind, margin = (CosFaceLoss, params["m"]) if loss == "cosface" else (ArcFaceLoss, math.degrees(params["m"]))
        other = kind(num_classes, dim, margin=margin, scale=params["s"])
        other.W.data = weight.T.contiguous()
        return Step(weight=other.W, embeddings=embeddings, forward=lambda: (other(embeddings, labels), {}))
    at_once = width if variant == "chunked" else None
    head = build_head(loss, num_classes=num_classes, embedding_dim=dim, classes_at_once=at_once, **params)
    head.to(embeddings.device).weight.data = weight

    def ours() -> tuple[Tensor, Mapping[str, Tensor]]:
        output = head(embeddings, labels)
        return output.loss, output.statistics

    return Step(weight=head.weight, embeddings=embeddings, forward=ours)


def draw(num_classes: int, dim: int, samples: int, device: str) -> tuple[Tensor, Batch]:
    """Prototypes, and a batch around its targets as in the middle of a training: cos θ_y near 0.6."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(num_classes, dim, generator=generator).mul_(dim**-0.5)
    labels = torch.randint(num_classes, (samples,), generator=generator)
    noise = torch.randn(samples, dim, generator=generator).mul_(dim**-0.5)
    embeddings = (weight[labels] * 0.75 + noise).to(device).requires_grad_()
    return weight.to(device), (embeddings, labels.to(device))


def time_rounds(steps: dict[str, Step], rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of every step in every round; each round runs each step once, and begins with the next of them."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    names = list(steps)
    for index in range(rounds + 1):
        start = index % len(names)
        for name in names[start:] + names[:start]:
            wait()
            before = time.perf_counter()
            steps[name].run()
            wait()
            if index:  # the round before the first warms up
                seconds[name].append(time.perf_counter() - before)
            steps[name].clear()
    return seconds


def reference(loss: str, weight: Tensor, batch: Batch) -> dict[str, Tensor]:
    """The results of a step in float64, by autograd of the dense formula."""
    params, labels = LOSSES[loss], batch[1]
    x, w = batch[0].detach().double().requires_grad_(), weight.double().requires_grad_()
    cos = F.normalize(x) @ F.normalize(w).T
    own = cos.gather(1, labels[:, None])
    margined = own - params["m"] if loss == "cosface" else torch.cos(own.acos() + params["m"])
    value = F.cross_entropy(params["s"] * cos.scatter(1, labels[:, None], margined), labels)
    value.backward()
    with torch.no_grad():
        log_b = (params["s"] * cos).scatter_(1, labels[:, None], -torch.inf).logsumexp(1)
        log_b_avg, theta_med = log_b.logsumexp(0) - math.log(len(log_b)), own.squeeze(1).acos().median()
    return {"loss": value.detach(), "∂/∂x": x.grad, "∂/∂W": w.grad, "log B_avg": log_b_avg, "θ_med": theta_med}


def errors(step: Step, expected: dict[str, Tensor]) -> dict[str, float]:
    """Largest error of each result of a step, relative to the largest entry."""
    loss, statistics = step.run()
    of_x, of_w = step.embeddings.grad, step.weight.grad
    assert of_x is not None
    assert of_w is not None
    found = {"loss": loss, "∂/∂x": of_x, "∂/∂W": of_w if of_w.shape == expected["∂/∂W"].shape else of_w.T}
    if statistics:
        found |= {"log B_avg": statistics["log_b_avg"], "θ_med": statistics["theta_med"]}
    step.clear()
    return {
        name: float((value - expected[name]).abs().max() / expected[name].abs().max()) for name, value in found.items()
    }


def peak_memory(step: Step, device: str) -> dict[str, float]:
    """What a step holds at most above what there was before it, in MiB: tensors, and on the CPU the process."""
    resident = None if device == "cuda" else resident_mib(step.run)
    step.clear()
    return {"tensors": tensors_mib(step.run, device)} | ({} if resident is None else {"process": resident})


def peaks(case: tuple[str, str, int], options: argparse.Namespace, report: Report) -> dict[str, float]:
    """Median over runs of `peak_memory`, each in a process of its own."""
    if case in report.peaks:
        return report.peaks[case]
    loss, variant, num_classes = case
    command = [sys.executable, "-W", "ignore", __file__, "--peak", loss, variant, str(num_classes)]
    for name in ("dim", "samples", "width", "threads", "device"):
        command += [f"--{name}", str(getattr(options, name))]
    runs = []
    for index in range(options.memory_runs):
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
        runs.append(json.loads(found))
        for kind, value in runs[-1].items():
            report.add(f"peak memory, {kind}", case, index, value, "MiB")
    report.peaks[case] = {kind: median(run[kind] for run in runs) for kind in runs[0]}
    return report.peaks[case]


def print_peak(loss: str, variant: str, num_classes: int, options: argparse.Namespace) -> None:
    """What a process for one peak does."""
    for size in (64, num_classes):  # the small one loads libraries and starts threads
        weight, batch = draw(size, options.dim, options.samples, options.device)
        step = build(loss, variant, batch, weight, options.width)
        if size != num_classes:
            step.run()
    print(json.dumps(peak_memory(step, options.device)))


def ratios(seconds: dict[str, list[float]], name: str, other: str) -> str:
    """Median and quartiles of the ratio of two steps' times, round by round."""
    found = [one / two for one, two in zip(seconds[name], seconds[other], strict=True)]
    low, _, high = quantiles(found, n=4) if len(found) > 1 else found * 3
    return f"{median(found):.2f} ({low:.2f}–{high:.2f})"


def heads(options: argparse.Namespace, report: Report) -> bool:
    """Tables of time, memory and agreement; whether all results agree."""
    rows, agreement, agreed = [], [], True
    for num_classes in options.classes:
        weight, batch = draw(num_classes, options.dim, options.samples, options.device)
        steps = {
            f"{loss} {variant}": build(loss, variant, batch, weight, options.width)
            for loss in options.losses
            for variant in ("kept", "chunked", "pml")
        }
        rounds = round(options.rounds * max(options.classes) / num_classes)
        seconds = time_rounds(steps, rounds, options.device)
        for loss in options.losses:
            expected = reference(loss, weight, batch)
            memory = {}
            for variant in ("kept", "chunked", "pml"):
                case, name = (loss, variant, num_classes), f"{loss} {variant}"
                for index, value in enumerate(seconds[name]):
                    report.add("time", case, index, value * 1e3, "ms")
                memory[variant] = peaks(case, options, report)
                found = errors(steps[name], expected)
                agreed &= max(found.values()) <= TOLERANCES[variant]
                for kind, value in found.items():
                    report.add(f"error of {kind}", case, 0, value, "1")
                label = (f"{num_classes:,}", loss, VARIANTS[variant])
                agreement.append((*label, *(f"{found[kind]:.0e}" if kind in found else "" for kind in expected)))
            for variant, peak in memory.items():
                cells = [f"{peak[kind]:.0f} | {peak[kind] / memory['pml'][kind]:.2f}" for kind in peak]
                name = f"{loss} {variant}"
                time_cells = (f"{median(seconds[name]) * 1e3:.0f}", ratios(seconds, name, f"{loss} pml"))
                rows.append((f"{num_classes:,}", loss, VARIANTS[variant], *time_cells, *cells))
    kinds = [cell for kind in peak for cell in (f"{kind}: MiB", "× PML")]
    report.table(
        "Time and peak memory of a step",
        HEADS.format(**vars(options)),
        ("C", "loss", "head", "ms", "× PML", *kinds),
        rows,
    )
    text = AGREEMENT.format(**TOLERANCES, verdict="none is" if agreed else "SOME ARE")
    report.table("Agreement", text, ("C", "loss", "head", *expected), agreement)
    return agreed


def growth(options: argparse.Namespace, report: Report) -> None:
    """Table of chunked mode's memory over C."""
    rows = []
    for num_classes in options.growth:
        own = num_classes * options.dim * 4 / MIB
        peak = peaks((options.losses[0], "chunked", num_classes), options, report)
        rows.append(
            (f"{num_classes:,}", f"{own:.1f}", *(f"{peak[kind]:.1f} | {peak[kind] - own:.1f}" for kind in peak))
        )
    kinds = [cell for kind in peak for cell in (f"{kind}: MiB", "above ∂W")]
    report.table("Chunked mode over C", GROWTH.format(loss=options.losses[0]), ("C", "∂W", *kinds), rows)


def small(options: argparse.Namespace, report: Report) -> None:
    """Table of a head so small that the overhead of each operation counts."""
    weight, batch = draw(**SMALL, device=options.device)
    cases = [(options.losses[0], "plain"), *((loss, kind) for loss in options.losses for kind in ("kept", "pml"))]
    steps = {f"{loss} {kind}": build(loss, kind, batch, weight, options.width) for loss, kind in cases}
    seconds = time_rounds(steps, 20 * options.rounds, options.device)
    rows = []
    for (loss, kind), (name, values) in zip(cases, seconds.items(), strict=True):
        for index, value in enumerate(values):
            report.add("time, small head", (loss, kind, SMALL["num_classes"]), index, value * 1e3, "ms")
        label = "F.cross_entropy" if kind == "plain" else f"{loss}, {VARIANTS[kind]}"
        rows.append((label, f"{median(values) * 1e3:.2f}", ratios(seconds, name, next(iter(steps)))))
    report.table("A small head", SMALL_TEXT.format(**SMALL), ("head", "ms", "× F.cross_entropy"), rows)


PREFACE = """\
# Large heads: time and memory of a training step

N = {samples}, K = {dim}, float32; hpstudy's chunked mode takes {width:,} classes at a time. Measured on {machine}, by

    python benchmarks/large_heads.py {arguments}

A step is the forward and the backward pass to the gradients of embeddings and prototypes, W. hpstudy's heads also give
their statistics, PML's give none. s = 64; margins: cosface 0.35, arcface 0.5 rad (28.65° in PML, which takes
degrees)."""
HEADS = """\
All heads run in turn in each round, on the same prototypes and batch: {rounds} rounds at the largest C, and more as C
is smaller. Times are medians over rounds; × PML is the median (and quartiles) of the ratio within a round. Memory is
the peak during a step above what was held before it, and so without W but with its gradient; each from fresh processes,
medians of {memory_runs}. `process` is the resident memory as the kernel counts it, `tensors` what torch's allocator
handed out."""
AGREEMENT = """\
Largest error relative to the largest entry, against float64 autograd of the dense formula. For float32 rounding pass
{kept:g} in hpstudy and {pml:g} in PML, whose F.cross_entropy loses digits over many classes: {verdict} above it. PML's
ArcFace has another rule where θ_y + m > π; no sample is there."""
GROWTH = "{loss}. What a step holds beyond the gradient of W must not depend on C. `process` includes fragmentation."
SMALL_TEXT = "N = {samples}, C = {num_classes}, K = {dim}: the overhead of each operation counts. All cosines are kept."


def machine(options: argparse.Namespace) -> str:
    """Where it ran, in words."""
    place = f"{os.cpu_count()} CPU cores ({torch.backends.cpu.get_cpu_capability()}), {options.threads} threads"
    if options.device == "cuda":
        place = torch.cuda.get_device_name()
    versions = f"Python {platform.python_version()}, torch {version('torch')}, PML {version('pytorch-metric-learning')}"
    return f"{platform.system()}, {place}, {versions}"


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, nargs="+", default=[10_000, 100_000], help="C of the comparison")
    parser.add_argument("--growth", type=int, nargs="+", default=[10_000, 100_000, 300_000], help="C of the last check")
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES))
    parser.add_argument("--dim", type=int, default=512, help="K")
    parser.add_argument("--samples", type=int, default=256, help="N")
    parser.add_argument(
        "--width", type=int, default=2048, help="classes at once in chunked mode; N·2048 floats = 2 MiB"
    )
    parser.add_argument("--rounds", type=int, default=25, help="at the largest C; more below")
    parser.add_argument("--memory-runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder of the two files")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Measure and write everything; 1 if results disagree."""
    options = parsed(arguments)
    torch.set_num_threads(options.threads)
    if options.peak:
        print_peak(options.peak[0], options.peak[1], int(options.peak[2]), options)
        return 0
    report = Report()
    given = vars(options) | {"machine": machine(options), "arguments": shlex.join(arguments)}
    report.lines.extend(line.rstrip() for line in PREFACE.format(**given).splitlines())
    agreed = heads(options, report)
    growth(options, report)
    small(options, report)
    report.write(options.output)
    return int(not agreed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
