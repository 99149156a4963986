"""MLflow's database."""

import os
from pathlib import Path


def create_database(uri: str) -> None:
    """Makes a new SQLite database whole or not at all: MLflow cannot go on from a half-migrated one."""
    prefix = "sqlite:///"
    if not uri.startswith(prefix):
        return
    path = Path(uri.removeprefix(prefix))
    if path.exists():
        return
    from mlflow import MlflowClient  # takes seconds, and there is a database as a rule

    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    try:
        MlflowClient(tracking_uri=f"{prefix}{unfinished}").search_experiments(max_results=1)
        if not path.exists():
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
