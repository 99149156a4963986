import json
import os
import signal
import socket
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import hpstudy.tracking as tracking
from hpstudy.exceptions import HpstudyError, InputError
from hpstudy.tracking._server import _signals_held


def processes_in_group(group: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, number = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(number) == group and state != "Z":
                found.append(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="counts processes in /proc")
def test_a_real_server(
    home: Path, row: dict[str, Any], frames: tuple[pd.DataFrame, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    local = tracking.MlflowTracker(home, "served", "Why?", "5ead", "version: 1\n")
    local.trial_finished(row, lambda row: (*frames, {}))
    with tracking.serve(home, port=0) as server:
        group = server._process.pid
        assert processes_in_group(group)
        url = tracking.prepare_study_page(server.url + "/", "served")
        assert url.startswith(server.url + "/#/experiments/")
        with pytest.raises(InputError, match="no study 'absent'"):
            tracking.prepare_study_page(server.url, "absent")
        experiment_id = url.split("/")[-2]
        body = json.dumps({"experiment_ids": [experiment_id], "filter": "tags.arm = 'cosface'"}).encode()
        request = urllib.request.Request(
            f"{server.url}/api/2.0/mlflow/runs/search", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            names = {run["info"]["run_name"] for run in json.load(answer)["runs"]}
        assert names == {"cosface", "cosface #07 s=31.2 m=0.28 lr=0.1"}

        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        with pytest.raises(InputError, match="open that address"):
            tracking.ui_command(home)
        # As a study delivers, with retries: a busy server now and then answers 400 on a connection that it kept.
        made = tracking.MlflowTracker(home, "remote", "Why?", "5ead", "version: 1\n")
        remote = tracking.BackgroundTracker(lambda: made, first_delay=0.1)
        artifact = server.log
        remote.trial_finished({**row, "attempt": 1}, lambda row: (*frames, {"server.log": artifact}))
        assert remote.delivered() == {row["trial_id"]}
        assert remote.close() == ()
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
        assert list((home / "mlartifacts").rglob("server.log"))

        port = server.port
        with pytest.raises(InputError, match=f"port {port} on 127.0.0.1 cannot be used"):
            tracking.serve(home, port=port)
    assert not server.is_alive()
    assert processes_in_group(group) == []
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError, match="refused"):
        probe.connect(("127.0.0.1", port))
    server.stop()


def test_only_loopback_without_an_account(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"loopback only, but got host '0\.0\.0\.0'"):
        tracking.serve(tmp_path, "0.0.0.0", 0)
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path: Path) -> None:
    command = tracking.ui_command(tmp_path, 5055, "0.0.0.0", allowed_hosts=["node1"])
    assert command[:4] == [sys.executable, "-m", "mlflow", "server"]
    assert command[command.index("--workers") + 1] == "1"
    assert command[command.index("--backend-store-uri") + 1] == f"sqlite:///{tmp_path}/mlflow.db"
    hosts = command[command.index("--allowed-hosts") + 1].split(",")
    assert {"node1", "node1:5055", "127.0.0.1:5055"} <= {*hosts}
    origins = command[command.index("--cors-allowed-origins") + 1].split(",")
    assert {"http://node1:5055", "https://node1"} <= {*origins}


def test_a_server_that_ends_tells_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> list[str]:
        return [sys.executable, "-c", "import sys; sys.exit('schema is out of date')"]

    monkeypatch.setattr("hpstudy.tracking._server.ui_command", failing)
    with pytest.raises(HpstudyError, match="schema is out of date"):
        tracking.serve(home, port=0)
    assert os.path.exists(home / "mlflow-server.log")


def test_a_signal_during_the_start_is_delivered_after_it() -> None:
    before = signal.getsignal(signal.SIGINT)
    reached = []

    def start() -> None:
        with _signals_held():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end of the block")

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        start()
    assert reached
    assert signal.getsignal(signal.SIGINT) is before
