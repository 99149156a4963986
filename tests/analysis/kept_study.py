"""A study that kept every rule and ran in one go: what tests spoil in one place at a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.spec import Study, parse_study

OBJECTIVE, METRIC = "val/tar_at_far_1e-3", "test/tar_at_far_1e-3"
BEGAN = 1_700_000_000.0
SEEDS = (101, 102, 103)
EPOCHS, STEPS = 12, 336
FILE = """version: 1
name: demo
question: Does tuning pay?
data: {source: glyphs, identities: {train: 300, val: 200, test: 400}}
training: {epochs: 12, batch_size: 128}
arms:
  cosface: {loss: cosface, search: {s: {log: [2, 64]}, m: {linear: [0.0, 0.6]}}}
  arcface: {loss: arcface, search: {s: {log: [2, 64]}, m: {linear: [0.0, 0.8]}}}
  dynamic: {loss: adacos}
search: {objective: val/tar_at_far_1e-3, trials: 6, seeds: [0, 1], early_stopping: {kind: asha, grace_epochs: 3}}
confirm: {seeds: 3}
"""
SESSION: Mapping[str, str] = {
    "started": "2023-11-14 22:13:20 UTC",  # BEGAN
    "python": "3.11.7",
    "packages": "hpstudy 0.1.0, torch 2.13.0",
    "source": "revision 0123456789ab",
    "gpus": "none",
    "parallel trials": "2",
    "data default": "77ab" * 16,
}


def study(*changes: tuple[str, str]) -> Study:
    """The study, with pieces of its file replaced."""
    text = FILE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_study(text)


def kept_trials() -> pd.DataFrame:
    """Its trials: two searches of six for two arms, of which two were stopped, and three seeds of every point."""
    rng = np.random.default_rng(3)
    clock, rows = BEGAN + 5, []

    def add(arm: str, phase: str, number: int, **given: Any) -> dict[str, Any]:
        nonlocal clock
        search_seed = given.get("search_seed", 0)
        row = {
            "study": "demo",
            "trial_id": f"{arm}.default.{phase}.s{search_seed}.{number:03d}",
            "arm": arm,
            "condition": "default",
            "phase": phase,
            "search_seed": 0,
            "number": number,
            "loss": {"dynamic": "adacos"}.get(arm, arm),
            "s": np.nan,
            "m": np.nan,
            "status": "completed",
            "cause": "",
            "epochs": EPOCHS,
            "steps": STEPS,
            "num_classes": 300,
            "embedding_dim": 256,
            "attempt": 1,
            "device": "CPU",
            "started_at": clock,
            "ended_at": clock + 60,
            "cost/cpu_s": 60.0,
            "cost/gpu_s": 0.0,
            METRIC: np.nan,
            **given,
        }
        row[OBJECTIVE] = row["objective"]
        clock += 60
        rows.append(row)
        return row

    for arm in ("cosface", "arcface"):
        for search in (0, 1):
            best: dict[str, Any] = {}
            for number in range(6):
                s, m = (64.0, 0.35) if not number else (float(rng.uniform(4, 60)), float(rng.uniform(0, 0.6)))
                short = {"status": "pruned", "epochs": 3, "steps": 84} if number in (3, 4) else {}
                value = float(rng.uniform(0.5, 0.8)) * (0.1 if short else 1.0)
                point = {"s": s, "m": m, "param/s": s, "param/m": m}
                row = add(arm, "search", number, search_seed=search, seed=search, objective=value, **point, **short)
                if not short and value > best.get("objective", 0.0):
                    best = row
            for seed in SEEDS:
                point = {key: best[key] for key in ("s", "m", "param/s", "param/m")}
                score = best["objective"] + float(rng.normal(0, 0.01))
                add(arm, "confirm", seed, search_seed=search, seed=seed, objective=score, **point, **{METRIC: score})
    for seed in SEEDS:
        score = 0.7 + float(rng.normal(0, 0.01))
        add("dynamic", "confirm", seed, seed=seed, objective=score, **{METRIC: score, "param/s": np.nan})
    return pd.DataFrame(rows)


def epochs_of(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Epochs by trial: values rise evenly to the trial's own."""
    found = {}
    for row in trials.to_dict("records"):
        epochs = np.arange(1, row["epochs"] + 1)
        found[row["trial_id"]] = pd.DataFrame({"epoch": epochs, OBJECTIVE: row["objective"] * epochs / row["epochs"]})
    return found


def steps_of(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Steps by trial: the angles of the first one follow from the seed."""
    found = {}
    for row in trials.to_dict("records"):
        rng = np.random.default_rng(row["seed"])
        angles = {name: [rng.normal(1.57, 0.01), 1.2] for name in ("theta_med", "theta_target_mean")}
        found[row["trial_id"]] = pd.DataFrame({"step": [1, 2], **angles})
    return found
