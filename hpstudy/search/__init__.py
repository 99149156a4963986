"""What to try next: Optuna's ask and tell, one search per arm × condition × search seed, then the confirm trials."""

from hpstudy.search._export import Exported, write_optuna_storage
from hpstudy.search._planner import Decision, LaneState, Planner

__all__ = ["Decision", "Exported", "LaneState", "Planner", "write_optuna_storage"]
