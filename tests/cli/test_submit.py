"""Studies on real Ray clusters: submitted, left, re-joined, stopped, killed and continued."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import hpstudy as package
from hpstudy.record import StudyFolder

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(560)]

STUDY = """
version: 1
name: small
question: Does a searched s beat AdaCos on a toy?
data: {identities: {train: 24, val: 16, test: 20}}
model: {width: 4, embedding_dim: 32}
training: {epochs: 12, steps_per_epoch: 30, batch_size: 32, optimizer: {name: sgd, lr: 0.1}}
arms:
  normface: {loss: normface, search: {s: {log: [2, 64]}}}
  adacos-dynamic: {loss: adacos}
search: {objective: val/tar_at_far_1e-2, trials: 3, early_stopping: {kind: none}}
confirm: {seeds: 2, equivalence_margin: 0.02}
resources: {gpus: 0}
"""
TRIALS = 3 + 2 * 2


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "hpstudy", *words]


def environment(**changes: str) -> dict[str, str]:
    merged = {**os.environ, "RAY_AUTH_MODE": "disabled", **changes}
    return {name: value for name, value in merged.items() if value}


def hpstudy(*words: str, expect: int = 0, **changes: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*words), capture_output=True, text=True, timeout=270, check=False, env=environment(**changes)
    )
    assert done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    [line] = done.stdout.splitlines()
    return dict(json.loads(line))


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a command refuses with, after what it may have told before."""
    assert "Traceback" not in done.stderr
    [*_, line] = done.stderr.splitlines()
    assert line.startswith("hpstudy: ")
    return line


def await_that(condition: Callable[[], object], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not get there in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("studies") / "small.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has all that hpstudy needs, and not hpstudy."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    [site] = folder.glob("lib/python*/site-packages")
    # Such files in a folder that is named in one are not read, and one of those is what installs hpstudy.
    (site / "all-else.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def cluster(clusters: ModuleType, bare_python: Path) -> Iterator[Any]:
    """Two nodes of one CPU each, without hpstudy."""
    bare = {"PYTHONPATH": "", "RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "", "HPSTUDY_HOME": ""}
    with clusters.local_cluster(nodes=2, cpus=1, python=bare_python, environment=bare) as cluster:
        yield cluster
    assert not cluster.processes()


@dataclass
class Submitted:
    """The study that most tests are about; they are its story, in order."""

    home: Path
    where: tuple[str, ...]
    ended: subprocess.CompletedProcess[str] | None = None
    """The command that saw its end."""

    @property
    def folder(self) -> StudyFolder:
        """Its record."""
        return StudyFolder(self.home, "small")

    @property
    def hint(self) -> str:
        """How commands are told where it is."""
        return " ".join(self.where)


@pytest.fixture(scope="module")
def submitted(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Submitted:
    home = tmp_path_factory.mktemp("submitted")
    return Submitted(home, ("--address", cluster.url, "--home", str(home)))


def test_a_cluster_without_hpstudy_says_so(cluster: Any, study_file: Path, tmp_path: Path) -> None:
    done = hpstudy("submit", str(study_file), "--address", cluster.url, "--home", str(tmp_path / "home"), expect=2)
    assert refusal(done) == (
        f"hpstudy: hpstudy is not installed on the cluster at {cluster.url}: submit with --install, or install it "
        f"there (pip install hpstudy=={package.__version__})"
    )
    assert not (tmp_path / "home").exists()


def test_what_a_driver_refuses_arrives_as_one_line(cluster: Any, study_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "gpu.yaml"
    path.write_text(STUDY.replace("gpus: 0", "gpus: 1").replace("name: small", "name: gpu"))
    where = ("--address", cluster.url, "--home", str(tmp_path / "home"), "--install")
    told = hpstudy("submit", str(path), *where, "--json", expect=2)
    [entry] = answer(told)["errors"]
    assert refusal(told) == f"hpstudy: {entry['message']}"
    assert "1 GPU" in entry["message"]
    assert not (tmp_path / "home" / "gpu").exists()


def test_a_study_is_left_rejoined_and_stopped(
    cluster: Any, submitted: Submitted, study_file: Path, tmp_path: Path
) -> None:
    where, log = submitted.where, tmp_path / "log"
    with log.open("wb") as output:
        submitter = subprocess.Popen(
            command("submit", str(study_file), *where, "--install"), stdout=output, stderr=output, env=environment()
        )
        try:
            await_that(lambda: "[0/" in log.read_text() or submitter.poll() is not None)
            submitter.send_signal(signal.SIGINT)
            assert submitter.wait(30) == 130
        finally:
            submitter.kill()
            submitter.wait()
    lines = log.read_text().splitlines()
    assert lines[0].startswith(f"small: submitted to {cluster.url} as job hpstudy-small-")
    assert lines[1].endswith(f", home {submitted.home}")
    assert lines[2] == f"[0/{TRIALS}] {TRIALS} trials, 0 done before"
    assert f"left; the study goes on: hpstudy logs -f small {submitted.hint}" in log.read_text()
    assert "Traceback" not in log.read_text()

    taken = hpstudy("submit", str(study_file), *where, "--install", expect=2)
    assert "study 'small' is running as job hpstudy-small-" in refusal(taken)
    assert answer(hpstudy("status", "small", *where, "--json"))["state"] == "running"
    await_that(lambda: len(submitted.folder.finished_trials()) >= 1)
    follower = subprocess.Popen(
        command("logs", "-f", "small", *where), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment(),
    )  # fmt: skip
    try:
        stopped = hpstudy("stop", "small", *where)
        assert f"small: stopped; continue with: hpstudy resume small {submitted.hint}" in stopped.stdout
        shown, _ = follower.communicate(timeout=60)
    finally:
        follower.kill()
        follower.wait()
    assert follower.returncode == 130
    assert f"[0/{TRIALS}]" in shown
    assert "Interrupted with" in shown, shown
    assert not submitted.folder.is_running()
    assert len(submitted.folder.finished_trials()) < TRIALS
    assert answer(hpstudy("status", "small", *where, "--json"))["state"] == "stopped"


def test_a_study_whose_driver_is_killed_is_resumed_and_followed_to_its_end(cluster: Any, submitted: Submitted) -> None:
    where, folder = submitted.where, submitted.folder
    detached = answer(hpstudy("resume", "small", *where, "-d", "--json"))
    assert detached["state"] in ("pending", "running")
    await_that(lambda: folder.is_running() and len(folder.sessions()) == 2)
    process = int((folder.path / "lock").read_text().split()[1])
    os.kill(process, signal.SIGKILL)
    await_that(lambda: answer(hpstudy("status", "small", *where, "--json"))["state"] == "failed")
    assert (
        "its driver was killed by signal 9; continue with: hpstudy resume" in hpstudy("status", "small", *where).stdout
    )

    before = {path: path.stat().st_mtime_ns for path in (folder.path / "results").glob("*.parquet")}
    done = submitted.ended = hpstudy("resume", "small", *where, "--json")
    told = answer(done)
    assert (told["study"], told["address"], told["home"]) == ("small", cluster.url, str(submitted.home))
    assert (told["state"], len(told["arms"])) == ("finished", 2)
    assert told["trials"]["finished"] == told["trials"]["planned"] == TRIALS
    assert Path(told["report"]).is_file()
    lines = done.stderr.splitlines()
    assert lines[0] == f"small: submitted to {cluster.url} as job {told['job']}"
    assert any(line.startswith(f"[{TRIALS}/{TRIALS}] ") for line in lines)
    assert "ray" not in done.stderr.lower().replace("array", "").replace(str(submitted.home).lower(), "")
    after = {path: path.stat().st_mtime_ns for path in (folder.path / "results").glob("*.parquet")}
    assert before.items() <= after.items(), "a finished trial was run again"
    assert len(after) == TRIALS
    assert [session["nodes"] for session in folder.sessions()] == ["2", "2", "2"]


def test_a_study_that_has_ended_is_shown(submitted: Submitted) -> None:
    done, where = submitted.ended, submitted.where
    assert done is not None
    assert answer(hpstudy("status", "small", *where, "--json")) == answer(done)
    shown = hpstudy("logs", "small", *where).stdout
    assert [line for line in shown.splitlines() if line.startswith("[")] == [
        line for line in done.stderr.splitlines() if line.startswith("[")
    ]
    assert "is not running" in refusal(hpstudy("stop", "small", *where, expect=2))


def test_a_name_that_is_taken(submitted: Submitted, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(STUDY.replace("epochs: 12", "epochs: 17"))
    done = hpstudy("submit", str(path), *submitted.where, "--install", expect=2)
    assert f"hpstudy: study 'small' was begun in {submitted.home}/small with another file" in done.stderr
    assert "epochs: 17" in done.stderr


@pytest.fixture(scope="module")
def guarded(clusters: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """A cluster with a token, which has hpstudy and a home of its own; and the token's file."""
    folder = tmp_path_factory.mktemp("guarded")
    token = folder / "token"
    token.write_text("0123456789abcdef0123456789abcdef")
    token.chmod(0o600)
    settings = {
        "PYTHONPATH": str(Path(package.__file__).parents[1]),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "HPSTUDY_HOME": str(folder / "home"),
        "RAY_ADDRESS": "",
    }
    with clusters.local_cluster(environment=settings) as cluster:
        yield cluster, token
    assert not cluster.processes()


def test_a_token_lets_a_study_through(guarded: tuple[Any, Path], study_file: Path, tmp_path: Path) -> None:
    cluster, token = guarded
    # RAY_ADDRESS stands for --address, and the cluster's HPSTUDY_HOME for --home.
    known = {"RAY_ADDRESS": cluster.url, "RAY_AUTH_MODE": "", "RAY_AUTH_TOKEN_PATH": str(token)}
    done = hpstudy("submit", str(study_file), "--detach", "--json", **known)
    told = answer(done)
    assert told["state"] in ("pending", "running")
    folder = StudyFolder(token.parent / "home", "small")
    await_that(lambda: folder.is_running() and folder.sessions())
    secret = token.read_text()
    assert secret not in done.stdout + done.stderr
    assert answer(hpstudy("status", "small", "--address", cluster.url, "--json", **known))["state"] == "running"
    assert secret not in hpstudy("logs", "small", "--address", cluster.url, **known).stdout
    hpstudy("stop", "small", "--address", cluster.url, **known)
    kept = answer(hpstudy("status", "small", "--address", cluster.url, "--json", **known))
    assert (kept["state"], kept["home"]) == ("stopped", str(folder.home))
    wrong = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "f" * 32}
    for given in (wrong, {"RAY_AUTH_MODE": "disabled"}):
        refused = hpstudy("status", "small", "--address", cluster.url, expect=1, **given)
        assert f"hpstudy: the cluster at {cluster.url} lets nobody in without its token" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    jobs = hpstudy_jobs(cluster.url, known)
    assert secret not in jobs


def hpstudy_jobs(url: str, known: dict[str, str]) -> str:
    """All that the job server tells of its jobs."""
    code = f"from ray.job_submission import JobSubmissionClient as C; print(C({url!r}).list_jobs())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=environment(**{**known, "RAY_AUTH_MODE": "token"}),
    )
    assert "hpstudy-small-1" in done.stdout
    return done.stdout
