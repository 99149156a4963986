"""Where a study is kept: trials, trajectories and files, written atomically, read as data frames.

The record is the truth of a study; everything else (Optuna's journal, MLflow, the report) can be told again from it.
"""

from hpstudy.record._files import write_atomically
from hpstudy.record._folder import StudyFolder, studies_in
from hpstudy.record._lock import StudyLock, lock_holder
from hpstudy.record._request import TrialRequest
from hpstudy.record._result import STATUSES, TrialResult
from hpstudy.record._trajectory import TRAJECTORY_COLUMNS, AttemptWriter

__all__ = [
    "STATUSES",
    "TRAJECTORY_COLUMNS",
    "AttemptWriter",
    "StudyFolder",
    "StudyLock",
    "TrialRequest",
    "TrialResult",
    "lock_holder",
    "studies_in",
    "write_atomically",
]
