"""One study under every fault, on a Ray of two nodes and then without: processes killed, stopped and hung, a full disk.

The tests from `test_a_node_lost_before…` on are its sessions, in order; the last compares what has become of it with a
study that nothing happened to.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hpstudy.exceptions import StudyConflictError
from hpstudy.execution import run_study
from hpstudy.record import StudyFolder, lock_holder
from hpstudy.spec import parse_study
from hpstudy.tracking import NullTracker, serve

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(600)]

RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
SLOW_MODEL = """
import os, time
from hpstudy.models import ConvNet

class Slow(ConvNet):
    # The usual network, but there is time to disturb its training.
    def forward(self, images):
        if self.training:
            time.sleep(float(os.environ.get("SECONDS_A_STEP", "0")))
        return super().forward(images)
"""
SLOWLY = {"SECONDS_A_STEP": "0.15"}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the slow network's module."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "slow_model.py").write_text(SLOW_MODEL)
    return folder


def finding(parts: Path) -> dict[str, str]:
    """The environment of processes that import from there as well."""
    return {"PYTHONPATH": os.pathsep.join([str(parts), *filter(None, [os.environ.get("PYTHONPATH")])])}


def started_head() -> Any:
    """A cluster of its head; Ray gives a node 30 s to start, which a busy machine may not keep the first time."""
    from ray.cluster_utils import Cluster

    arguments = {"num_cpus": 1, "include_dashboard": False}
    try:
        return Cluster(initialize_head=True, head_node_args=arguments)
    except Exception:
        return Cluster(initialize_head=True, head_node_args=arguments)


@pytest.fixture(scope="module")
def cluster(parts: Path) -> Iterator[Any]:
    """A head and a second node, of one CPU each, that train slowly."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**RAY, **finding(parts), **SLOWLY}.items():
            patch.setenv(name, value)
        nodes = started_head()
        try:
            nodes.second = nodes.add_node(num_cpus=1)
            yield nodes
        finally:
            nodes.shutdown()


@pytest.fixture
def joining(cluster: Any) -> dict[str, str]:
    """The environment of a driver that joins the cluster."""
    return {**RAY, "RAY_ADDRESS": cluster.address}


def kill(node: Any) -> None:
    """SIGKILL to all processes of a node."""
    for processes in node.all_processes.values():
        for each in processes:
            each.process.kill()
            each.process.wait()


def test_a_driver_that_is_told_of_no_cluster_joins_none(cluster: Any) -> None:
    """Ray itself would join the cluster that it finds on this machine."""
    code = (
        "from hpstudy.execution._ray import ray_session\n"
        "with ray_session():\n"
        "    import ray\n"
        "    print(ray.get_runtime_context().gcs_address)\n"
    )
    environment = {name: value for name, value in {**os.environ, **RAY}.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() != cluster.address


def test_a_node_that_does_not_see_the_home_is_named(
    small: ModuleType, study_file: Path, tmp_path: Path, joining: dict[str, str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    hidden = ["sh", "-c", 'mount -t tmpfs tmpfs "$0" && exec "$@"', str(home)]
    node = [*hidden, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"]
    permitted = subprocess.run(["unshare", "--mount", "true"], capture_output=True)
    if permitted.returncode:
        pytest.skip(f"a mount namespace needs root: {permitted.stderr.decode().strip()}")
    blind = subprocess.Popen(
        ["unshare", "--mount", *node, f"--address={joining['RAY_ADDRESS']}"],
        env={**os.environ, **RAY},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: nodes_of(joining) == 3)
        done = subprocess.run(
            small.command("run", str(study_file), "--home", str(home)),
            env={**os.environ, **joining},
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        blind.terminate()
        blind.wait()
    assert done.returncode == 2, done.stderr
    assert f"{home} is not the folder that the driver sees" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert [path.name for path in home.iterdir()] == ["datasets"], "nothing else is written before all nodes are fit"
    wait_until(lambda: nodes_of(joining) == 2)


def nodes_of(joining: dict[str, str]) -> int:
    """Living nodes, as the cluster's head has them."""
    from ray._raylet import GcsClient

    nodes = GcsClient(address=joining["RAY_ADDRESS"]).get_all_node_info().values()
    return sum(node.state == 0 for node in nodes)


@dataclass
class Troubled:
    """A study on a file system of its own, told to an MLflow server."""

    home: Path
    tracking: Path
    log: Path
    server: Any

    @property
    def folder(self) -> StudyFolder:
        """Its record."""
        return StudyFolder(self.home, "small")

    def checkpoints(self) -> set[Path]:
        """All that its trials can be continued from."""
        return {*(self.folder.path / "checkpoints").glob("*/a*/epoch-*.pt")}

    def is_trained(self, trials: int) -> Callable[[], bool]:
        """Whether that many trials have come further, since this was asked, and run on."""
        before = self.checkpoints()
        return lambda: len({path.parent for path in self.checkpoints() - before}) >= trials

    def has_finished_more(self) -> Callable[[], bool]:
        """Whether a trial has finished since this was asked."""
        before = len(self.folder.finished_trials())
        return lambda: len(self.folder.finished_trials()) > before


@pytest.fixture(scope="module")
def troubled(
    small: ModuleType,
    template: Path,
    furnished: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Troubled]:
    folder = tmp_path_factory.mktemp("troubled")
    home, away = folder / "home", furnished(folder / "tracking")
    home.mkdir()
    text = small.STUDY.replace("model: {", 'model: {name: "slow_model:Slow", ')
    (folder / "small.yaml").write_text(text.replace("max_parallel: 2", "max_parallel: 2, heartbeat_minutes: 0.2"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(home)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting a file system needs root: {mounted.stderr.decode().strip()}")
    try:
        study = Troubled(small.furnish(home, template), away, folder / "log", serve(away, port=0))
        try:
            yield study
        finally:
            study.server.stop()
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


@pytest.fixture
def session(small: ModuleType, troubled: Troubled, parts: Path) -> Callable[..., Any]:
    """A factory of drivers that begin the study or go on with it."""

    def begin(*words: str, **env: str) -> Any:
        told = {"MLFLOW_TRACKING_URI": troubled.server.url, **finding(parts), **env}
        return small.running(*words, "--home", str(troubled.home), env=told, log=troubled.log)

    return begin


def lose_second(cluster: Any) -> None:
    kill(cluster.second)
    cluster.remove_node(cluster.second)


def test_a_node_lost_before_the_first_trial_is_done_without_and_a_full_disk_stops_the_study_in_order(
    small: ModuleType, troubled: Troubled, session: Callable[..., Any], cluster: Any, joining: dict[str, str]
) -> None:
    with session("run", str(troubled.log.parent / "small.yaml"), **joining) as driver:
        small.wait_for(driver, lambda: list(troubled.home.glob(".marker-*")))  # it looks at its nodes
        lose_second(cluster)
        cluster.second = cluster.add_node(num_cpus=1)
        small.wait_for(driver, troubled.is_trained(1))
        fill(troubled.home / "everything-else")
        assert driver.wait(180) == 1
    told = troubled.log.read_text()
    assert f"the disk of {troubled.home} is full" in told
    assert "a study needs at least 64" in told
    assert f"hpstudy resume small --home {troubled.home}" in told
    assert "Traceback" not in told
    (troubled.home / "everything-else").unlink()


def test_a_killed_driver_holds_no_lock(
    small: ModuleType, troubled: Troubled, session: Callable[..., Any], joining: dict[str, str]
) -> None:
    with session("resume", "small", **joining) as driver:
        small.wait_for(driver, troubled.is_trained(1))
        assert troubled.folder.is_running()
        with pytest.raises(StudyConflictError, match=f"is being run by process {driver.pid}"):
            run_study(parse_study(troubled.folder.resolved_yaml()), troubled.home, NullTracker())
        driver.kill()
        driver.wait()
    assert not troubled.folder.is_running()


def test_a_lost_node_and_a_killed_worker_are_done_without_and_a_lost_head_ends_the_driver_in_order(
    small: ModuleType, troubled: Troubled, session: Callable[..., Any], cluster: Any, joining: dict[str, str]
) -> None:
    with session("resume", "small", **joining) as driver:
        small.wait_for(driver, troubled.is_trained(2))
        lose_second(cluster)
        small.wait_for(driver, troubled.has_finished_more())
        small.wait_for(driver, lambda: small.trial_workers(os.getpid()))
        os.kill(small.trial_workers(os.getpid())[0], signal.SIGKILL)
        small.wait_for(driver, troubled.has_finished_more())
        ended = troubled.log.stat().st_size
        kill(cluster.head_node)
        assert driver.wait(120) == 1
    told = troubled.log.read_text()
    assert "Trials did not complete" not in told
    assert f"hpstudy resume small --home {troubled.home}" in told[ended:]


def test_stopped_workers_are_taken_for_hung_and_a_driver_is_told_to_stop(
    small: ModuleType, troubled: Troubled, session: Callable[..., Any]
) -> None:
    """A stopped process hangs in the strictest sense: none of its threads runs."""
    where = ("--home", str(troubled.home))
    with session("resume", "small", **SLOWLY) as driver:
        small.wait_for(driver, troubled.is_trained(2))
        assert len(small.trial_workers(driver.pid)) == 2
        for worker in small.trial_workers(driver.pid):
            os.kill(worker, signal.SIGSTOP)
        hung = "made no progress for resources.heartbeat_minutes: 0.2; its worker is ended"
        small.wait_for(driver, lambda: troubled.log.read_text().count(hung) >= 2)
        small.wait_for(driver, troubled.is_trained(1))
        assert lock_holder(troubled.folder.path) == (driver.pid, socket.gethostname())
        done = small.hpstudy("stop", "small", *where, "--json")
        assert driver.wait(60) == 130
    assert json.loads(done.stdout) == {"study": "small", "home": str(troubled.home), "state": "stopped"}
    hint = f"hpstudy resume small --home {troubled.home}"
    assert done.stderr == f"small: stopped; continue with: {hint}\n"
    told = troubled.log.read_text()
    assert f"of {small.TRIALS} trials done." in told[told.rindex("Interrupted with") :]
    assert told.rstrip().endswith(f"Continue with: {hint}")
    assert "Traceback" not in told
    assert not troubled.folder.is_running()
    assert "RUNNING" not in {status for status, _ in small.mlflow_runs(troubled.tracking).values()}
    again = small.hpstudy("stop", "small", *where, expect=2)
    assert f"study 'small' is not running in {troubled.home}; name a cluster" in again.stderr


def test_an_mlflow_server_that_dies_and_comes_back_misses_nothing_and_neither_does_the_record(
    small: ModuleType,
    troubled: Troubled,
    session: Callable[..., Any],
    parts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = troubled.folder
    before = small.written(folder)
    assert 2 <= len(before) < small.TRIALS
    port = troubled.server.port
    with session("resume", "small") as driver:
        small.wait_for(driver, troubled.has_finished_more())
        os.killpg(troubled.server.pid, signal.SIGKILL)
        troubled.server.wait()
        small.wait_for(driver, lambda: "MLflow is away" in troubled.log.read_text())
        troubled.server = serve(troubled.tracking, port=port)
        assert driver.wait(300) == 0
    assert before.items() <= small.written(folder).items(), "a finished trial was run again"
    assert [session["nodes"] for session in folder.sessions()] == ["2", "2", "2", "1", "1"]
    monkeypatch.syspath_prepend(parts)
    whole = small.run_alone(parse_study(folder.resolved_yaml()), tmp_path)
    small.assert_nothing_lost_or_doubled(folder, whole, troubled.tracking)


def fill(path: Path) -> None:
    """Writes until nothing more fits."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(2**20)):
            pass
        while file.write(b"x"):
            pass


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
