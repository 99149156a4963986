"""A survey of scales that never ran: planted thresholds, true prototypes, AdaCos beside them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

METRIC = "test/tar_at_far_1e-3"
EPOCHS = 12
SCALES = tuple(float(2**i) for i in range(8))


@dataclass(frozen=True)
class Survey:
    """Its trials and their per-epoch records."""

    trials: pd.DataFrame
    of_trial: Mapping[str, pd.DataFrame]

    def epochs(self, trial_id: str) -> pd.DataFrame:
        return self.of_trial[trial_id]


def prototypes(classes: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    """A simplex where it fits, random directions pushed apart a little where it doesn't."""
    if classes <= dim + 1:
        rows = np.eye(classes) - 1 / classes
    else:
        rows = rng.normal(size=(classes, dim))
        for _ in range(100):
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            weights = np.exp(8 * (rows @ rows.T))
            np.fill_diagonal(weights, 0.0)
            rows -= 0.1 * (weights / weights.sum(axis=1, keepdims=True)) @ rows
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def log_odds(rows: np.ndarray, features: np.ndarray, s: float) -> float:
    """The smallest over the classes of ln(P/(1−P))."""
    logits = s * (features @ rows.T)
    own = np.diag(logits).copy()
    np.fill_diagonal(logits, -np.inf)
    top = logits.max(axis=1)
    return float((own - top - np.log(np.exp(logits - top[:, None]).sum(axis=1))).min())


def course(epoch: float, accuracy: float) -> pd.DataFrame:
    """Accuracy epoch by epoch: past 95 % from an epoch on, or never where that is infinite."""
    numbers = np.arange(1, EPOCHS + 1)
    values = np.where(numbers >= epoch, max(accuracy, 0.951), 0.3 + 0.05 * numbers / EPOCHS)
    return pd.DataFrame({"epoch": numbers, "step": 20 * numbers, "train_loss": 1.0, "train_accuracy": values})


def survey(
    *,
    sizes: Sequence[tuple[int, int]] = ((10, 16),),
    scales: Sequence[float] = SCALES,
    seeds: int = 3,
    threshold: Callable[[int], float] = lambda classes: 0.0,
    sharpness: float = math.inf,
    best_s: float = 16.0,
    slow_below: float = 0.0,
    adaptive: Sequence[str] = ("adacos_fixed", "adacos"),
    diverging: Sequence[float] = (),
    with_scores: bool = True,
    seed_of_all: int = 5,
) -> Survey:
    """Trials of NormFace at each scale and seed, and of adaptive scales.

    Args:
        sizes: (C, K) of each condition.
        scales: The listed s.
        seeds: Replicates.
        threshold: From which s trials converge, by C.
        sharpness: Logits per octave of the chance to converge.
        best_s: Where the score peaks.
        slow_below: Trials with a smaller s converge at epoch 8 instead of 3.
        adaptive: Losses that set their own scale.
        diverging: Scales at which seed 0 diverges.
        with_scores: Whether the test metric was measured.
        seed_of_all: Seeds every draw.
    """
    rng = np.random.default_rng(seed_of_all)
    rows: list[dict[str, Any]] = []
    records: dict[str, pd.DataFrame] = {}
    for classes, dim in sizes:
        condition = f"C{classes}-K{dim}"
        true = prototypes(classes, dim, rng)
        own = {
            "adacos_fixed": max(math.sqrt(2) * math.log(classes - 1), 0.5),
            "adacos": 0.8 * math.log(classes - 1) + 1,
        }
        settings = [("normface", "normface", s) for s in scales] + [
            (f"{loss}-arm", loss, own[loss]) for loss in adaptive
        ]
        for number, (arm, loss, s) in enumerate(settings):
            for seed in range(seeds):
                trial_id = f"{arm}.{condition}.grid.s{seed}.{number:03d}"
                gap = math.log2(s / threshold(classes)) if threshold(classes) > 0 else math.inf
                steep = gap * sharpness if gap else 0.0
                converged = rng.random() < (1.0 if steep > 500 else 0.0 if steep < -500 else 1 / (1 + math.exp(-steep)))
                diverged = s in diverging and seed == 0
                noisy = true + rng.normal(size=true.shape) * 0.02
                rows.append(
                    {
                        "trial_id": trial_id, "arm": arm, "condition": condition, "phase": "grid", "search_seed": seed,
                        "seed": seed, "number": number, "loss": loss, "num_classes": classes, "embedding_dim": dim,
                        "s": np.nan if loss in adaptive else s, "m": np.nan,
                        "status": "diverged" if diverged else "completed", "cause": "", "diverged_step": -1,
                        "epochs": EPOCHS, "objective": 0.5,
                    }
                    | ({} if loss in adaptive else {"param/s": s})
                )  # fmt: skip
                if diverged:
                    records[trial_id] = pd.DataFrame()
                    continue
                used = s * (1 + 0.02 * rng.normal()) if loss == "adacos" else s
                centres = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
                score = 0.9 - 0.05 * math.log2(s / best_s) ** 2 + 0.004 * rng.normal() + 0.003 * seed
                rows[-1] |= {
                    "geometry/final_s": used,
                    "geometry/class_centre_log_odds_min": log_odds(true, true, used),
                    "geometry/feature_centre_log_odds_min": log_odds(true, centres, used),
                    "geometry/train_accuracy": 0.99 if converged else 0.4,
                } | ({METRIC: max(score, 0.01)} if with_scores else {})
                epoch = (8.0 if s < slow_below else 3.0) + rng.integers(0, 2) if converged else math.inf
                records[trial_id] = course(epoch, 0.99)
    return Survey(pd.DataFrame(rows), records)
