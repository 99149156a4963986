"""A synthetic record in the shape of the quickstart: what a finished study leaves, made up in milliseconds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.reporting import ReportFacts

STEPS_PER_EPOCH, EPOCHS = 28, 12
LOSS_OF_ARM = {
    "normface": "normface",
    "cosface": "cosface",
    "arcface": "arcface",
    "sphereface": "sphereface",
    "adacos-fixed": "adacos_fixed",
    "adacos-dynamic": "adacos",
}
SPACES: dict[str, dict[str, tuple[float, float]]] = {
    "normface": {"s": (2, 64)},
    "cosface": {"s": (2, 64), "m": (0.0, 0.6)},
    "arcface": {"s": (2, 64), "m": (0.0, 0.8)},
    "sphereface": {"s": (2, 64), "m": (1.0, 2.0)},
}
BEST = {"normface": (14, 0.0), "cosface": (22, 0.28), "arcface": (24, 0.35), "sphereface": (18, 1.3)}
CEILING = {"normface": 0.842, "cosface": 0.879, "arcface": 0.882, "sphereface": 0.861}
STUDY_YAML = """version: 1
name: quickstart
question: Does any searched (s, m) beat AdaCos at verifying unseen glyph identities?
data: {source: glyphs, identities: {train: 300, val: 200, test: 400}}
arms:
  cosface:        {loss: cosface,    search: {s: {log: [2, 64]}, m: {linear: [0.0, 0.6]}}}
  adacos-dynamic: {loss: adacos}
search: {objective: val/tar_at_far_1e-3, sampler: tpe, trials: 8, seeds: [0]}
confirm: {seeds: 3, equivalence_margin: 0.01}
"""


@dataclass(frozen=True)
class SyntheticRecord:
    """Trials and trajectories of a study that never ran."""

    trials: pd.DataFrame
    trajectories: dict[str, pd.DataFrame]

    def facts(self, **changes: Any) -> ReportFacts:
        values: dict[str, Any] = {
            "name": "quickstart",
            "question": "Does any searched (s, m) beat AdaCos at verifying unseen glyph identities?",
            "resolved_yaml": STUDY_YAML,
            "sha256": "9f2c" * 16,
            "trials": self.trials,
            "trajectory": self.trajectories.__getitem__,
            "epochs": lambda trial_id: pd.DataFrame(),
            "objective": "val/tar_at_far_1e-3",
            "equivalence_margin": 0.01,
            "provenance": {
                "hpstudy": "0.1.0",
                "torch": "2.13.0",
                "Python": "3.11.2",
                "devices": "2 × CPU",
                "data sha256": "77ab" * 16,
            },
        }
        return ReportFacts(**(values | changes))


def trajectory(
    rng: np.random.Generator, arm: str, s: float, classes: int, spread: float, runaway: bool
) -> pd.DataFrame:
    """Angles fall, B follows the Gaussian estimate, the dynamic scale follows the paper's rule."""
    steps = np.arange(STEPS_PER_EPOCH * EPOCHS)
    floor = {"cosface": 26, "arcface": 25, "sphereface": 28}.get(arm, 33) + rng.normal(0, 0.6)
    theta = np.radians(floor + (89 - floor) * np.exp(-steps / 75) + rng.normal(0, 0.7, steps.size))
    sigma = spread * (1 - 0.5 * np.exp(-steps / 60))
    scale = np.full(steps.size, math.sqrt(2) * math.log(classes - 1) if arm == "adacos-fixed" else s)
    log_b = np.empty(steps.size)
    s_now = math.sqrt(2) * math.log(classes - 1)
    for step in steps:
        used = s_now if arm == "adacos-dynamic" else scale[step]
        growth = 1.9 if runaway else 1.0
        log_b[step] = (
            min(math.log(classes - 1) + growth * (used * sigma[step]) ** 2 / 2, 0.9 * used + 4)
            if not runaway
            else (math.log(classes - 1) + growth * (used * sigma[step]) ** 2 / 2)
        )
        if arm == "adacos-dynamic":
            s_now = min(log_b[step] / math.cos(min(math.pi / 4, theta[step])), 1e30)
            scale[step] = s_now
    frame = pd.DataFrame(
        {
            "step": steps,
            "epoch": steps // STEPS_PER_EPOCH + 1,
            "loss": 0.7 + 6 * np.exp(-steps / 60) + rng.normal(0, 0.05, steps.size),
            "s": scale,
            "log_b_avg": log_b,
            "theta_med": theta,
            "implied_p_w": 1 / (1 + (classes - 1) * np.exp(-np.minimum(scale * classes / (classes - 1), 500))),
            "grad_norm": 1.0,
        }
    )
    if runaway:
        frame = frame[frame["s"] < 1e20].astype({"step": int})
    return frame.reset_index(drop=True)


def value(arm: str, s: float, m: float) -> float:
    best_s, best_m = BEST[arm]
    width = {"sphereface": 0.5, "normface": 1.0}.get(arm, 0.3)
    distance = (math.log(s / best_s) / 0.9) ** 2 + ((m - best_m) / width) ** 2
    return 0.05 + (CEILING[arm] - 0.05) * math.exp(-distance / 2)


def row(rng: np.random.Generator, **given: Any) -> dict[str, Any]:
    """One trial with everything the record holds about it."""
    arm, s, status, classes = given["arm"], given["final_s"], given["status"], given["num_classes"]
    spread = 0.19 * s
    posterior = 1 / (1 + (classes - 1) * math.exp(min(max(spread**2 / 4 + 0.8 - s, -40), 40)))
    diverged = status == "diverged"
    result = {
        "study": "quickstart",
        "loss": LOSS_OF_ARM.get(arm, given.get("loss", "cosface")),
        "cause": "scale is not finite" if diverged else "",
        "diverged_step": 158 if diverged else -1,
        "epochs": 5 if diverged else (3 if status == "pruned" else EPOCHS),
        "steps": 158 if diverged else EPOCHS * STEPS_PER_EPOCH,
        "geometry/class_centre_posterior_min": np.nan if diverged else posterior,
        "geometry/class_centre_posterior_mean": np.nan if diverged else min(1.0, posterior * 1.02),
        "geometry/max_prototype_cosine": np.nan if diverged else 0.42 + rng.normal(0, 0.03),
        "geometry/margin_satisfied_fraction": np.nan if diverged else float(np.clip(1.05 - given["m"], 0, 1)),
        "geometry/final_s": np.inf if diverged else s,
        "cost/wall_s": 31 + rng.normal(0, 1),
        "cost/cpu_s": 30 + rng.normal(0, 1),
        "cost/gpu_s": 0.0,
        "cost/peak_memory_mb": 610.0,
        "samples_per_s": 1400.0,
        "attempt": 1,
        "device": "cpu",
        "started_at": 0.0,
        "ended_at": 31.0,
    }
    return given | result


@pytest.fixture(scope="session")
def make_record() -> Callable[..., SyntheticRecord]:
    """A factory of synthetic records.

    Arguments: `conditions` (id → (classes, dim)), `confirm_seeds`, `runaway` (condition ids in which dynamic AdaCos
    diverges), `dead` (arms whose every trial diverges), `gain` (added to every tuned arm), `arms`, `rename` (of arms).
    """

    def make(
        *,
        conditions: dict[str, tuple[int, int]] | None = None,
        confirm_seeds: int = 3,
        runaway: Sequence[str] = (),
        dead: Sequence[str] = (),
        gain: float = 0.0,
        arms: Sequence[str] = tuple(LOSS_OF_ARM),
        rename: dict[str, str] | None = None,
        trials: int = 8,
    ) -> SyntheticRecord:
        rng = np.random.default_rng(7)
        rows, trajectories = [], {}
        renamed = rename or {}

        def add(
            arm: str, condition: str, phase: str, number: int, s: float, m: float, status: str, score: float
        ) -> None:
            classes, dim = (conditions or {"default": (300, 256)})[condition]
            ran_away = arm == "adacos-dynamic" and condition in runaway
            status = "diverged" if ran_away or arm in dead else status
            shown = renamed.get(arm, arm)
            trial_id = f"{shown}.{condition}.{phase}.s0.{number:03d}"
            steps = trajectory(rng, arm, s, classes, 0.21 if ran_away else 0.19 * math.sqrt(256 / dim) ** 0.3, ran_away)
            if arm in dead:
                steps = steps.head(90)
            final_s = float(steps["s"].iloc[-1])
            score = 0.001 if status == "diverged" else float(np.clip(score, 0.001, 0.999))
            test = {"test/tar_at_far_1e-3": score - 0.02 + rng.normal(0, 0.002)} if phase == "confirm" else {}
            adaptive = arm.startswith("adacos")
            searched = {f"param/{name}": {"s": s, "m": m}[name] for name in SPACES.get(arm, {})}
            rows.append(
                row(
                    rng, arm=arm, trial_id=trial_id, condition=condition, phase=phase, search_seed=0, number=number,
                    seed=number if phase == "confirm" else 0, s=np.nan if adaptive else s,
                    m=m if "m" in SPACES.get(arm, {}) else np.nan, status=status, final_s=final_s,
                    objective=score, num_classes=classes, embedding_dim=dim, **searched, **test,
                    **({} if status == "diverged" else {"val/tar_at_far_1e-3": score}),
                )
                | {"arm": shown}
            )  # fmt: skip
            trajectories[trial_id] = steps

        for condition in conditions or {"default": (300, 256)}:
            for arm in arms:
                best_s, best_m, top = math.nan, math.nan, -1.0
                for number in range(trials if arm in SPACES else 0):
                    lows = SPACES[arm]
                    s = float(np.exp(rng.uniform(np.log(2), np.log(64)))) if number else 64.0
                    m = float(rng.uniform(*lows["m"])) if "m" in lows else 0.0
                    m = {"cosface": 0.35, "arcface": 0.5, "sphereface": 1.35}.get(arm, 0.0) if number == 0 else m
                    found = value(arm, s, m) + gain + rng.normal(0, 0.008)
                    status = "pruned" if found < 0.55 and number > 2 else "completed"
                    status = "diverged" if arm == "sphereface" and s > 45 else status
                    add(arm, condition, "search", number, s, m, status, found)
                    if status == "completed" and found > top:
                        best_s, best_m, top = s, m, found
                for seed in range(101, 101 + confirm_seeds):
                    if arm in SPACES:
                        score = value(arm, best_s, best_m) + gain + rng.normal(0, 0.006)
                        add(arm, condition, "confirm", seed, best_s, best_m, "completed", score)
                    else:
                        score = {"adacos-fixed": 0.845, "adacos-dynamic": 0.866}[arm] + rng.normal(0, 0.006)
                        add(arm, condition, "confirm", seed, math.nan, math.nan, "completed", score)
        return SyntheticRecord(pd.DataFrame(rows), trajectories)

    return make


@pytest.fixture(scope="session")
def record(make_record: Callable[..., SyntheticRecord]) -> SyntheticRecord:
    """The quickstart: one condition, four searched arms, two adaptive ones."""
    return make_record()
