"""MLflow's server, started small, checked, and stopped."""

import atexit
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType

from mlflow import MlflowClient

from hpstudy.exceptions import HpstudyError, InputError
from hpstudy.tracking._environment import MLFLOW_ENVIRONMENT, is_server, tracking_uri
from hpstudy.tracking._store import create_database, store_errors

# /health answers before, and whatever host is asked for; this is the first thing the page itself asks.
READY_PATH = "/api/2.0/mlflow/experiments/search?max_results=1"
STOP_SECONDS = 10.0

_logger = logging.getLogger(__name__)


def ui_command(
    home: Path, port: int = 5000, host: str = "127.0.0.1", *, allowed_hosts: Sequence[str] = ()
) -> list[str]:
    """The command that serves the runs of `home`: one worker, in the foreground.

    Args:
        home: Holds `mlflow.db` and `mlartifacts/`, unless `$MLFLOW_TRACKING_URI` names another database.
        port: Of the server.
        host: The address that it binds to.
        allowed_hosts: Host names that browsers may ask for; MLflow answers 403 to names it was not told.

    Raises:
        InputError: the runs are on a server already.
    """
    uri = tracking_uri(home)
    if is_server(uri):
        raise InputError(f"MLFLOW_TRACKING_URI is {uri}: a server shows the runs already; open that address")
    artifacts = str(home.absolute() / "mlartifacts")
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        uri,
        "--artifacts-destination",
        artifacts,
    ]
    command += ["--host", host, "--port", str(port), "--workers", "1"]
    if allowed_hosts:
        # Named hosts take the place of MLflow's list; a browser names the port as well.
        names = [*dict.fromkeys(("localhost", "127.0.0.1", *allowed_hosts))]
        command += ["--allowed-hosts", ",".join([*names, *(f"{name}:{port}" for name in names)])]
    return command


class ServerHandle:
    """A running server; leaving the `with` block stops it, and so does the end of this process, unless it is killed.

    Attributes:
        url: Without a trailing slash.
        log: What the server prints.
    """

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self._process = process
        self._stopped = False
        self.url = url
        self.log = log
        # Covers the moments before the caller's `with` block begins.
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        """Process id; also that of the group of all that it started."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the server still runs."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Waits until the server ends; returns its exit status."""
        return self._process.wait()

    def stop(self) -> None:
        """Ends the server and the processes that it started, once."""
        if self._stopped:
            return
        self._stopped = True
        try:
            self._signal_group(signal.SIGTERM)
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _logger.warning("the MLflow server did not end within %g s and is killed", STOP_SECONDS)
        finally:
            # A worker may outlive the parent that was to end it; and an impatient second Ctrl-C ends the wait.
            self._signal_group(signal.SIGKILL)
            self._process.wait()
            atexit.unregister(self.stop)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def __enter__(self) -> "ServerHandle":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(
    home: Path,
    host: str = "127.0.0.1",
    port: int = 5000,
    *,
    exposure_reason: str = "",
    allowed_hosts: Sequence[str] = (),
    timeout: float = 60.0,
) -> ServerHandle:
    """Starts MLflow's server on the runs of `home` and waits until its API answers.

    Args:
        home: As in `ui_command`; made where it is missing.
        host: The address to bind to.
        port: 0 takes a free one.
        exposure_reason: Why others may reach the server, which asks nobody for a password; an address other than
            loopback needs one, and it is logged.
        allowed_hosts: As in `ui_command`.
        timeout: Seconds to wait for the first answer.

    Raises:
        InputError: the address is not loopback and there is no reason, or the port is taken.
        HpstudyError: the server ended or did not answer in time; the message has the end of its log.
    """
    if not _is_loopback(host):
        if not exposure_reason:
            raise InputError(
                f"the MLflow server asks nobody for a password, so it binds to loopback only, but got host {host!r}: "
                "use 127.0.0.1 and an SSH tunnel, or give the reason why others may reach it"
            )
        _logger.warning("the MLflow server on %s is open to others: %s", host, exposure_reason)
    port = _claimed_port(host, port)
    command = ui_command(home, port, host, allowed_hosts=allowed_hosts)
    home.mkdir(parents=True, exist_ok=True)
    create_database(tracking_uri(home))
    log = home / "mlflow-server.log"
    with log.open("wb") as output, _signals_held():
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **MLFLOW_ENVIRONMENT},
            start_new_session=True,
        )
        server = ServerHandle(process, f"http://{_in_url(host)}:{port}", log)
    try:
        _wait_until_ready(server, timeout)
    except BaseException:
        server.stop()
        raise
    return server


def study_url(base: str, study_name: str) -> str:
    """The address of a study's runs on the server at `base`.

    Raises:
        InputError: the server has no such study.
        TrackingUnavailableError: the server does not answer.
    """
    base = base.rstrip("/")
    with store_errors():
        experiment = MlflowClient(tracking_uri=base).get_experiment_by_name(study_name)
    if experiment is None:
        raise InputError(f"the MLflow server at {base} has no study {study_name!r}")
    return f"{base}/#/experiments/{experiment.experiment_id}/runs"


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Delivers what would interrupt the `with` block after it: a process must not be started and then forgotten."""
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)

    # Handlers that are Python functions alone: an ignored signal must stay ignored in the new process.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if threading.current_thread() is not threading.main_thread():
        before = {}
    before = {number: handler for number, handler in before.items() if callable(handler)}
    for number in before:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for late in dict.fromkeys(held):
        signal.raise_signal(late)


def _wait_until_ready(server: ServerHandle, timeout: float) -> None:
    # A proxy from the environment must not answer for the server.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not server.is_alive():
            raise HpstudyError(f"the MLflow server ended before it answered; {_last_words(server.log)}")
        try:
            with opener.open(server.url + READY_PATH, timeout=5.0):
                if server.is_alive():
                    return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 403:
                raise HpstudyError(
                    f"the MLflow server refuses to be asked as {server.url}: name that host in allowed_hosts"
                ) from error
            time.sleep(0.1)
        except OSError:
            time.sleep(0.1)
    raise HpstudyError(f"the MLflow server did not answer within {timeout:g} s; {_last_words(server.log)}")


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    return "\n".join([f"the end of {log}:", *lines])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_url(host: str) -> str:
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{address}]" if ":" in address else address


def _claimed_port(host: str, port: int) -> int:
    """The port, once it was seen to be free; a free one for 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(
                f"port {port} on {host} cannot be used ({error.strerror}): choose another, or 0 for a free one"
            ) from error
        return int(probe.getsockname()[1])
