"""One driver a study: an advisory lock that dies with the process that holds it."""

import contextlib
import errno
import fcntl
import os
import re
import socket
import time
from pathlib import Path
from types import TracebackType

from hpstudy.exceptions import StudyConflictError
from hpstudy.record._files import Location
from hpstudy.record._lease import PATIENCE_S, Lease, moves, read_lease
from hpstudy.record._objects import ObjectPath

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


class StudyLock:
    """Holds a study against a second driver for as long as the `with` block, or the process, lives.

    The lock is the kernel's (`flock`), so one left behind by a killed driver is free at once; the file's text only says
    who holds it. A file system that knows no locks gets a lease instead, in a file beside this one.

    Raises:
        StudyConflictError: on entering, if another live process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._lease: Lease | None = None

    @property
    def lost(self) -> bool:
        """Whether another driver has taken the study over; the kernel's lock can't be lost."""
        return self._lease is not None and self._lease.lost

    def __enter__(self) -> "StudyLock":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Not inherited by child processes (PEP 446), so that an orphaned worker cannot keep a dead driver's lock.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _acquire(descriptor)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                os.close(descriptor)
                self._lease = Lease(_lease_beside(self._path)).__enter__()
                return self
            holder = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise StudyConflictError(
                f"study {self._path.parent.name!r} is being run by {holder}: wait for it, or stop it first"
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lease is not None:
            self._lease.__exit__(kind, error, traceback)
            self._lease = None
            return
        assert self._descriptor is not None
        os.close(self._descriptor)
        self._descriptor = None


def _acquire(descriptor: int) -> None:
    """Takes the lock, outlasting the moment for which `is_locked` holds it."""
    for _ in range(4):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.05)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_of(study: Location) -> StudyLock | Lease:
    """What holds a study against a second driver: the kernel's lock in a folder, a lease in an object store."""
    return Lease(study / "lease") if isinstance(study, ObjectPath) else StudyLock(study / "lock")


def is_held(study: Location, patience_s: float = PATIENCE_S) -> bool:
    """Whether a live process holds the study; a dead one's lease is watched for `patience_s` to tell."""
    if isinstance(study, ObjectPath):
        return _is_renewed(study / "lease", patience_s)
    return is_locked(study / "lock")


def is_locked(path: Path) -> bool:
    """Whether a live process holds the study."""
    if not path.is_file():
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _NO_LOCKS or _is_renewed(_lease_beside(path), PATIENCE_S)
    finally:
        os.close(descriptor)
    return False


def lock_holder(study: Location) -> tuple[int, str] | None:
    """The process that holds a study, and its host; None where neither lock nor lease names one."""
    lease = read_lease(study / "lease")
    told = str(lease["holder"]) if lease else ""
    if not lease and isinstance(study, Path):
        with contextlib.suppress(OSError):
            told = (study / "lock").read_text(errors="replace")
    named = re.fullmatch(r"process (\d+) on (\S+)", told.strip())
    return (int(named[1]), named[2]) if named else None


def _is_renewed(lease: Location, patience_s: float) -> bool:
    seen = read_lease(lease)
    return seen is not None and moves(lease, seen, patience_s)


def _lease_beside(path: Path) -> Path:
    return path.with_name("lease")
