"""Runs a study on Ray: the planner decides, Tune executes, the record is the truth."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpstudy.execution._doctor import Finding, examine
    from hpstudy.execution._driver import RunOutcome, run_study
    from hpstudy.execution._progress import ArmProgress, Progress

__all__ = ["ArmProgress", "Finding", "Progress", "RunOutcome", "examine", "run_study"]

_MODULES = {
    "ArmProgress": "_progress",
    "Finding": "_doctor",
    "Progress": "_progress",
    "RunOutcome": "_driver",
    "examine": "_doctor",
    "run_study": "_driver",
}


def __getattr__(name: str) -> Any:
    # Every worker imports this package for its trainable; it has no use for Optuna, MLflow and the rest of the driver.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
