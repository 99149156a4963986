"""What MLflow reads from the environment, set before it is imported, and where the runs are."""

import os
import re
from pathlib import Path

MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Or a lock file that happens to be in the working directory would travel with every model.
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # The background writer retries by itself; MLflow's own seven retries would hold it for minutes inside one call.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}

for _name, _value in MLFLOW_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)


def tracking_uri(home: Path) -> str:
    """`$MLFLOW_TRACKING_URI`, or the SQLite database in `home`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home.absolute() / 'mlflow.db'}"


def shown(uri: str) -> str:
    """The address, or a text with addresses, without the users and passwords that they may hold."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", uri)


def is_server(uri: str) -> bool:
    """Whether the runs are behind an MLflow server that someone else runs."""
    return uri.startswith(("http://", "https://"))
