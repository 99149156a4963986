"""What to try next: Optuna's ask and tell, one search per arm × condition × search seed, then the confirm trials."""

import importlib
from typing import TYPE_CHECKING, Any

from hpstudy.search._planner import Decision, LaneState, Planner

if TYPE_CHECKING:
    from hpstudy.search._export import Exported, write_optuna_storage

__all__ = ["Decision", "Exported", "LaneState", "Planner", "write_optuna_storage"]


def __getattr__(name: str) -> Any:
    # A planner has no use for SQLAlchemy, which an export loads.
    if name not in ("Exported", "write_optuna_storage"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}._export"), name)
