"""What to try next: Optuna's ask and tell, one search per arm × condition × search seed, then the confirm trials."""

from typing import TYPE_CHECKING

from hpstudy.facades import on_demand
from hpstudy.search._planner import Decision, LaneState, Planner

if TYPE_CHECKING:
    from hpstudy.search._export import Exported, write_optuna_storage

__all__ = ["Decision", "Exported", "LaneState", "Planner", "write_optuna_storage"]

# A planner has no use for SQLAlchemy, which an export loads.
__getattr__ = on_demand(__name__, {"Exported": "_export", "write_optuna_storage": "_export"})
