"""What `hpstudy stop` refuses; that it stops a study is in `execution/test_faults.py`."""

import socket
import subprocess
import sys
from pathlib import Path

from hpstudy.record import StudyFolder, lock_holder


def stop(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hpstudy", "stop", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


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
