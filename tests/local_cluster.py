"""Ray clusters of this machine for tests: real nodes on loopback, each with ports and folders of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PACKAGE_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class LocalCluster:
    """A cluster that runs."""

    url: str
    """Of its dashboard."""
    port: int
    """Of the cluster itself."""
    folder: Path
    """Ray's temporary folder."""
    environment: Mapping[str, str]
    """Of its nodes."""

    def processes(self) -> list[int]:
        """Ids of all processes that the nodes started."""
        return _processes_naming(self.folder)


@contextmanager
def local_cluster(
    *, nodes: int = 1, cpus: int = 2, python: Path | str = sys.executable, environment: Mapping[str, str] | None = None
) -> Iterator[LocalCluster]:
    """A cluster for the `with` block; nothing of it is left afterwards.

    Args:
        nodes: How many.
        cpus: Of each.
        python: Runs the nodes, and what they run.
        environment: In place of or beside this process's; an empty value takes a variable away.
    """
    # The sockets' paths must be short.
    folder = Path(tempfile.mkdtemp(prefix="hps-", dir="/tmp"))
    lean = {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", "RAY_prestart_worker_first_driver": "0"}
    merged = {**os.environ, **lean, **(environment or {})}
    merged = {name: value for name, value in merged.items() if value}
    merged["PATH"] = f"{Path(python).parent}{os.pathsep}{merged['PATH']}"
    try:
        with ExitStack() as started, (folder / "log").open("wb") as log:
            ports = _free_ports(8)
            cluster = LocalCluster(f"http://127.0.0.1:{ports[1]}", ports[0], folder, merged)
            names = ("port", "dashboard-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port")
            names += ("ray-client-server-port", "metrics-export-port", "runtime-env-agent-port", "node-manager-port")
            words = ["--head", "--dashboard-host=127.0.0.1", f"--temp-dir={folder}"]
            words += [f"--{name}={port}" for name, port in zip(names, ports, strict=True)]
            for number in range(nodes):
                command = [str(python), "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
                command += [f"--num-cpus={cpus}", "--node-ip-address=127.0.0.1", "--object-store-memory=100000000"]
                command += words if number == 0 else _joining(cluster, number)
                process = subprocess.Popen(
                    command, env=merged, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
                started.callback(_end, process)
                _await(lambda: _answers(cluster.url), process, folder / "log")
            _await(lambda: len(_raylets(folder)) == nodes, process, folder / "log")
            yield cluster
    finally:
        for process in _processes_naming(folder):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def _joining(cluster: LocalCluster, number: int) -> list[str]:
    ports = _free_ports(4)
    names = (
        "dashboard-agent-listen-port",
        "dashboard-agent-grpc-port",
        "metrics-export-port",
        "runtime-env-agent-port",
    )
    return [
        f"--address=127.0.0.1:{cluster.port}",
        # In one folder, each node would clear away what the jobs of the other still use.
        f"--temp-dir={cluster.folder / str(number)}",
        *(f"--{name}={port}" for name, port in zip(names, ports, strict=True)),
    ]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/", timeout=2):  # the page itself is open to all
            return True
    except OSError:
        return False


def _await(condition: object, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _raylets(folder: Path) -> list[int]:
    return [process for process in _processes_naming(folder) if "/raylet " in _command_line(process)]


def _processes_naming(folder: Path) -> list[int]:
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [process for process in found if process != os.getpid() and str(folder) in _command_line(process)]


def _command_line(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it has ended
        return ""
