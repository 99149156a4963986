"""Reaching a cluster's job server, what is sent to it, and what is refused."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import ray

import hpstudy
from hpstudy.exceptions import HpstudyError, InputError, StudyConflictError, StudyFileError
from hpstudy.execution import StudyJobs, cluster_address, resume_shipment, study_shipment
from hpstudy.execution._jobs import _Lines

STUDY = """
version: 1
name: small
question: Is it sent whole?
data: {identities: {train: 24, val: 16, test: 20}}
arms: {adacos: {loss: adacos}}
search: {objective: val/tar_at_far_1e-2}
"""
FOLDER = STUDY.replace("data: {", "data: {source: folder, path: PATH, ")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "my study.yaml"
        path.write_text(text)
        return path

    return write


class FakeHead:
    """A job server that answers what it is told to."""

    def __init__(self) -> None:
        self.version = ray.__version__
        self.status = 200
        self.body: bytes | None = None
        self.jobs: list[dict[str, object]] = []
        self.posted: list[dict[str, object]] = []
        head = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer: object = head.jobs
                if self.path == "/api/version":
                    answer = {"version": "4", "ray_version": head.version, "ray_commit": "", "session_name": ""}
                self._answer(json.dumps(answer).encode() if head.body is None else head.body)

            def do_POST(self) -> None:
                head.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(b"{}")

            def _answer(self, body: bytes) -> None:
                self.send_response(head.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def head() -> Iterator[FakeHead]:
    head = FakeHead()
    thread = threading.Thread(target=head.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield head
    head.server.shutdown()
    head.server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


def job(number: int, status: str, *, home: str = "", study: str = "small") -> dict[str, object]:
    return {
        "type": "SUBMISSION",
        "submission_id": f"hpstudy-{study}-{number}",
        "status": status,
        "entrypoint": "x",
        "metadata": {"study": study, "home": home},
    }


def test_another_ray_is_refused_before_anything_is_sent(head: FakeHead, write: Callable[[str], Path]) -> None:
    head.version = "2.7.1"
    with pytest.raises(
        InputError, match=rf"{head.url} runs Ray 2\.7\.1, and this is Ray {ray.__version__}: use the same"
    ):
        StudyJobs(head.url)
    assert head.posted == []


def test_another_patch_of_ray_will_do(head: FakeHead) -> None:
    head.version = ".".join([*ray.__version__.split(".")[:2], "99"])
    assert StudyJobs(head.url).url == head.url


@pytest.mark.parametrize(("status", "body"), [(404, b"{}"), (200, b"<html>hello</html>"), (200, b"{}"), (502, b"{}")])
def test_another_server_is_told_from_a_cluster(head: FakeHead, status: int, body: bytes) -> None:
    head.status, head.body = status, body
    with pytest.raises(HpstudyError, match=f"answers at {head.url} is not the dashboard of a Ray cluster") as told:
        StudyJobs(head.url)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_asked_for_is_told_of(head: FakeHead, status: int) -> None:
    head.status = status
    with pytest.raises(HpstudyError, match=r"lets nobody in without its token.*RAY_AUTH_TOKEN_PATH") as told:
        StudyJobs(head.url)
    assert "\n" not in str(told.value)


def test_a_head_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}", f"127.0.0.1:{port}", "http://no-such-host.invalid:8265", "head"):
        with pytest.raises(HpstudyError, match=f"no Ray cluster answers at {address}: is the head running") as told:
            StudyJobs(address)
        assert not isinstance(told.value, InputError)


def test_a_silent_head_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpstudy.execution._cluster.CONNECT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(HpstudyError, match=f"no Ray cluster answers at {url}"):
            StudyJobs(url)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("address", ["ray://head:10001", "ftp://head", "http://", "anyscale://x"])
def test_an_address_of_another_kind_is_refused(address: str) -> None:
    with pytest.raises(InputError, match=f"--address {address}: jobs go to the dashboard"):
        StudyJobs(address)


def test_the_address_given_beats_the_environment(head: FakeHead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")
    assert cluster_address(None) == "http://127.0.0.1:1"
    assert StudyJobs(cluster_address(head.url)).url == head.url
    assert os.environ["RAY_ADDRESS"] == "http://127.0.0.1:1"
    monkeypatch.delenv("RAY_ADDRESS")
    with pytest.raises(InputError, match="--address http://HEAD:8265"):
        cluster_address(None)


def test_a_study_that_runs_is_not_started_twice(head: FakeHead, write: Callable[[str], Path]) -> None:
    head.jobs = [job(3, "FAILED"), job(4, "RUNNING"), job(9, "RUNNING", study="small-9")]
    with pytest.raises(StudyConflictError, match=r"running as job hpstudy-small-4 .*hpstudy logs -f small --address"):
        StudyJobs(head.url).submit(study_shipment(write(STUDY)))
    assert head.posted == []


def test_jobs_of_a_study_are_told_apart(head: FakeHead) -> None:
    head.jobs = [
        {"type": "DRIVER", "status": "RUNNING", "entrypoint": "x", "job_id": "01000000"},
        *(job(number, "FAILED") for number in (1, 2, 10, 9)),
        job(3, "RUNNING", home="/a"),
        job(1, "SUCCEEDED", study="other"),
    ]
    jobs = StudyJobs(head.url)
    assert jobs.last("small").number == 3
    assert jobs.last("small", "").number == 10
    with pytest.raises(InputError, match=r"no job of study 'mine' is known at .* \(studies there: other, small\)"):
        jobs.last("mine")
    head.jobs.append(job(11, "PENDING", home="/b"))
    with pytest.raises(InputError, match="running in several homes"):
        jobs.last("small")
    assert jobs.last("small", "/b").state == "pending"
    assert jobs.known("mine") is None


def test_a_file_with_mistakes_is_not_sent(write: Callable[[str], Path]) -> None:
    with pytest.raises(StudyFileError, match="nam"):
        study_shipment(write(STUDY.replace("name:", "nam:")))


def test_data_are_not_sent_so_their_paths_are_absolute(write: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match=r"must be absolute there, but got faces/train$"):
        study_shipment(write(FOLDER.replace("PATH", "faces/train")))
    shipment = study_shipment(write(FOLDER.replace("PATH", "/data/faces")))
    assert shipment.file is not None
    assert "/data/faces" in shipment.file[1]
    assert shipment.sha256 == hpstudy.parse_study(shipment.file[1]).sha256


@pytest.mark.parametrize("home", ["runs", "~/runs", "./runs"])
def test_a_home_is_a_place_on_the_cluster(home: str) -> None:
    with pytest.raises(InputError, match=f"--home {home}: the home of a study on a cluster is an absolute path"):
        resume_shipment("small", home=home)


def test_what_is_sent(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-secret-token-that-stays-here")
    path = write(STUDY)
    plain = study_shipment(path, home="s3://bucket/studies")
    with plain.packed() as environment:
        assert "py_modules" not in environment
        assert Path(environment["working_dir"], path.name).read_text() == STUDY
        assert environment["env_vars"] == {"RAY_JOB_STOP_WAIT_TIME_S": "60"}
        assert "secret" not in json.dumps([environment, plain.metadata(), plain.entrypoint("http://h")])
    assert not Path(environment["working_dir"]).exists()
    with study_shipment(path, install=True).packed() as environment:
        [package] = environment["py_modules"]
        assert Path(package, "reporting", "templates").is_dir()
        assert not list(Path(package).rglob("__pycache__"))


def launched(folder: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, shell=True, cwd=folder, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


def told(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a refusal, which is told to people and to programs alike."""
    assert done.returncode == 2, done.stderr
    [entry] = json.loads(done.stdout)["errors"]
    assert done.stderr == f"hpstudy: {entry['message']}\n"
    return str(entry["message"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"python": "3.9"}, "the cluster at http://h runs Python"),
        ({"hpstudy": "9.9"}, f"has hpstudy {hpstudy.__version__}, and this is 9.9: submit with --install"),
        (
            {"needs": ["torch>=99", "no-such-thing>=1", "numpy"]},
            r"not installed on the cluster at http://h: torch>=99 \(it has .*\), no-such-thing",
        ),
    ],
)
def test_the_launcher_refuses_what_cannot_run(given: dict[str, object], message: str) -> None:
    shipment = resume_shipment("small")
    words = shlex.split(shipment.entrypoint("http://h"))
    argument = json.dumps(json.loads(words[-1]) | given)
    with shipment.packed() as environment:
        done = launched(environment["working_dir"], shlex.join([sys.executable, words[-2], argument]))
    assert re.search(message, told(done))


def test_the_driver_takes_the_place_of_the_launcher(tmp_path: Path) -> None:
    shipment = resume_shipment("small")
    with shipment.packed() as environment:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = launched(
            environment["working_dir"], shipment.entrypoint("http://h"), PATH=path, HPSTUDY_HOME="", HOME=str(tmp_path)
        )
    first, last = done.stdout.splitlines()
    assert json.loads(first.removeprefix("hpstudy-job ")) == {
        "host": socket.gethostname(),
        "home": f"{tmp_path}/hpstudy-runs",
    }
    assert f"there is no study 'small' in {tmp_path}/hpstudy-runs" in json.loads(last)["errors"][0]["message"]
    assert done.returncode == 2


def test_a_log_that_is_sent_again_is_told_once() -> None:
    lines: list[str] = []
    log = _Lines(lines.append)
    for text in ("one\ntw", "o\nthr"):
        log.feed(text)
    log.rewind()
    for text in ("one\n", "two\nthree", "\nfour"):
        log.feed(text)
    assert lines == ["one", "two", "three"]
    log.end()
    assert lines == ["one", "two", "three", "four"]
