"""Optuna's journal in the study's folder: what was asked and told, surviving a driver that is killed mid-write."""

import json
import os
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock


class _NoLock(JournalFileOpenLock):
    """The study's own lock admits one writer; a lock file here would only be left behind by a killed driver."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


class Journal(JournalFileBackend):
    """The journal's file, forced to the disk when `sync` is called rather than at each of a trial's dozen entries.

    What was appended outlives the process at once, and a power cut from the next `sync` on. Ownership: one writer, who
    holds the study's lock.

    Args:
        path: The file; a last line that was never finished is cut off. Optuna reads past it but would append to it,
            which corrupts the file.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            _cut_torn_line(path)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        super().__init__(str(path), lock_obj=_NoLock(str(path)))
        self._path = path
        self._unsynced = False

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends entries."""
        lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
        with self._path.open("ab") as file:
            file.write("".join(lines).encode())
        self._unsynced = True

    def sync(self) -> None:
        """Returns when all entries are on the disk."""
        if not self._unsynced:
            return
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._unsynced = False


def _cut_torn_line(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
