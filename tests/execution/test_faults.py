"""A study under faults on a Ray of two nodes: real processes killed, stopped and hung, a real disk filled."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hpstudy.record import StudyFolder
from hpstudy.tracking import serve
from hpstudy.workflow import open_results

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(600)]

RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
Finished = tuple[Path, dict[str, object]]


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A head and a second node, of one CPU each."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in RAY.items():
            patch.setenv(name, value)
        cluster = started_head()
        try:
            cluster.second = cluster.add_node(num_cpus=1)
            yield cluster
        finally:
            cluster.shutdown()


def started_head() -> Any:
    """A cluster of its head; Ray gives a node 30 s to start, which a busy machine may not keep the first time."""
    from ray.cluster_utils import Cluster

    arguments = {"num_cpus": 1, "include_dashboard": False}
    try:
        return Cluster(initialize_head=True, head_node_args=arguments)
    except Exception:
        return Cluster(initialize_head=True, head_node_args=arguments)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture
def joining(cluster: Any) -> dict[str, str]:
    """The environment of a driver that joins the cluster."""
    return {**RAY, "RAY_ADDRESS": cluster.address}


def has_checkpoints(folder: StudyFolder, count: int) -> Callable[[], bool]:
    """Whether that many running trials have something to continue from."""
    return lambda: len(list((folder.path / "checkpoints").glob("*/a001/epoch-*.pt"))) >= count


def checkpoints(folder: StudyFolder) -> list[Path]:
    """All that a trial can be continued from."""
    return list((folder.path / "checkpoints").glob("*/a*/epoch-*.pt"))


def kill(node: Any) -> None:
    """SIGKILL to all processes of a node."""
    for processes in node.all_processes.values():
        for each in processes:
            each.process.kill()
            each.process.wait()


def test_a_killed_driver_and_a_lost_node_cost_no_number(
    small: ModuleType,
    finished: Finished,
    study_file: Path,
    home: Path,
    tmp_path: Path,
    cluster: Any,
    joining: dict[str, str],
) -> None:
    folder, log = StudyFolder(home, "small"), tmp_path / "log"
    with small.running("run", str(study_file), "--home", str(home), env=joining, log=log) as driver:
        small.wait_for(driver, has_checkpoints(folder, 1))
        driver.kill()
        driver.wait()
        with small.running("resume", "small", "--home", str(home), env=joining, log=log) as successor:
            small.wait_for(successor, lambda: len({path.parent for path in checkpoints(folder)}) >= 2)
            kill(cluster.second)
            cluster.remove_node(cluster.second)
            known = len(folder.finished_trials())
            small.wait_for(successor, lambda: len(folder.finished_trials()) > known)
            cluster.second = cluster.add_node(num_cpus=1)
            assert successor.wait(300) == 0, log.read_text()
    small.assert_nothing_lost_or_doubled(home, finished[0])
    assert "Continue with: hpstudy resume small" in log.read_text()
    assert "Trials did not complete" not in log.read_text()
    assert [session["nodes"] for session in folder.sessions()] == ["2", "2"]


def test_a_lost_head_ends_the_driver_in_order_and_a_stopped_worker_is_taken_for_hung(
    small: ModuleType, finished: Finished, home: Path, tmp_path: Path
) -> None:
    """A stopped process hangs in the strictest sense: none of its threads runs."""
    impatient = tmp_path / "small.yaml"
    impatient.write_text(small.STUDY.replace("max_parallel: 2", "max_parallel: 2, heartbeat_minutes: 0.2"))
    folder, log = StudyFolder(home, "small"), tmp_path / "log"
    with two_nodes() as doomed:
        env = {**RAY, "RAY_ADDRESS": doomed.address}
        with small.running("run", str(impatient), "--home", str(home), env=env, log=log) as driver:
            small.wait_for(driver, has_checkpoints(folder, 1))
            kill(doomed.head_node)
            assert driver.wait(120) != 0
    wait_until(lambda: f"Continue with: hpstudy resume small --home {home}" in log.read_text())
    assert len(folder.finished_trials()) < small.TRIALS
    with small.running("resume", "small", "--home", str(home), log=log) as driver:
        small.wait_for(driver, lambda: len(small.trial_workers(driver.pid)) == 2)
        known = {*checkpoints(folder)}
        small.wait_for(driver, lambda: len({path.parent for path in checkpoints(folder) if path not in known}) >= 2)
        os.kill(small.trial_workers(driver.pid)[0], signal.SIGSTOP)
        assert driver.wait(300) == 0, log.read_text()
    assert "made no progress for resources.heartbeat_minutes: 0.2; its worker is ended" in log.read_text()
    small.assert_nothing_lost_or_doubled(home, finished[0])


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


def test_a_trial_that_takes_too_long_fails_and_the_study_goes_on(small: ModuleType, home: Path, tmp_path: Path) -> None:
    (tmp_path / "their_losses.py").write_text(
        "import time\n"
        "from hpstudy.losses import build_head\n"
        "def stuck(num_classes, embedding_dim, s, generator=None):\n"
        "    head = build_head('normface', num_classes=num_classes, embedding_dim=embedding_dim, s=s)\n"
        "    whole, calls = head.forward, iter(range(10**9))\n"
        "    def forward(*given):\n"
        "        if s > 20 and next(calls) == 20:\n"
        "            time.sleep(3600)\n"
        "        return whole(*given)\n"
        "    head.forward = forward\n"
        "    return head\n"
    )
    file = tmp_path / "stuck.yaml"
    file.write_text(
        small.STUDY.replace("name: small", "name: stuck")
        .replace("cosface: {loss: cosface, search:", "theirs: {loss: 'their_losses:stuck', grid:")
        .replace("{s: {log: [2, 64]}, m: {linear: [0, 0.6]}}}", "{s: [8, 32]}}")
        .replace("  normface: {loss: normface, search: {s: {log: [2, 64]}}}\n", "")
        .replace("max_parallel: 2", "max_parallel: 2, max_trial_minutes: 0.2")
    )  # fmt: skip
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    log = tmp_path / "log"
    with small.running("run", str(file), "--home", str(home), env=env, log=log) as driver:
        assert driver.wait(300) == 0, log.read_text()
    trials = open_results("stuck", home).trials.set_index("trial_id")
    failed = trials[trials["status"] == "failed"]
    assert list(failed.index) == ["theirs.default.grid.s0.001"]
    assert "more than resources.max_trial_minutes: 0.2" in failed["cause"].iloc[0]
    assert failed["epochs"].iloc[0] == 2, "what it had trained before it hung is kept"
    assert len(StudyFolder(home, "stuck").trajectory(failed.index[0])) > 0
    assert len(trials) == 2 + 2 * 2


def test_a_full_disk_stops_the_study_in_order(
    small: ModuleType, finished: Finished, study_file: Path, template: Path, tmp_path: Path, disk: Path
) -> None:
    folder, log = StudyFolder(small.furnish(disk, template), "small"), tmp_path / "log"
    with small.running("run", str(study_file), "--home", str(disk), log=log) as driver:
        small.wait_for(driver, has_checkpoints(folder, 1))
        fill(disk / "everything-else")
        assert driver.wait(180) == 1, log.read_text()
    assert f"the disk of {disk} is full" in log.read_text()
    assert "a study needs at least 64" in log.read_text()
    assert f"hpstudy resume small --home {disk}" in log.read_text()
    assert "Traceback" not in log.read_text()
    (disk / "everything-else").unlink()
    small.hpstudy("resume", "small", "--home", str(disk), "--no-report")
    small.assert_nothing_lost_or_doubled(disk, finished[0])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting a file system needs root: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(path: Path) -> None:
    """Writes until nothing more fits."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(2**20)):
            pass
        while file.write(b"x"):
            pass


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


def test_an_mlflow_server_that_dies_and_comes_back_misses_nothing(
    small: ModuleType, finished: Finished, study_file: Path, home: Path, template: Path, tmp_path: Path
) -> None:
    folder, log, away = StudyFolder(home, "small"), tmp_path / "log", tmp_path / "tracking"
    server = serve(small.furnish(away, template), port=0)
    port = int(server.url.rpartition(":")[2])
    env = {"MLFLOW_TRACKING_URI": server.url}
    with small.running("run", str(study_file), "--home", str(home), env=env, log=log) as driver:
        small.wait_for(driver, lambda: len(folder.finished_trials()) >= 2)
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        small.wait_for(driver, lambda: len(folder.finished_trials()) >= 6)
        with serve(away, port=port):
            assert driver.wait(300) == 0, log.read_text()
    assert "MLflow is away" in log.read_text()
    trials = open_results("small", home).trials
    assert len(trials) == small.TRIALS
    runs, whole = small.mlflow_runs(away), small.mlflow_runs(finished[0])
    assert runs.keys() == whole.keys()
    assert {trial: runs[trial] for trial in trials["trial_id"]} == {trial: whole[trial] for trial in trials["trial_id"]}


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
