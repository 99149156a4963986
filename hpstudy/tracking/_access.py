"""Whether a tracking server lets this user in, asked before the work begins."""

import json
from pathlib import Path
from typing import Any

from hpstudy.tracking._environment import is_server, tracking_uri
from hpstudy.tracking._protocol import TrackingRefusedError

_API = "/api/2.0/mlflow/experiments"


def check_access(home: Path, study_name: str, timeout: float = 5.0) -> None:
    """Asks a tracking server whether this user may deliver a study; changes nothing there.

    A server that is away or slow is no error: deliveries wait for it. Any other store needs no question.

    Args:
        home: Tells the store, as for `MlflowTracker`.
        study_name: The study.
        timeout: Seconds to wait for each of two answers.

    Raises:
        TrackingRefusedError: credentials are missing, wrong or not enough, the server refuses the host name, or what
            answers is no MLflow server.
    """
    uri = tracking_uri(home)
    if not is_server(uri):
        return
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    from hpstudy.tracking._refusals import refusal_of
    from hpstudy.tracking._store import NOTE

    def ask(method: str, action: str, **given: Any) -> dict[str, Any]:
        answer = http_request(
            get_default_host_creds(uri),
            f"{_API}/{action}",
            method,
            max_retries=0,
            timeout=timeout,
            raise_on_status=False,
            **given,
        )
        try:
            told = json.loads(answer.text)
        except ValueError:
            told = None
        if isinstance(told, dict) and (answer.status_code == 200 or "error_code" in told):
            return told
        refused = refusal_of(answer.status_code, answer.text)
        if refused is not None:
            raise TrackingRefusedError(refused)
        return {}

    try:
        found = ask("GET", "get-by-name", params={"experiment_name": study_name}).get("experiment", {})
        for tag in found.get("tags", []):
            if tag["key"] == NOTE:  # set to what it is, which changes nothing, and only those may who may write
                ask("POST", "set-experiment-tag", json={"experiment_id": found["experiment_id"], **tag})
    except MlflowException:
        return
