"""Surveys that never ran: trials whose geometry is computed from true prototypes, for every topic of the audit."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from true_geometry import Floats, geometry, polygon, simplex, unit

from hpstudy.analysis import margin_of

EPOCHS, STEPS = 4, 80
METRIC = "test/tar_at_far_1e-3"
SIZES = ((100, 8), (100, 128), (300, 8), (300, 128))


@dataclass(frozen=True)
class Survey:
    """Its trials, and what its record holds of each."""

    trials: pd.DataFrame
    trajectories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    planes: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def epochs(self, trial_id: str) -> pd.DataFrame:
        """Accuracy epoch by epoch: past 95 % from the second on, where the trial ended there."""
        end = self.trials.set_index("trial_id")["geometry/train_accuracy"].get(trial_id, math.nan)
        numbers = np.arange(1, EPOCHS + 1)
        return pd.DataFrame(
            {"epoch": numbers, "step": 20 * numbers, "train_accuracy": np.where(numbers > 1, end, 0.5 * end)}
        )

    def trajectory(self, trial_id: str) -> pd.DataFrame:
        return self.trajectories[trial_id]

    def plane(self, trial_id: str) -> pd.DataFrame:
        if trial_id not in self.planes:
            raise FileNotFoundError(trial_id)
        return self.planes[trial_id]

    def readers(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "trajectory": self.trajectory, "plane": self.plane}


def joined(*surveys: Survey) -> Survey:
    """One survey of the trials of several."""
    return Survey(
        pd.concat([survey.trials for survey in surveys], ignore_index=True),
        {key: value for survey in surveys for key, value in survey.trajectories.items()},
        {key: value for survey in surveys for key, value in survey.planes.items()},
    )


def directions(classes: int, dim: int) -> Floats:
    """Unit prototypes as a network of that size has them: a simplex, a polygon, or random directions."""
    if classes <= dim + 1:
        return simplex(classes)
    return polygon(classes) if dim == 2 else unit(np.random.default_rng([classes, dim]).normal(size=(classes, dim)))


def permitted(prototypes: Floats, loss: str) -> float:
    """The largest m that unit prototypes allow at every prototype, in the unit of the loss."""
    cosines = prototypes @ prototypes.T
    largest = float(cosines[~np.eye(len(cosines), dtype=bool)].max())
    return math.acos(largest) if margin_of(loss) == "additive_angle" else 1 - largest


def trial(
    arm: str,
    loss: str,
    number: int,
    seed: int,
    size: tuple[int, int] = (8, 2),
    *,
    s: float = math.nan,
    m: float = math.nan,
    condition: str = "default",
    final_s: float | None = None,
    merged: bool = False,
    spread: float = 0.0,
    status: str = "completed",
    **changes: Any,
) -> dict[str, Any]:
    """One row of a survey.

    Args:
        arm: Its name.
        loss: Catalogue name or `margin+scale`.
        number: Of the listed point.
        seed: Of search and training.
        size: C and K.
        s: As configured.
        m: As configured.
        condition: Id.
        final_s: Where it differs from s.
        merged: Whether each class shares its prototype with the next one.
        spread: Of the features around their prototypes.
        status: Only completed trials are measured.
        changes: Columns to set.
    """
    classes, dim = size
    used = s if final_s is None else final_s
    row: dict[str, Any] = {
        "study": "survey", "trial_id": f"{arm}.{condition}.grid.s{seed}.{number:03d}", "arm": arm,
        "condition": condition, "phase": "grid", "search_seed": seed, "number": number, "seed": seed, "loss": loss,
        "num_classes": classes, "embedding_dim": dim, "s": s, "m": m, "status": status, "cause": "",
        "diverged_step": -1, "epochs": EPOCHS, "steps": STEPS, "objective": 0.5, "samples_per_s": 1e3, "attempt": 1,
        "device": "CPU", "started_at": 0.0, "ended_at": 9.0, "cost/wall_s": 9.0, "cost/cpu_s": 8.0, "cost/gpu_s": 0.0,
        "cost/peak_memory_mb": 100.0,
    }  # fmt: skip
    if status in ("diverged", "failed"):
        row |= {"cause": "scale is not finite" if status == "diverged" else "ValueError: broken", "diverged_step": 40}
        return row | changes
    rows = directions(classes, dim)
    if merged:
        rows = np.repeat(rows[::2], 2, axis=0)[:classes]
    rng = np.random.default_rng([number, seed, classes, dim])
    labels = np.tile(np.arange(classes), 4)
    features = unit(rows[labels] + spread * rng.normal(size=(len(labels), rows.shape[1])))
    margin = margin_of(loss)
    if math.isfinite(used):
        given = 0.0 if math.isnan(m) else m
        row |= geometry(rows, features, labels, used, margin=margin or "none", m=given)
        row["geometry/merged_pairs"] = float(classes // 2) if merged else 0.0
    return row | changes


def trajectory(classes: int, s: float, *, excess: float = 0.3, theta: float = 0.5) -> pd.DataFrame:
    """Steps that begin at random directions and are settled from the second on."""
    steps = np.arange(STEPS)
    settled = steps > 0
    return pd.DataFrame(
        {
            "step": steps,
            "epoch": steps // (STEPS // EPOCHS) + 1,
            "loss": 1.0,
            "s": s,
            "log_b_avg": math.log(classes - 1) + np.where(settled, excess, 0.01),
            "theta_med": np.where(settled, theta, math.pi / 2),
            "theta_target_mean": np.where(settled, theta, math.pi / 2),
            "cos_nontarget_mean": np.where(settled, 0.02, 0.0),
            "cos_nontarget_std": np.where(settled, 0.2, 0.1),
            "implied_p_w": 0.5,
            "grad_norm": 1.0,
        }
    )


def margins(
    sizes: Iterable[tuple[int, int]] = ((8, 2), (4, 3)),
    *,
    arms: Mapping[str, str] | None = None,
    listed: Sequence[float] = (0.0, 0.1, 0.2, 0.28, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    s: Sequence[float] = (30.0,),
    seeds: int = 2,
    merge_from: float = math.inf,
) -> Survey:
    """Margins at each scale, features at their prototypes, which pairs share beyond `merge_from` of what fits."""
    rows = []
    for size in sizes:
        condition = f"train-{size[0]}_embedding_dim-{size[1]}"
        for arm, loss in (arms or {"cosface": "cosface", "arcface": "arcface"}).items():
            most = merge_from * permitted(directions(*size), loss)
            for number, (scale, m) in enumerate((scale, m) for scale in s for m in listed):
                rows += [
                    trial(arm, loss, number, seed, size, s=scale, m=m, condition=condition, merged=m > most)
                    for seed in range(seeds)
                ]
    return Survey(pd.DataFrame(rows))


def stability(
    sizes: Iterable[tuple[int, int]] = SIZES,
    *,
    arms: Mapping[str, str] | None = None,
    noise: Iterable[float] = (0.0, 0.2),
    seeds: int = 5,
    gone: Iterable[tuple[int, int]] = ((100, 8), (300, 8)),
) -> Survey:
    """Dynamic AdaCos rules over sizes and wrong labels; the published one diverges at the sizes of `gone`."""
    lost, rows, trajectories = set(gone), [], {}
    for size in sizes:
        for share in noise:
            condition = f"train-{size[0]}_embedding_dim-{size[1]}_label_noise-{share:g}"
            for arm, loss in (arms or {"published": "adacos", "capped": "adacos_capped"}).items():
                for seed in range(seeds):
                    diverged = size in lost and loss == "adacos"
                    row = trial(
                        arm, loss, 0, seed, size, condition=condition, final_s=7.0, spread=0.02,
                        status="diverged" if diverged else "completed", **{"data/label_noise": share},
                    )  # fmt: skip
                    rows.append(row)
                    trajectories[row["trial_id"]] = trajectory(size[0], 7.0)
    return Survey(pd.DataFrame(rows), trajectories)


def planes(
    losses: Sequence[str] = ("softmax", "modified_softmax", "normface", "cosface", "adacos_fixed"), classes: int = 6
) -> Survey:
    """One trial a loss with features in the plane: a polygon, two of its prototypes merged under CosFace."""
    rows, points, trajectories = [], {}, {}
    for loss in losses:
        scale = {"normface": 16.0, "cosface": 16.0}.get(loss, math.nan)
        row = trial(
            loss, loss, 0, 0, (classes, 2), s=scale, m=0.1 if loss == "cosface" else math.nan, spread=0.05,
            final_s=3.0 if loss == "adacos_fixed" else scale,
        )  # fmt: skip
        rows.append(row)
        points[row["trial_id"]] = plane(classes, long=loss.endswith("softmax"), merged=loss == "cosface")
        trajectories[row["trial_id"]] = trajectory(classes, 3.0)
    return Survey(pd.DataFrame(rows), trajectories, points)


def plane(classes: int, *, long: bool, merged: bool = False) -> pd.DataFrame:
    """Samples at ±3° of the corners of a polygon, with norms of 1 and 3 if `long`, and its corners as prototypes."""
    corners = 2 * np.pi * np.arange(classes) / classes
    ends = corners.copy()
    if merged:
        ends[1] = ends[0] + math.radians(4)
    labels = np.tile(np.arange(classes), 4)
    turns = corners[labels] + np.repeat(np.radians([3, -3, 3, -3]), classes)
    norms = np.repeat([1.0, 1.0, 3.0, 3.0] if long else [2.0] * 4, classes)
    samples = pd.DataFrame({"x": norms * np.cos(turns), "y": norms * np.sin(turns), "label": labels})
    prototypes = pd.DataFrame({"x": np.cos(ends), "y": np.sin(ends), "label": np.arange(classes)})
    return pd.concat([samples.assign(prototype=False), prototypes.assign(prototype=True)], ignore_index=True)
