"""MLflow as the window on a study: runs, metrics, artifacts, and the server that shows them.

The record on disk is the truth. A tracker copies it to MLflow under deterministic keys, so that anything may be
delivered again at any time and nothing is ever doubled; whatever did not arrive is found by `Tracker.catch_up` at the
next start.
"""

from hpstudy.tracking._account import Account, account_from
from hpstudy.tracking._background import BackgroundTracker
from hpstudy.tracking._environment import is_server, tracking_uri
from hpstudy.tracking._mlflow import MlflowTracker
from hpstudy.tracking._protocol import LoadTrial, NullTracker, Row, Tracker, TrackingUnavailableError
from hpstudy.tracking._server import ServerHandle, is_loopback, serve, ui_command
from hpstudy.tracking._views import prepare_study_page

__all__ = [
    "Account",
    "BackgroundTracker",
    "LoadTrial",
    "MlflowTracker",
    "NullTracker",
    "Row",
    "ServerHandle",
    "Tracker",
    "TrackingUnavailableError",
    "account_from",
    "is_loopback",
    "is_server",
    "prepare_study_page",
    "serve",
    "tracking_uri",
    "ui_command",
]
