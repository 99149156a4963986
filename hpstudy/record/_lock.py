"""One driver a study: an advisory lock that dies with the process that holds it."""

import contextlib
import fcntl
import os
import re
import socket
import time
from pathlib import Path
from types import TracebackType

from hpstudy.exceptions import StudyConflictError


class StudyLock:
    """Holds a study against a second driver for as long as the `with` block, or the process, lives.

    The lock is the kernel's (`flock`), so one left behind by a killed driver is free at once; the file's text only says
    who holds it.

    Raises:
        StudyConflictError: on entering, if another live process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def __enter__(self) -> "StudyLock":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Not inherited by child processes (PEP 446), so that an orphaned worker cannot keep a dead driver's lock.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _acquire(descriptor)
        except OSError as error:
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
        assert self._descriptor is not None
        os.close(self._descriptor)
        self._descriptor = None


def _acquire(descriptor: int) -> None:
    """Takes the lock, outlasting the moment for which `is_locked` holds it."""
    for _ in range(4):
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.05)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(path: Path) -> bool:
    """Whether a live process holds the study."""
    if not path.is_file():
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock_holder(path: Path) -> tuple[int, str] | None:
    """The process that holds a study, and its host; None where the file does not name one."""
    try:
        named = re.fullmatch(r"process (\d+) on (\S+)", path.read_text(errors="replace").strip())
    except OSError:
        return None
    return (int(named[1]), named[2]) if named else None
