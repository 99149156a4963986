"""What a tracker delivers of a finished trial, read from the record when its turn comes."""

from pathlib import Path

import pandas as pd

from hpstudy.record import StudyFolder
from hpstudy.tracking._protocol import LoadTrial, Row

ARTIFACTS = {"trajectory.parquet": "trajectories", "epochs.parquet": "epochs"}
"""Names of a trial's files in MLflow, and the folders of the record that hold them."""


def record_loader(folder: StudyFolder) -> LoadTrial:
    """What reads the trials of a study from its record; safe to call in any thread."""

    def load(row: Row) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Path]]:
        trial_id = row["trial_id"]
        files = {
            name: path for name, kind in ARTIFACTS.items() for path in folder.local_files(f"{kind}/{trial_id}.parquet")
        }
        return folder.trajectory(trial_id), folder.epochs(trial_id), files

    return load
