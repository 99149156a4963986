"""MLflow as the window on a study: runs, metrics, artifacts, and the server that shows them.

The record on disk is the truth. A tracker copies it to MLflow under deterministic keys, so that anything may be
delivered again at any time and nothing is ever doubled; whatever did not arrive is found by `Tracker.catch_up` at the
next start.
"""

from typing import TYPE_CHECKING

from hpstudy.facades import on_demand
from hpstudy.tracking._access import check_access
from hpstudy.tracking._account import Account, account_from
from hpstudy.tracking._background import BackgroundTracker
from hpstudy.tracking._environment import is_server, shown, tracking_uri
from hpstudy.tracking._notes import NOTE_LENGTH, escaped, fitted, table
from hpstudy.tracking._pages import DataInput, OpeningPages, Page
from hpstudy.tracking._protocol import (
    DrawTrial,
    LoadTrial,
    NullTracker,
    Row,
    Tracker,
    TrackingRefusedError,
    TrackingUnavailableError,
)
from hpstudy.tracking._record import record_loader
from hpstudy.tracking._trained import TrainedModel, pick_model, trained_models

if TYPE_CHECKING:
    from hpstudy.tracking._mlflow import MlflowTracker
    from hpstudy.tracking._server import ServerHandle, is_loopback, serve, ui_command
    from hpstudy.tracking._views import prepare_study_page

__all__ = [
    "NOTE_LENGTH",
    "Account",
    "BackgroundTracker",
    "DataInput",
    "DrawTrial",
    "LoadTrial",
    "MlflowTracker",
    "NullTracker",
    "OpeningPages",
    "Page",
    "Row",
    "ServerHandle",
    "Tracker",
    "TrackingRefusedError",
    "TrackingUnavailableError",
    "TrainedModel",
    "account_from",
    "check_access",
    "escaped",
    "fitted",
    "is_loopback",
    "is_server",
    "pick_model",
    "prepare_study_page",
    "record_loader",
    "serve",
    "shown",
    "table",
    "tracking_uri",
    "trained_models",
    "ui_command",
]

_MODULES = {
    "MlflowTracker": "_mlflow",
    "ServerHandle": "_server",
    "is_loopback": "_server",
    "prepare_study_page": "_views",
    "serve": "_server",
    "ui_command": "_server",
}

# MLflow takes seconds to import; a driver needs it in its writer thread alone.
__getattr__ = on_demand(__name__, _MODULES)
