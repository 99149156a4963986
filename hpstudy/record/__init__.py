"""Where a study is kept: trials, trajectories and files, written atomically, read as data frames.

The record is the truth of a study; everything else (Optuna's journal, MLflow, the report) can be told again from it.
"""

from hpstudy.record._files import (
    Location,
    files_in,
    home_folder,
    place_of,
    remove_file,
    upload_folder,
    write_atomically,
)
from hpstudy.record._flat import TABLES, frames_of, write_flat_table
from hpstudy.record._folder import StudyFolder, studies_in
from hpstudy.record._lease import Lease
from hpstudy.record._lock import StudyLock, lock_holder
from hpstudy.record._objects import ObjectPath
from hpstudy.record._request import TrialRequest
from hpstudy.record._result import STATUSES, TrialResult
from hpstudy.record._trajectory import TRAJECTORY_COLUMNS, AttemptWriter
from hpstudy.record._workplace import workplace

__all__ = [
    "STATUSES",
    "TABLES",
    "TRAJECTORY_COLUMNS",
    "AttemptWriter",
    "Lease",
    "Location",
    "ObjectPath",
    "StudyFolder",
    "StudyLock",
    "TrialRequest",
    "TrialResult",
    "files_in",
    "frames_of",
    "home_folder",
    "lock_holder",
    "place_of",
    "remove_file",
    "studies_in",
    "upload_folder",
    "workplace",
    "write_atomically",
    "write_flat_table",
]
