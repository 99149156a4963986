"""The lease: a live holder refuses, a dead one is taken over, of two that come at once one is refused."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from hpstudy.exceptions import StudyConflictError
from hpstudy.record import Lease, StudyFolder
from hpstudy.record._files import Location, place_of, write_text
from hpstudy.record._lease import read_lease

INTERVAL_S, PATIENCE_S = 0.2, 1.5


@pytest.fixture
def place(any_home: str) -> Location:
    return place_of(any_home) / "toy" / "lease"


def lease(place: Location, settle_s: float = 0.1) -> Lease:
    return Lease(place, interval_s=INTERVAL_S, patience_s=PATIENCE_S, settle_s=settle_s)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _hold(place: Location, ready: "multiprocessing.synchronize.Event") -> None:
    with lease(place):
        ready.set()
        signal.pause()


def test_a_live_holder_refuses_and_a_killed_one_is_taken_over(place: Location) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(place, ready))
    holder.start()
    try:
        assert ready.wait(30)
        with pytest.raises(StudyConflictError, match=rf"study 'toy' is being run by process {holder.pid} on"):
            lease(place).__enter__()
    finally:
        os.kill(holder.pid or 0, signal.SIGKILL)
        holder.join()
    with lease(place) as mine:
        seen = read_lease(place)
        assert seen is not None
        assert str(seen["holder"]).startswith(f"process {os.getpid()} on ")
        wait_until(lambda: (read_lease(place) or {"count": 0})["count"] != 0)
        assert not mine.lost
    assert read_lease(place) is None, "a lease is given back"


def test_of_two_that_come_at_once_the_last_writer_wins(place: Location) -> None:
    refused: list[str] = []
    early = lease(place, settle_s=1.5)

    def enter() -> None:
        try:
            early.__enter__()
        except StudyConflictError as error:
            refused.append(str(error))

    first = threading.Thread(target=enter)
    first.start()
    wait_until(lambda: read_lease(place) is not None)
    seen = read_lease(place)
    write_text(place, '{"owner": "other", "holder": "process 1 on elsewhere", "count": 0}\n')
    first.join()
    assert seen is not None
    assert refused == ["study 'toy' is being run by process 1 on elsewhere: wait for it, or stop it first"]


def test_a_holder_that_was_taken_over_knows_and_leaves_the_lease_to_the_other(place: Location) -> None:
    with lease(place) as mine:
        write_text(place, '{"owner": "other", "holder": "process 1 on elsewhere", "count": 0}\n')
        # The renewal that was on its way may have put this holder's name back; then the other's is written again.
        wait_until(lambda: mine.lost or _other_again(place))
    left = read_lease(place)
    assert left is not None
    assert left["owner"] == "other"


def test_what_is_no_lease_is_taken_over_where_it_stands_still_and_ends_one_that_is_held(place: Location) -> None:
    write_text(place, "[]\n")
    with lease(place) as mine:
        wait_until(lambda: mine.lost or _spoiled(place))
    assert read_lease(place) == {"owner": "", "holder": "another process", "count": "no lease\n"}


def _spoiled(place: Location) -> bool:
    if place.read_text(encoding="utf-8") != "no lease\n":
        write_text(place, "no lease\n")
    return False


def _other_again(place: Location) -> bool:
    seen = read_lease(place)
    if seen is None or seen["owner"] != "other":
        write_text(place, '{"owner": "other", "holder": "process 1 on elsewhere", "count": 0}\n')
    return False


def test_a_study_in_an_object_store_runs_while_its_lease_is_held(bucket: str) -> None:
    folder = StudyFolder(f"{bucket}/home", "toy")
    folder.begin("name: toy\n")
    assert not folder.is_running()
    with folder.lock:
        assert StudyFolder(f"{bucket}/home", "toy").is_running()
        assert not folder.lock.lost
    assert not folder.is_running()


def test_a_file_system_without_locks_gets_a_lease(
    tmp_path: "os.PathLike[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import fcntl

    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    folder = StudyFolder(os.fspath(tmp_path), "toy")
    folder.begin("name: toy\n")
    assert not folder.is_running()
    with folder.lock:
        assert read_lease(folder.path / "lease") is not None
        assert folder.is_running()
        with pytest.raises(StudyConflictError, match=f"being run by process {os.getpid()} on"):
            StudyFolder(os.fspath(tmp_path), "toy").lock.__enter__()
    assert not folder.is_running()
