"""Joining and leaving Ray."""

import socket
import subprocess
import sys

import pytest

from hpstudy.exceptions import HpstudyError, InputError
from hpstudy.execution._ray import joining_ray, ray_session

LEFT_IN_CYCLES = """
import gc, threading
from hpstudy.execution._ray import ray_session

class Cycle:
    def __init__(self, reference):
        self.reference, self.itself = reference, self

with ray_session():
    import ray
    gc.disable()
    for _ in range(20_000):
        Cycle(ray.put(1))
    collecting, ended = threading.Event(), threading.Event()

    def collect():
        collecting.wait()
        while not ended.is_set():
            gc.collect()

    thread = threading.Thread(target=collect)
    thread.start()
    whole = ray.shutdown
    ray.shutdown = lambda: (collecting.set(), whole())
ended.set()
thread.join()
print("left in order")
"""


def assert_prints(code: str, words: str) -> None:
    """The code runs to its end, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == words, done.stderr
    assert done.returncode == 0


def test_another_thread_may_collect_while_ray_is_left() -> None:
    """Ray ends the process, or crashes, where a reference is dropped while it shuts down."""
    assert_prints(LEFT_IN_CYCLES, "left in order\n")


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("ray://head:10001", InputError, "from elsewhere use hpstudy submit STUDY.yaml --address http://HEAD:8265"),
        ("http://head:8265", InputError, "a driver joins a cluster by auto or HOST:PORT"),
        ("head:port", InputError, "RAY_ADDRESS must be auto or HOST:PORT, but is head:port"),
    ],
)
def test_an_address_that_no_driver_can_join(
    monkeypatch: pytest.MonkeyPatch, address: str, kind: type[Exception], message: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(kind, match=message.replace("(", r"\(")), ray_session():
        pass


def test_a_port_that_nobody_listens_at_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(HpstudyError, match=rf"no Ray cluster answers at RAY_ADDRESS={address}.*refused"), ray_session():
        pass


def test_who_joins_meanwhile_is_told_when_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:port")
    with joining_ray() as joined, pytest.raises(InputError, match="must be auto or HOST:PORT"):
        joined()


MEANWHILE = """
import threading
from hpstudy.execution._ray import joining_ray

with joining_ray() as joined:
    import ray
    print(ray.is_initialized())
    joined()
    print(ray.get(ray.put(42)))
print(ray.is_initialized())
with joining_ray():
    pass  # somebody who needs it no more
print(ray.is_initialized(), threading.active_count())
"""


def test_ray_comes_while_others_work_and_is_left_in_any_case() -> None:
    assert_prints(MEANWHILE, "False\n42\nFalse\nFalse 1\n")


SIGTERM = """
import os, signal, sys, time
{imports}
from hpstudy.execution._ray import joining_ray

try:
    with joining_ray() as joined:
        {wait}
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
except SystemExit as end:
    assert end.code == 128 + signal.SIGTERM
time.sleep(4)  # what Ray's own answer to the signal would leave of the process
print("ended in order")
"""


@pytest.mark.parametrize(
    ("imports", "wait"),
    [
        ("import ray", "joined()"),
        ("", "import ray\n        while not ray.is_initialized(): time.sleep(0.01)"),
    ],
    ids=["imported before", "not asked yet"],
)
def test_sigterm_ends_a_session_in_order(imports: str, wait: str) -> None:
    assert_prints(SIGTERM.format(imports=imports, wait=wait), "ended in order\n")
