"""Time and memory of the report of a large study, from a record made up here.

Run it from the repository's root, with nothing else running:

    python benchmarks/report_size.py --trials 2000 --home FOLDER

It writes the study `report-size-<trials>` into FOLDER (once: a record that is there is used again), then its report in
a fresh process, and prints a table; `--output FOLDER` also writes the table to `report_size.md` there. The record is
shaped as a real one: three conditions, four searched arms and two adaptive ones, three searches of each, ten confirm
seeds, every step and every epoch of every trial, with early stopping and divergence. Its numbers mean nothing.
"""

import argparse
import json
import math
import os
import platform
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from hpstudy.record import StudyFolder, TrialRequest
    from hpstudy.spec import Study

# Imports of hpstudy and numpy are inside the functions of the two child processes: a process starts with the peak
# memory of the one that started it.

EPOCHS, GRACE, REPLICATES, BINS = 12, 3, 500, 180
STEPS_PER_EPOCH = {100: 28, 300: 42, 1000: 83}
BEST = {"normface": (14.0, 0.0), "cosface": (22.0, 0.28), "arcface": (24.0, 0.35), "sphereface": (18.0, 1.3)}
TOP = {
    "normface": 0.842,
    "cosface": 0.879,
    "arcface": 0.882,
    "sphereface": 0.861,
    "adacos-fixed": 0.845,
    "adacos-dynamic": 0.866,
}
FARS = ("1e-2", "1e-3", "1e-4")
STUDY = """version: 1
name: {name}
question: How long does the report of a large study take?
data: {{source: glyphs, identities: {{train: 300, val: 200, test: 400}}}}
training: {{epochs: {epochs}, batch_size: 128}}
conditions: {conditions}
arms:
  normface:       {{loss: normface,   search: {{s: {{log: [2, 64]}}}}}}
  cosface:        {{loss: cosface,    search: {{s: {{log: [2, 64]}}, m: {{linear: [0.0, 0.6]}}}}}}
  arcface:        {{loss: arcface,    search: {{s: {{log: [2, 64]}}, m: {{linear: [0.0, 0.8]}}}}}}
  sphereface:     {{loss: sphereface, search: {{s: {{log: [2, 64]}}, m: {{linear: [1.0, 2.0]}}}}}}
  adacos-fixed:   {{loss: adacos_fixed}}
  adacos-dynamic: {{loss: adacos}}
search: {{sampler: tpe, trials: {trials}, seeds: {seeds}, early_stopping: {{kind: asha, grace_epochs: {grace}}}}}
confirm: {{seeds: {confirm}, equivalence_margin: 0.01}}
"""


def study_text(trials: int) -> str:
    """A study file that asks for about as many trials: a small one has one condition and few seeds."""
    conditions, searches, confirm = (3, 3, 10) if trials >= 600 else (1, 2, 2)
    fixed = conditions * (4 * searches + 2) * confirm
    return STUDY.format(
        name=f"report-size-{trials}",
        epochs=EPOCHS,
        grace=GRACE,
        conditions="{data.identities.train: [100, 300, 1000]}" if conditions == 3 else "{}",
        trials=max(2, round((trials - fixed) / (4 * conditions * searches))),
        seeds=list(range(searches)),
        confirm=confirm,
    )


@dataclass
class Author:
    """Makes up trials and writes them into a record."""

    study: "Study"
    folder: "StudyFolder"
    rng: "np.random.Generator"
    clock: float = 0.0
    """When the last trial ended, in seconds; one runs at a time."""

    def write_all(self) -> None:
        """The whole study."""
        self.folder.begin(self.study.resolved_yaml)
        session = {"started": "2026-01-01 00:00:00 UTC", "python": platform.python_version(), "packages": "made up"}
        hashes = {f"data {condition.id}": f"{rank:064x}" for rank, condition in enumerate(self.study.conditions())}
        self.folder.add_session(session | hashes)
        for condition in self.study.conditions():
            for arm in self.study.arms:
                searches = self.study.spec.search.seeds if arm.space else [0]
                for search_seed in searches:
                    chosen = self._search(arm.name, condition, search_seed) if arm.space else {}
                    for seed in range(101, 101 + self.study.spec.confirm.seeds):
                        asked = self._request(arm.name, condition, "confirm", search_seed, seed, seed, chosen)
                        self._write(asked, condition, "completed")
        self.folder.sweep()
        self.folder.write_trials()

    def _search(self, arm: str, condition: Any, search_seed: int) -> dict[str, float]:
        """The trials of one search; returns the best point."""
        best, found = {}, -math.inf
        default = self.study.paper_default_point(arm)
        for number in range(self.study.spec.search.trials):
            params = default if default and number == 0 else self._point(arm, number)
            asked = self._request(arm, condition, "search", search_seed, number, search_seed, params)
            worth = self._worth(asked)
            poor = number > 3 and worth < 0.6
            lost = arm == "sphereface" and params["s"] > 50 and number != 1  # so that every search has a survivor
            status = "diverged" if lost else "pruned" if poor else "completed"
            objective = self._write(asked, condition, status)
            if status == "completed" and objective > found:
                best, found = params, objective
        return dict(best)

    def _point(self, arm: str, number: int) -> dict[str, float]:
        """At first anywhere, later mostly around the best, as a sampler would."""
        s, m = BEST[arm]
        near = number > 10 and self.rng.random() < 0.7
        drawn = s * math.exp(self.rng.normal(0, 0.35)) if near else math.exp(self.rng.uniform(*map(math.log, (2, 64))))
        low, high = {"normface": (0.0, 0.0), "cosface": (0.0, 0.6), "arcface": (0.0, 0.8), "sphereface": (1.0, 2.0)}[
            arm
        ]
        margin = self.rng.normal(m, 0.08) if near else self.rng.uniform(low, high)
        point = {"s": min(max(drawn, 2.0), 64.0), "m": min(max(margin, low), high)}
        return {name: point[name] for name in self.study.arm(arm).space}

    def _request(
        self,
        arm: str,
        condition: Any,
        phase: str,
        search_seed: int,
        number: int,
        seed: int,
        params: Mapping[str, float],
    ) -> "TrialRequest":
        from hpstudy.record import TrialRequest

        return TrialRequest(
            arm=arm,
            condition=condition.id,
            phase=phase,
            search_seed=search_seed,
            number=number,
            seed=seed,
            params=params,
        )

    def _worth(self, asked: "TrialRequest") -> float:
        """The surface over (s, m) that the searches climb."""
        top = TOP[asked.arm]
        if not asked.params:
            return top
        best_s, best_m = BEST[asked.arm]
        width = 0.5 if asked.arm == "sphereface" else 0.3
        distance = (math.log(asked.params["s"] / best_s) / 0.9) ** 2
        distance += ((asked.params.get("m", best_m) - best_m) / width) ** 2
        return 0.05 + (top - 0.05) * math.exp(-distance / 2)

    def _write(self, asked: "TrialRequest", condition: Any, status: str) -> float:
        """One trial with all its files; returns its objective."""
        import numpy as np

        from hpstudy.record import TrialResult

        classes, dim = condition.data.identities.train, condition.model.embedding_dim
        epochs = {"completed": EPOCHS, "pruned": GRACE, "diverged": 5}[status]
        steps = _trajectory(self.rng, asked, classes, epochs)
        score = float(np.clip(self._worth(asked) + self.rng.normal(0, 0.008), 0.001, 0.999))
        writer = self.folder.attempt(asked.trial_id)
        groups: dict[str, float] = {}
        for epoch, summary in enumerate(_epochs(self.rng, steps, score, classes), start=1):
            there = steps["epoch"] == epoch
            writer.write_epoch(epoch, {name: values[there] for name, values in steps.items()}, summary, None)
            groups = {name: value for name, value in summary.items() if name.startswith("val/")}
        final_s = float(steps["s"][-1])
        if status == "completed":
            groups |= _geometry(self.rng, final_s, classes, asked.params.get("m", 0.0))
        if asked.phase == "confirm":
            tests = {f"test/tar_at_far_{far}": (score - 0.02) * 0.9**i for i, far in enumerate(FARS, start=-1)}
            shift = np.random.default_rng(classes).normal(0, 0.01, REPLICATES)  # the identities' part, shared
            self.folder.keep_evaluations(
                asked.trial_id,
                {name: value + shift + self.rng.normal(0, 0.003, REPLICATES) for name, value in tests.items()},
            )
            groups |= tests
        wall = 0.09 * len(steps["step"]) * self.rng.uniform(0.9, 1.1)
        self.clock += wall
        groups |= {"cost/wall_s": wall, "cost/cpu_s": wall, "cost/gpu_s": 0.0, "cost/peak_memory_mb": 610.0}
        objective = 0.001 if status == "diverged" else groups["val/tar_at_far_1e-3"]
        loss = self.study.arm(asked.arm).spec.loss
        assert loss is not None
        self.folder.finish_trial(
            TrialResult(
                study=self.study.name,
                **asked.identity(),
                loss=loss,
                num_classes=classes,
                embedding_dim=dim,
                s=asked.params.get("s", math.nan),
                m=asked.params.get("m", math.nan),
                status=status,
                cause={"diverged": "scale is not finite", "pruned": f"stopped early after epoch {GRACE}"}.get(
                    status, ""
                ),
                diverged_step=int(steps["step"][-1]) if status == "diverged" else -1,
                epochs=epochs,
                steps=len(steps["step"]),
                objective=objective,
                samples_per_s=1400.0,
                device="CPU",
                started_at=self.clock - wall,
                ended_at=self.clock,
                groups=groups | {**asked.values(), "geometry/final_s": final_s},
            )
        )
        return objective


def _trajectory(
    rng: "np.random.Generator", asked: "TrialRequest", classes: int, epochs: int
) -> dict[str, "np.ndarray[Any, Any]"]:
    """Angles fall, log B follows the Gaussian estimate, the dynamic scale follows AdaCos' rule."""
    import numpy as np

    from hpstudy.record import TRAJECTORY_COLUMNS

    per_epoch = STEPS_PER_EPOCH[classes]
    step = np.arange(1, per_epoch * epochs + 1)
    theta = np.radians(28 + 61 * np.exp(-step / 75) + rng.normal(0, 0.7, step.size))
    sigma = 0.19 * (1 - 0.5 * np.exp(-step / 60))
    fixed = math.sqrt(2) * math.log(classes - 1)
    s = np.full(step.size, asked.params.get("s", fixed))
    if asked.arm == "adacos-dynamic":
        for i in range(1, step.size):
            log_b = math.log(classes - 1) + (s[i - 1] * sigma[i]) ** 2 / 2
            s[i] = min(log_b, 0.9 * s[i - 1] + 4) / math.cos(min(math.pi / 4, theta[i]))
    log_b_avg = np.minimum(math.log(classes - 1) + (s * sigma) ** 2 / 2, 0.9 * s + 4)
    columns = {
        "step": step,
        "epoch": (step - 1) // per_epoch + 1,
        "loss": 0.7 + 6 * np.exp(-step / 60) + rng.normal(0, 0.05, step.size),
        "s": s,
        "log_b_avg": log_b_avg,
        "theta_med": theta,
        "theta_target_mean": theta + 0.02,
        "cos_nontarget_mean": rng.normal(0, 0.002, step.size),
        "cos_nontarget_std": sigma,
        "posterior_med": 1 / (1 + np.exp(np.clip(log_b_avg - s * np.cos(theta), -40, 40))),
        "implied_p_w": 1 / (1 + (classes - 1) * np.exp(-np.minimum(s * classes / (classes - 1), 500))),
        "grad_norm": 1 + rng.gamma(2, 0.2, step.size),
        "lr": 0.1 * np.sin(np.pi * step / (per_epoch * EPOCHS)),
        "samples_per_s": rng.normal(1400, 30, step.size),
    }
    return {name: columns[name].astype(kind.to_pandas_dtype()) for name, kind in TRAJECTORY_COLUMNS.items()}


def _epochs(
    rng: "np.random.Generator", steps: Mapping[str, "np.ndarray[Any, Any]"], score: float, classes: int
) -> Iterator[dict[str, Any]]:
    """Summaries of the epochs with their histograms of a batch of 128."""
    import numpy as np

    for epoch in range(1, int(steps["epoch"][-1]) + 1):
        there = np.flatnonzero(steps["epoch"] == epoch)
        value = score * (1 - 0.6 * math.exp(-epoch / 2))
        target = np.degrees(rng.normal(steps["theta_med"][there[-1]], 0.15, 128))
        others = np.degrees(rng.normal(math.pi / 2, 0.19, 2048))
        counts = [np.bincount(np.clip(angles, 0, BINS - 1).astype(int), minlength=BINS) for angles in (target, others)]
        yield {
            "epoch": epoch,
            "step": int(steps["step"][there[-1]]),
            "train_loss": float(steps["loss"][there].mean()),
            **{f"val/tar_at_far_{far}": value * 0.9**i for i, far in enumerate(FARS, start=-1)},
            "theta_target_histogram": counts[0].tolist(),
            "theta_nontarget_histogram": (counts[1] * ((classes - 1) * 128 // 2048)).tolist(),
        }


def _geometry(rng: "np.random.Generator", s: float, classes: int, m: float) -> dict[str, float]:
    posterior = 1 / (1 + (classes - 1) * math.exp(min(max(0.8 + (0.19 * s) ** 2 / 4 - s, -40), 40)))
    found = {
        "class_centre_posterior_min": posterior,
        "class_centre_posterior_mean": min(1.0, posterior * 1.02),
        "feature_centre_posterior_min": posterior * 0.8,
        "feature_centre_posterior_mean": posterior * 0.9,
        "max_prototype_cosine": 0.42 + rng.normal(0, 0.03),
        "margin_satisfied_fraction": min(max(1.05 - m, 0.0), 1.0),
        "prototype_centre_angle_mean": 0.3,
    }
    return {f"geometry/{name}": float(value) for name, value in found.items()}


def make(trials: int, home: Path) -> None:
    """Writes the record, unless a whole one is there."""
    import numpy as np

    from hpstudy.record import StudyFolder
    from hpstudy.spec import parse_study

    study = parse_study(study_text(trials))
    folder = StudyFolder(home, study.name)
    if folder.exists() and len(folder.finished_trials()) == sum(study.planned_trials().values()):
        return
    os.fsync = lambda descriptor: None  # a record that can be made again need not outlive a power cut
    Author(study, folder, np.random.default_rng(0)).write_all()


def measure(trials: int, home: Path) -> dict[str, float]:
    """Writes the report in this process, which has done nothing else, and measures that."""
    began = time.perf_counter()
    from hpstudy.results import open_results, write_report

    imported = time.perf_counter()
    results = open_results(f"report-size-{trials}", home)
    opened = time.perf_counter()
    pdf = write_report(results)
    done = time.perf_counter()
    times = os.times()
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss counts bytes there, KiB elsewhere
    from pypdf import PdfReader

    return {
        "trials": len(results.trials),
        "steps": int(results.trials["steps"].sum()),
        "import_s": imported - began,
        "open_s": opened - imported,
        "report_s": done - opened,
        "cpu_s": times.user + times.system + times.children_user + times.children_system,
        "peak_mib": own * unit / 2**20,
        "child_mib": children * unit / 2**20,
        "pdf_mib": pdf.stat().st_size / 2**20,
        "pages": len(PdfReader(pdf).pages),
    }


def table(found: Mapping[str, float]) -> str:
    """The measurement as a Markdown table."""
    head = ["trials", "steps", "imports (s)", "reading trials (s)", "report (s)", "CPU in all (s)", "peak memory (MiB)"]
    head += ["PDF (MiB)", "pages"]
    row = [
        f"{found['trials']:,}",
        f"{found['steps']:,}",
        *(f"{found[name]:.1f}" for name in ("import_s", "open_s", "report_s", "cpu_s")),
        f"{found['peak_mib']:,.0f}" + (f" + {found['child_mib']:,.0f} in a child" if found["child_mib"] > 50 else ""),
        f"{found['pdf_mib']:.2f}",
        f"{found['pages']}",
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---:"] * len(head), row)) + "\n"


def main() -> None:
    """Makes the record and measures its report, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--home", type=Path, required=True, help="folder that holds, or will hold, the study")
    parser.add_argument("--output", type=Path, help="folder for report_size.md")
    parser.add_argument("--step", choices=["make", "measure"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step == "make":
        make(given.trials, given.home)
    elif given.step == "measure":
        print(json.dumps(measure(given.trials, given.home)))
    else:
        command = [sys.executable, __file__, "--trials", str(given.trials), "--home", str(given.home), "--step"]
        subprocess.run([*command, "make"], check=True)
        done = subprocess.run([*command, "measure"], check=True, stdout=subprocess.PIPE, text=True)
        text = table(json.loads(done.stdout.splitlines()[-1]))
        print(text)
        if given.output:
            asked = shlex.join(
                ["python", "benchmarks/report_size.py", "--trials", str(given.trials), "--home", "FOLDER"]
            )
            (given.output / "report_size.md").write_text(_page(text, asked), encoding="utf-8")


def _page(text: str, command: str) -> str:
    import importlib.metadata as metadata

    packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("pandas", "matplotlib", "seaborn", "typst"))
    return (
        f"# The report of a large study\n\nWritten by `{command} --output benchmarks`; the record is made up, see the "
        f"script. Peak memory is that of the whole process, imports included.\n\n{text}\n"
        f"{os.cpu_count()} CPU cores ({platform.machine()}), Python {platform.python_version()}, {packages}.\n"
    )


if __name__ == "__main__":
    main()
