"""Runs a study on Ray: the planner decides, Tune executes, the record is the truth."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpstudy.execution._doctor import Finding, examine
    from hpstudy.execution._driver import RunOutcome, run_study
    from hpstudy.execution._forecast import ArmPlan, Forecast
    from hpstudy.execution._plan import Plan, plan_study
    from hpstudy.execution._power_note import AtSpread, PowerNote
    from hpstudy.execution._progress import ArmProgress, Progress

__all__ = [
    "ArmPlan",
    "ArmProgress",
    "AtSpread",
    "Finding",
    "Forecast",
    "Plan",
    "PowerNote",
    "Progress",
    "RunOutcome",
    "examine",
    "plan_study",
    "run_study",
]

_MODULES = {
    "ArmPlan": "_forecast",
    "ArmProgress": "_progress",
    "AtSpread": "_power_note",
    "Finding": "_doctor",
    "Forecast": "_forecast",
    "Plan": "_plan",
    "PowerNote": "_power_note",
    "Progress": "_progress",
    "RunOutcome": "_driver",
    "examine": "_doctor",
    "plan_study": "_plan",
    "run_study": "_driver",
}


def __getattr__(name: str) -> Any:
    # Every worker imports this package for its trainable; it has no use for Optuna, MLflow and the rest of the driver.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
