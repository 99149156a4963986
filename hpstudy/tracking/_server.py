"""MLflow's server, started small, checked, and stopped."""

import atexit
import contextlib
import importlib
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

from hpstudy.exceptions import HpstudyError, InputError
from hpstudy.tracking._account import Account, auth_environment
from hpstudy.tracking._database import create_database
from hpstudy.tracking._environment import MLFLOW_ENVIRONMENT, is_server, tracking_uri

# /health answers before, and whatever host is asked for; this is the first thing the page itself asks.
READY_PATH = "/api/2.0/mlflow/experiments/search?max_results=1"
STOP_SECONDS = 10.0

_logger = logging.getLogger(__name__)


def ui_command(
    home: Path,
    port: int = 5000,
    host: str = "127.0.0.1",
    *,
    allowed_hosts: Sequence[str] = (),
    asks_for_account: bool = False,
) -> list[str]:
    """The command that serves the runs of `home`: one worker, in the foreground.

    Args:
        home: Holds `mlflow.db` and `mlartifacts/`, unless `$MLFLOW_TRACKING_URI` names another database.
        port: Of the server.
        host: The address that it binds to.
        allowed_hosts: Host names that browsers may ask for; MLflow answers 403 to names it was not told.
        asks_for_account: The server asks for a user and a password (`auth_environment`).

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
        names += [f"{name}:{port}" for name in names]
        command += ["--allowed-hosts", ",".join(names)]
        # The page's own requests carry its origin; https where a proxy ends it.
        command += [
            "--cors-allowed-origins",
            ",".join(f"{scheme}://{name}" for scheme in ("http", "https") for name in names),
        ]
    if asks_for_account:
        command += ["--app-name", "basic-auth"]
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
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rpartition(":")[2])

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
    account: Account | None = None,
    allowed_hosts: Sequence[str] = (),
    timeout: float = 60.0,
) -> ServerHandle:
    """Starts MLflow's server on the runs of `home` and waits until its API answers.

    Args:
        home: As in `ui_command`; made where it is missing.
        host: The address to bind to.
        port: 0 takes a free one.
        account: Whom the server lets in; by default whoever reaches it. An address other than loopback needs one.
        allowed_hosts: As in `ui_command`.
        timeout: Seconds to wait for the first answer.

    Raises:
        InputError: the address is not loopback and there is no account, or the port is taken.
        HpstudyError: the server ended or did not answer in time; the message has the end of its log.
    """
    if account is None and not is_loopback(host):
        raise InputError(
            f"without an account the MLflow server binds to loopback only, but got host {host!r}: "
            "use 127.0.0.1 and an SSH tunnel, or give an account"
        )
    port = _claimed_port(host, port)
    command = ui_command(home, port, host, allowed_hosts=allowed_hosts, asks_for_account=account is not None)
    home.mkdir(parents=True, exist_ok=True)
    auth = {} if account is None else auth_environment(home, account)
    create_database(tracking_uri(home))
    log = home / "mlflow-server.log"
    with log.open("wb") as output, _signals_held():
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **MLFLOW_ENVIRONMENT, **auth},
            start_new_session=True,
        )
        server = ServerHandle(process, f"http://{_in_url(host)}:{port}", log)
    try:
        # Whoever starts a server asks it something next: what that needs takes seconds, and so does the server.
        importlib.import_module("mlflow")
        _wait_until_ready(server, timeout, account)
    except BaseException:
        server.stop()
        raise
    return server


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


def _wait_until_ready(server: ServerHandle, timeout: float, account: Account | None) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not server.is_alive():
            raise HpstudyError(f"the MLflow server ended before it answered; {_last_words(server.log)}")
        status = _status(server.url, {} if account is None else account.header())
        if status == 403:
            raise HpstudyError(
                f"the MLflow server refuses to be asked as {server.url}: name that host in allowed_hosts"
            )
        if status == 200 and server.is_alive():
            if account is not None and _status(server.url, {}) != 401:
                raise HpstudyError(f"the MLflow server at {server.url} answers without a password, and was stopped")
            return
        time.sleep(0.1)
    raise HpstudyError(f"the MLflow server did not answer within {timeout:g} s; {_last_words(server.log)}")


def _status(url: str, headers: dict[str, str]) -> int:
    """The status of the first thing that the page itself asks; 0 without an answer."""
    # A proxy from the environment must not answer for the server.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url + READY_PATH, headers=headers), timeout=5.0) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    return "\n".join([f"the end of {log}:", *lines])


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
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
