"""Small tables of trials in the shape of the record."""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

LOSS = {
    "cosface": "cosface",
    "arcface": "arcface",
    "normface": "normface",
    "fixed": "adacos_fixed",
    "dynamic": "adacos",
}
METRIC, OBJECTIVE = "test/tar_at_far_1e-3", "val/tar_at_far_1e-3"


def trial(arm: str, phase: str, number: int, score: float, **changes: Any) -> dict[str, Any]:
    """One row of the record; `score` is the objective, and in the confirm phase the test value too."""
    condition = changes.pop("condition", "default")
    loss = changes.pop("loss", LOSS.get(arm, "cosface"))
    adaptive = loss.startswith("adacos")
    row: dict[str, Any] = {
        "study": "demo",
        "trial_id": f"{arm}.{condition}.{phase}.s0.{number:03d}",
        "arm": arm,
        "condition": condition,
        "phase": phase,
        "search_seed": 0,
        "number": number,
        "seed": number,
        "loss": loss,
        "s": np.nan if adaptive else 30.0,
        "m": 0.3 if loss in ("cosface", "arcface") else np.nan,
        "status": "completed",
        "cause": "",
        "diverged_step": -1,
        "epochs": 12,
        "objective": score,
        "num_classes": 300,
        "embedding_dim": 256,
        "geometry/final_s": 8.0 if adaptive else 30.0,
        "cost/wall_s": 60.0,
        "cost/cpu_s": 60.0,
        "cost/gpu_s": 0.0,
    }
    return row | ({METRIC: score} if phase == "confirm" else {}) | changes


@pytest.fixture
def confirmed() -> Callable[..., pd.DataFrame]:
    """A table of confirm trials from scores per arm, one per seed, with an optional search of two trials per arm."""

    def build(
        scores: Mapping[str, Sequence[float]], *, condition: str = "default", searched: Sequence[str] = ()
    ) -> pd.DataFrame:
        rows = [
            trial(arm, "confirm", 101 + i, score, condition=condition)
            for arm, values in scores.items()
            for i, score in enumerate(values)
        ]
        for arm in searched:
            rows += [trial(arm, "search", i, value, condition=condition) for i, value in enumerate((0.5, 0.9))]
        return pd.DataFrame(rows)

    return build


@pytest.fixture
def make_trial() -> Callable[..., dict[str, Any]]:
    """One row of the record."""
    return trial


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """`synthetic_study.py`."""
    return _beside("synthetic_study")


@pytest.fixture(scope="session")
def kept() -> ModuleType:
    """`kept_study.py`."""
    return _beside("kept_study")


def _beside(name: str) -> ModuleType:
    """A module of this folder; tests are not packages, so it is loaded from its path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def in_parts() -> Callable[[pd.DataFrame], Iterator[pd.DataFrame]]:
    """Cuts a table of many conditions into tables of twenty: the time of an analysis grows faster than a table."""

    def cut(trials: pd.DataFrame) -> Iterator[pd.DataFrame]:
        names = trials["condition"].unique()
        for first in range(0, len(names), 20):
            yield trials[trials["condition"].isin(names[first : first + 20])].reset_index(drop=True)

    return cut


@pytest.fixture
def brief_bootstrap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Bootstraps of 49 resamples, where nothing that is tested rests on them."""
    from hpstudy.analysis import _resampling

    monkeypatch.setattr(_resampling, "_RESAMPLES", 49)
    _resampling._resamples.cache_clear()
    yield
    _resampling._resamples.cache_clear()
