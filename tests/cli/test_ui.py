"""`hpstudy ui` as others reach it: a real server on every address of this machine, asked through loopback."""

import base64
import os
import re
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import hpstudy.tracking as tracking
from hpstudy.cli import app
from hpstudy.cli._ui import _has_display
from hpstudy.exceptions import InputError

USER, PASSWORD = "me", "correct horse battery"
ASKED = "/api/2.0/mlflow/experiments/search?max_results=1"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, furnished: Callable[[Path], Path]) -> Path:
    home = furnished(tmp_path_factory.mktemp("home"))
    (home / "toy").mkdir()
    (home / "toy" / "study.yaml").write_text("version: 1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracking.MlflowTracker(home, "toy", "Why?", "5ead", "version: 1\n", arms=("cosface",)).start()
    return home


@pytest.fixture(scope="module")
def told(home: Path) -> Iterator[str]:
    """What the program says once its server answers."""
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    environment |= {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    words = ["ui", "toy", "--home", str(home), "--port", "0", "--host", "0.0.0.0", "--allowed-hosts", "node1,my.lan"]
    with subprocess.Popen(
        [sys.executable, "-m", "hpstudy", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as program:
        try:
            assert program.stdout is not None
            lines = []
            for line in program.stdout:
                lines.append(line)
                if "my.lan" in line:
                    break
            yield "".join(lines)
        finally:
            program.send_signal(signal.SIGINT)
            rest, _ = program.communicate(timeout=30)
    assert program.returncode == 0
    assert PASSWORD not in "".join(lines) + rest


@pytest.fixture
def base(told: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", told)
    assert found, told
    return found.group()


def status(base: str, path: str = ASKED, *, password: str | None = None, host: str | None = None) -> int:
    request = urllib.request.Request(base + path)
    if password is not None:
        shown = base64.b64encode(f"{USER}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {shown}")
    if host is not None:
        request.add_header("Host", host)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_only_the_account_is_let_in(base: str) -> None:
    assert status(base) == 401
    assert status(base, "/") == 401
    assert status(base, password="another password") == 401
    assert status(base, password=PASSWORD) == 200
    assert status(base, "/", password=PASSWORD) == 200


def test_only_the_named_hosts_are_served(base: str, told: str) -> None:
    port = base.rpartition(":")[2]
    assert status(base, password=PASSWORD, host=f"node1:{port}") == 200
    assert status(base, password=PASSWORD, host=f"elsewhere:{port}") == 403
    assert f"http://node1:{port}" in told


def test_what_it_keeps_is_the_owners(base: str, home: Path) -> None:
    folder = home / "mlflow-auth"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("basic_auth.ini", "secret_key"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    kept = b"".join(path.read_bytes() for path in [*folder.iterdir(), home / "mlflow-server.log"])
    assert PASSWORD.encode() not in kept


def test_a_server_that_shows_the_runs_already(base: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", base)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    done = CliRunner().invoke(app, ["ui", "toy", "--home", str(home)])
    assert done.exit_code == 0, done.output
    assert f"MLflow UI at {base}/#/experiments/1/runs?" in done.output


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ({"MLFLOW_TRACKING_USERNAME": USER}, r"set MLFLOW_TRACKING_PASSWORD \(a password of at least 12 characters\)"),
        ({"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": "short"}, "5 characters; .* at least 12"),
        ({"MLFLOW_TRACKING_USERNAME": "a:b", "MLFLOW_TRACKING_PASSWORD": PASSWORD}, "contain a colon"),
    ],
)
def test_an_open_address_needs_an_account(given: dict[str, str], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=complaint):
        tracking.account_from(given)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_TRACKING")}
    done = CliRunner().invoke(
        app, ["ui", "--home", str(tmp_path), "--host", "0.0.0.0"], env=dict.fromkeys(os.environ) | environment | given
    )
    assert isinstance(done.exception, InputError)
    assert list(tmp_path.iterdir()) == []


def test_an_account_does_not_show_its_password() -> None:
    assert PASSWORD not in repr(tracking.Account(USER, PASSWORD))


def test_without_a_display_there_is_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    assert not _has_display()
    monkeypatch.setenv("DISPLAY", ":0")
    assert _has_display()
