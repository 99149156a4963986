"""What a tracking server's answer, or its silence, means to whoever has to put it right."""

import os
import re
import socket
from collections.abc import Iterator

from mlflow.exceptions import MlflowException, RestException

from hpstudy.tracking._environment import is_server, shown

_ANSWER = re.compile(r"failed with error code (\d+) != \d+\. Response body: '(.*)'$", re.DOTALL)
_NOT_JSON = "the response body was not in a valid JSON format"
_CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_TOKEN")
OTHER_ANSWERS = {200, 404, 405, 501}
"""Statuses of web servers that are no MLflow server, or of a path on one where it isn't."""
NO_HTTP = "Invalid HTTP request received."
"""What a busy server answers now and then, with status 400, on a connection that it kept open."""


def refusal(error: MlflowException) -> str | None:
    """Why the server will go on refusing until someone changes something, in one line; None for any other error."""
    if isinstance(error, RestException):
        if "error_code" in error.json:
            return None if error.error_code != "UNAUTHENTICATED" else refusal_of(401, str(error.json.get("message")))
        return refusal_of(404, str(error.json))
    if _NOT_JSON in str(error):
        return refusal_of(200, "")
    answer = _ANSWER.search(str(error))
    return refusal_of(int(answer[1]), answer[2]) if answer else None


def refusal_of(status: int, body: str) -> str | None:
    """The same of an answer that is not MLflow's JSON."""
    server = _server()
    if status == 401:
        if not any(os.environ.get(name) for name in _CREDENTIALS):
            return (
                f"{server} asks for credentials (401): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
                "MLFLOW_TRACKING_TOKEN"
            )
        given = "user " + repr(user) if (user := os.environ.get(_CREDENTIALS[0])) else "the token"
        return (
            f"{server} does not accept the credentials of {given} (401): correct MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    if status == 403 and "Invalid Host" in body:
        return (
            f"{server} refuses to be asked under that host name (403, Invalid Host header): start it with "
            "--allowed-hosts and that name, or use the address of its machine"
        )
    if status == 403:
        user = os.environ.get(_CREDENTIALS[0])
        who = f"user {user!r}" if user else "this user"
        return (
            f"{server} does not permit this to {who} (403): let its administrator permit EDIT on the experiment, or "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to one who may"
        )
    if status in OTHER_ANSWERS:
        return f"{server} answers, but not as an MLflow server does ({status}): correct MLFLOW_TRACKING_URI"
    return None


def is_unsent(error: MlflowException) -> bool:
    """Whether the server took the request for something else, so that it may be sent again."""
    answer = _ANSWER.search(str(error))
    return answer is not None and (int(answer[1]) in (502, 503, 504) or NO_HTTP in answer[2])


def silence(error: BaseException) -> str:
    """Why nothing was heard, in a few words, from the error that lies deepest."""
    for below in _deepest_first(error):
        if isinstance(below, socket.gaierror):
            return "its host name is not known"
        if isinstance(below, TimeoutError) or "Timeout" in type(below).__name__:
            return "no answer in time"
        if isinstance(below, OSError) and isinstance(below.strerror, str):
            return below.strerror.lower()
        if "Connection aborted" in str(below):
            return "the connection was cut"
    return shown(str(next(_deepest_first(error))).partition("\n")[0][:200])


def _deepest_first(error: BaseException) -> Iterator[BaseException]:
    chain = [error]
    while (below := chain[-1].__cause__ or chain[-1].__context__) is not None and below not in chain:
        chain.append(below)
    return reversed(chain)


def _server() -> str:
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    return f"the MLflow server at {shown(uri)}" if is_server(uri) else "the MLflow server"
