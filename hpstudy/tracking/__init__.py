"""MLflow as the window on a study: runs, metrics, artifacts, and the server that shows them.

The record on disk is the truth. A tracker copies it to MLflow under deterministic keys, so that anything may be
delivered again at any time and nothing is ever doubled; whatever did not arrive is found by `Tracker.catch_up` at the
next start.
"""

from hpstudy.tracking._access import check_access
from hpstudy.tracking._background import BackgroundTracker
from hpstudy.tracking._environment import shown, tracking_uri
from hpstudy.tracking._mlflow import MlflowTracker
from hpstudy.tracking._protocol import (
    LoadTrial,
    NullTracker,
    Row,
    Tracker,
    TrackingRefusedError,
    TrackingUnavailableError,
)
from hpstudy.tracking._record import record_loader
from hpstudy.tracking._server import ServerHandle, serve, study_url, ui_command

__all__ = [
    "BackgroundTracker",
    "LoadTrial",
    "MlflowTracker",
    "NullTracker",
    "Row",
    "ServerHandle",
    "Tracker",
    "TrackingRefusedError",
    "TrackingUnavailableError",
    "check_access",
    "record_loader",
    "serve",
    "shown",
    "study_url",
    "tracking_uri",
    "ui_command",
]
