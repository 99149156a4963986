"""How a trial is named, tagged and parametrised: rows of the record in, what MLflow shows out."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from hpstudy.tracking._protocol import Row

SHOWN_AS_TAGS = (
    "phase",
    "condition",
    "arm",
    "loss",
    "seed",
    "search_seed",
    "number",
    "status",
    "cause",
    "attempt",
    "device",
)
SHOWN_AS_PARAMS = {
    "loss": "loss",
    "s": "s",
    "m": "m",
    "num_classes": "C",
    "embedding_dim": "K",
    "seed": "seed",
}
METRIC_GROUPS = ("val/", "test/")
SINGLE_GROUPS = ("geometry/", "cost/")
AFTER_CURVES = "trial/"
"""MLflow sorts the charts of a run by the groups in their names: before cost and geometry, which are one value a trial,
a reader wants the curves, `train/…`."""


def is_given(value: Any) -> bool:
    """Whether a cell of the record holds something: not None, not NaN, not the empty text."""
    return not pd.isna(value) and value != ""


def as_text(value: Any) -> str:
    """The shortest text that reads back as the same value, without a NumPy type around it."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def searched_values(row: Row) -> dict[str, Any]:
    """The searched or listed values of a trial by name (`s`, `training.optimizer.lr`)."""
    return {key.removeprefix("param/"): row[key] for key in row if key.startswith("param/") and is_given(row[key])}


def run_name(row: Row) -> str:
    """The trial in words: `cosface #07 s=31.2 m=0.28`, `adacos-dynamic confirm seed 101`."""
    parts = [str(row["arm"])]
    if row["phase"] == "confirm":
        parts.append(f"confirm seed {as_text(row['seed'])}")
    else:
        parts += [*(["grid"] if row["phase"] == "grid" else []), f"#{int(row['number']):02d}"]
    values = {name: row[name] for name in ("s", "m") if is_given(row.get(name))}
    values |= {name.rpartition(".")[2]: value for name, value in searched_values(row).items()}
    parts += [f"{name}={short(value)}" for name, value in values.items()]
    if row["condition"] != "default":
        parts.append(f"[{row['condition']}]")
    if row["search_seed"] != 0:
        parts.append(f"search seed {as_text(row['search_seed'])}")
    if is_given(row.get("status")) and row["status"] not in ("running", "completed"):
        parts.append(f"({row['status']})")
    return " ".join(parts)


def tags(row: Row) -> dict[str, str]:
    """What a trial is looked up by; cells that hold nothing are left out."""
    found = {name: as_text(row[name]) for name in SHOWN_AS_TAGS if is_given(row.get(name))}
    if is_given(row.get("diverged_step")) and row["diverged_step"] >= 0:
        found["diverged_step"] = as_text(row["diverged_step"])
    return found


def params(row: Row) -> dict[str, str]:
    """What defines a trial before it runs; numbers stay numeric so that MLflow can plot against them."""
    found = {shown: as_text(row[name]) for name, shown in SHOWN_AS_PARAMS.items() if is_given(row.get(name))}
    return found | {name: as_text(value) for name, value in searched_values(row).items()}


def end_metrics(row: Row) -> Iterator[tuple[str, float]]:
    """The numbers that a trial ended with, infinities included; NaN means that there is none."""
    for key, value in row.items():
        if key.startswith((*METRIC_GROUPS, *SINGLE_GROUPS)) and is_given(value):
            yield (f"{AFTER_CURVES}{key}" if key.startswith(SINGLE_GROUPS) else key), float(value)
    for key, name in (
        ("objective", "objective"),
        *((key, f"{AFTER_CURVES}cost/{key}") for key in ("epochs", "samples_per_s")),
    ):
        if is_given(row.get(key)):
            yield name, float(row[key])


def short(value: Any) -> str:
    """A value to three digits, for a reader."""
    value = value.item() if hasattr(value, "item") else value
    return f"{value:.3g}" if isinstance(value, float) else str(value)
