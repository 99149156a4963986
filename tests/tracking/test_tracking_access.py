"""Servers that ask for credentials, refuse a host name, or are none."""

import json
import logging
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

import hpstudy.tracking as tracking
from hpstudy.tracking._environment import MLFLOW_ENVIRONMENT
from hpstudy.tracking._refusals import silence

ADMIN, READER = ("admin", "of-the-tests-alone"), ("reader", "reads-and-no-more")


def ask(url: str, action: str, user: tuple[str, str], **given: str) -> Any:
    headers = {
        "Content-Type": "application/json",
        "Authorization": "Basic " + b64encode(":".join(user).encode()).decode(),
    }
    request = urllib.request.Request(f"{url}/api/2.0/mlflow/{action}", json.dumps(given).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, furnished: Callable[[Path], Path]) -> Iterator[str]:
    """The address of a server with basic authentication and two users, of whom one may read only."""
    pytest.importorskip("flask_wtf", reason="MLflow's own authentication needs mlflow[auth]")
    home = furnished(tmp_path_factory.mktemp("guarded"))
    (home / "basic_auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{home}/users.db\nadmin_username = admin\n"
        f"admin_password = {ADMIN[1]}\nauthorization_function = "
        "mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        "MLFLOW_AUTH_CONFIG_PATH": str(home / "basic_auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of-the-tests-alone",
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*tracking.ui_command(home, port), "--app-name", "basic-auth"],
            stdout=log,
            stderr=log,
            env=os.environ | MLFLOW_ENVIRONMENT | environment,
            start_new_session=True,
        )
    handle = tracking.ServerHandle(process, url, home / "log")
    with handle:
        deadline = time.monotonic() + 120
        while True:
            assert handle.is_alive(), (home / "log").read_text()
            assert time.monotonic() < deadline, (home / "log").read_text()
            try:
                ask(url, "users/create", ADMIN, username=READER[0], password=READER[1])
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        yield url


@pytest.fixture
def sign_in(guarded: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    def sign(user: tuple[str, str] | None) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", guarded)
        monkeypatch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)
        for name, value in zip(("USERNAME", "PASSWORD"), user or ("", ""), strict=True):
            monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)

    return sign


def tracker_of(home: Path, name: str = "guarded") -> tracking.MlflowTracker:
    return tracking.MlflowTracker(home, name, "Why?", "5ead", "version: 1\n")


def test_credentials_are_asked_for_before_the_first_trial(
    sign_in: Any, tmp_path: Path, row: dict[str, Any], frames: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(None)
    with pytest.raises(tracking.TrackingRefusedError, match=r"asks for credentials \(401\): set MLFLOW_TRACKING_USER"):
        tracking.check_access(tmp_path, "guarded")
    sign_in(("admin", "wrong"))
    with pytest.raises(tracking.TrackingRefusedError, match=r"credentials of user 'admin' \(401\)"):
        tracking.check_access(tmp_path, "guarded")
    with pytest.raises(tracking.TrackingRefusedError, match=r"credentials of user 'admin' \(401\)"):
        tracker_of(tmp_path).start()
    sign_in(None)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "wrong")
    with pytest.raises(tracking.TrackingRefusedError, match=r"credentials of the token \(401\)"):
        tracking.check_access(tmp_path, "guarded")

    sign_in(ADMIN)
    tracking.check_access(tmp_path, "guarded")
    (tmp_path / "t").write_text("steps")
    tracker = tracker_of(tmp_path)
    tracker.start()
    tracker.trial_finished(row, lambda row: (*frames, {"trajectory.parquet": tmp_path / "t"}))
    assert tracker.delivered() == {row["trial_id"]}
    tracking.check_access(tmp_path, "guarded")

    sign_in(READER)
    tracking.check_access(tmp_path, "a study of their own")
    with pytest.raises(tracking.TrackingRefusedError, match=r"does not permit this to user 'reader' \(403\)"):
        tracking.check_access(tmp_path, "guarded")
    with pytest.raises(tracking.TrackingRefusedError, match=r"does not permit this to user 'reader' \(403\)"):
        tracker_of(tmp_path).start()


def test_credentials_that_end_in_the_middle_are_waited_for(
    sign_in: Any, tmp_path: Path, row: dict[str, Any], frames: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sign_in(ADMIN)
    background = tracking.BackgroundTracker(lambda: tracker_of(tmp_path, "middle"), first_delay=0.05, max_delay=0.2)
    background.start()
    assert background.delivered() == set()
    sign_in(("admin", "changed"))
    with caplog.at_level(logging.INFO, "hpstudy.tracking"):
        background.trial_finished(row, lambda row: (*frames, {}))
        deadline = time.monotonic() + 60
        while not caplog.records:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        sign_in(ADMIN)
        assert background.delivered() == {row["trial_id"]}
    assert background.close() == ()
    told = [record.message for record in caplog.records]
    assert [message.partition(";")[0] for message in told] == ["MLflow refuses", "MLflow is back"]
    assert "correct MLFLOW_TRACKING_USERNAME" in told[0]


def test_a_password_in_the_address_is_not_told(guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", guarded.replace("//", "//admin:secret@"))
    with pytest.raises(tracking.TrackingRefusedError) as refused:
        tracking.check_access(tmp_path, "guarded")
    assert "secret" not in str(refused.value)
    assert guarded in str(refused.value)


def test_a_host_name_that_is_not_allowed(
    guarded: str, proxies: ModuleType, sign_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(ADMIN)
    with proxies.passing_on(int(guarded.rpartition(":")[2])) as proxy:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.url)
        proxy.headers = {"Host": "tracking.example:5000"}
        with pytest.raises(tracking.TrackingRefusedError, match=r"under that host name \(403, .*--allowed-hosts"):
            tracking.check_access(tmp_path, "guarded")
        with pytest.raises(tracking.TrackingRefusedError, match="--allowed-hosts"):
            tracker_of(tmp_path).start()


@pytest.mark.parametrize(("status", "told"), [(404, "(404)"), (200, "(200)"), (405, "(405)")])
def test_what_is_no_mlflow_server(
    status: int, told: str, proxies: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxies.passing_on(9) as proxy:
        proxy.answer = status, b"<!doctype html><title>Welcome</title>"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.url)
        for call in (lambda: tracking.check_access(tmp_path, "any"), tracker_of(tmp_path).start):
            with pytest.raises(tracking.TrackingRefusedError, match="not as an MLflow server does") as refused:
                call()
            assert told in str(refused.value)
            assert "\n" not in str(refused.value)


def test_a_gateway_without_a_server_behind_it_is_an_outage(
    proxies: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with proxies.passing_on(9) as proxy:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.url)
        for proxy.answer in ((502, b"<h1>Bad Gateway</h1>"), (400, b"Invalid HTTP request received.")):
            with pytest.raises(tracking.TrackingUnavailableError, match="does not answer") as away:
                tracker_of(tmp_path).start()
            assert not isinstance(away.value, tracking.TrackingRefusedError)


def test_a_server_that_is_away_or_slow_passes_the_check(
    proxies: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    began = time.monotonic()
    tracking.check_access(tmp_path, "any")
    with proxies.passing_on(9) as proxy:
        proxy.gate.clear()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.url)
        tracking.check_access(tmp_path, "any", timeout=0.2)
        assert proxy.requests
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    tracking.check_access(tmp_path, "any")
    assert time.monotonic() - began < 5.0


def test_silence_in_words() -> None:
    def raised(cause: BaseException) -> BaseException:
        try:
            try:
                raise cause
            except BaseException as error:
                raise RuntimeError("API request failed") from error
        except RuntimeError as error:
            return error

    assert silence(raised(socket.gaierror(-2, "Name or service not known"))) == "its host name is not known"
    assert silence(raised(TimeoutError("timed out"))) == "no answer in time"
    assert silence(raised(ConnectionRefusedError(111, "Connection refused"))) == "connection refused"
    cut = requests.exceptions.ConnectionError("Connection aborted.", ConnectionResetError("without response"))
    assert silence(raised(cut)) == "the connection was cut"
    assert silence(raised(ValueError("at http://user:secret@host\nmore"))) == "at http://host"
