"""A small study's record, and one MLflow database a module: making one takes seconds."""

import importlib.util
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hpstudy.tracking as tracking

Frames = tuple[pd.DataFrame, pd.DataFrame]

NOISE = "ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning"
"""MLflow 3.17's own table definitions, met by SQLAlchemy 2.1 when the store is first opened."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(NOISE))


@pytest.fixture(autouse=True)
def _no_tracking_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, furnished: Callable[[Path], Path]) -> Path:
    return furnished(tmp_path_factory.mktemp("home"))


@pytest.fixture
def make_tracker(home: Path, request: pytest.FixtureRequest) -> Callable[..., tracking.MlflowTracker]:
    def make(**changes: Any) -> tracking.MlflowTracker:
        name = request.node.name.removeprefix("test_")
        given = {"arms": ("cosface", "adacos-dynamic"), "sha256": "5ead", **changes}
        return tracking.MlflowTracker(home, name, "Does any (s, m) win?", resolved_yaml="version: 1\n", **given)

    return make


@pytest.fixture(scope="session")
def row() -> dict[str, Any]:
    return {
        "study": "quick",
        "trial_id": "cosface.default.search.s0.007",
        "arm": "cosface",
        "condition": "default",
        "phase": "search",
        "search_seed": 0,
        "number": 7,
        "seed": 3,
        "loss": "cosface",
        "s": 31.2,
        "m": 0.28,
        "status": "completed",
        "cause": "",
        "diverged_step": -1,
        "epochs": 3,
        "steps": 336,
        "objective": 0.71,
        "param/s": 31.2,
        "param/m": 0.28,
        "param/training.optimizer.lr": 0.1,
        "val/tar_at_far_1e-3": 0.71,
        "test/tar_at_far_1e-3": float("nan"),
        "geometry/final_s": 31.2,
        "cost/wall_s": 61.5,
        "samples_per_s": 812.0,
        "attempt": 0,
        "device": "cpu",
        "started_at": 1_700_000_000.25,
        "ended_at": 1_700_000_061.75,
        "num_classes": 300,
        "embedding_dim": 256,
    }


@pytest.fixture(scope="session")
def frames() -> Frames:
    """336 steps of ten curves (theta_med makes eleven; s is flat), three epochs."""
    rng = np.random.default_rng(0)
    names = ("loss", "log_b_avg", "theta_med", "cos_nontarget_mean", "cos_nontarget_std", "posterior_med")
    columns = {name: rng.normal(size=336) for name in (*names, "grad_norm", "lr", "samples_per_s", "theta_target_mean")}
    trajectory = pd.DataFrame({"step": range(1, 337), "epoch": np.repeat([0, 1, 2], 112), **columns, "s": 31.2})
    epochs = pd.DataFrame(
        {
            "epoch": [0, 1, 2],
            "step": [112, 224, 336],
            "train_loss": [3.0, 2.0, 1.0],
            "val/tar_at_far_1e-3": [0.2, 0.5, 0.71],
            "theta_target_histogram": [[0] * 180] * 3,
        }
    )
    return trajectory, epochs


@pytest.fixture(scope="session")
def proxies() -> ModuleType:
    """`proxy.py`: a server in front of another one that holds requests and loses answers."""
    specification = importlib.util.spec_from_file_location("tracking_proxy", Path(__file__).with_name("proxy.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def count(home: Path) -> Callable[[str], int]:
    """Counts rows of the database by SQL."""

    def query(sql: str, *values: str) -> int:
        connection = sqlite3.connect(home / "mlflow.db")
        try:
            return int(connection.execute(sql, values).fetchone()[0])
        finally:
            connection.close()

    return query
