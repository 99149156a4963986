"""`hpstudy stop` on the machine that runs the study."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from hpstudy.record import StudyFolder, lock_holder

STUDY = """
version: 1
name: small
question: Does it end in order?
data: {identities: {train: 24, val: 16, test: 20}}
model: {width: 4, embedding_dim: 32}
training: {epochs: 400, batch_size: 32, optimizer: {name: sgd, lr: 0.1}}
arms: {adacos-dynamic: {loss: adacos}}
search: {objective: val/tar_at_far_1e-2}
confirm: {seeds: 2, equivalence_margin: 0.02}
"""


def stop(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hpstudy", "stop", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.end_to_end
def test_a_driver_is_stopped_in_order(small: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(STUDY)
    folder = StudyFolder(tmp_path, "small")
    command = [sys.executable, "-m", "hpstudy", "run", str(path), "--home", str(tmp_path)]
    with (tmp_path / "log").open("wb") as output:
        driver = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + 90
            while not list((folder.path / "checkpoints").glob("*/*/epoch-*.pt")):
                assert driver.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert lock_holder(folder.path) == (driver.pid, socket.gethostname())
            done = stop("small", "--home", str(tmp_path), "--json")
            assert done.returncode == 0, done.stderr
            assert driver.wait(30) == 130, (tmp_path / "log").read_text()
        finally:
            driver.kill()
            driver.wait()
    assert json.loads(done.stdout) == {"study": "small", "home": str(tmp_path), "state": "stopped"}
    assert done.stderr == f"small: stopped; continue with: hpstudy resume small --home {tmp_path}\n"
    told = (tmp_path / "log").read_text()
    assert "Interrupted with 0 of 2 trials done." in told
    assert f"Continue with: hpstudy resume small --home {tmp_path}" in told
    assert "Traceback" not in told
    assert not folder.is_running()
    assert "RUNNING" not in {status for status, _ in small.mlflow_runs(tmp_path).values()}
    again = stop("small", "--home", str(tmp_path))
    assert again.returncode == 2
    assert f"study 'small' is not running in {tmp_path}; name a cluster" in again.stderr


def test_a_study_that_is_not_there(tmp_path: Path) -> None:
    done = stop("small", "--home", str(tmp_path))
    assert done.returncode == 2
    assert "there is no study 'small'" in done.stderr


def test_a_driver_on_another_host_is_left_alone(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path, "small")
    folder.begin("name: small\n")
    with folder.lock:
        (folder.path / "lock").write_text("process 1 on elsewhere\n")
        done = stop("small", "--home", str(tmp_path))
    assert done.returncode == 2
    assert f"study 'small' is being run on elsewhere, and this is {socket.gethostname()}: stop it there" in done.stderr
    (folder.path / "lock").write_text("")
    assert lock_holder(folder.path) is None
