"""Optuna's journal in the study's folder: what was asked and told, surviving a driver that is killed mid-write."""

import json
import os
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from hpstudy.record import Location
from hpstudy.search._segments import SegmentedJournal


class StudyJournal(Protocol):
    """A journal that is told when its entries must be safe: a trial has a dozen, and waiting for each is dear."""

    def read_logs(self, log_number_from: int) -> Any:
        """All entries from that number on."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds entries, seen by `read_logs` at once."""

    def flush(self) -> None:
        """Returns when all entries outlive this process."""

    def sync(self) -> None:
        """Returns when all entries outlive a power cut."""


class _NoLock(JournalFileOpenLock):
    """The study's own lock admits one writer; a lock file here would only be left behind by a killed driver."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


class FileJournal(JournalFileBackend):
    """The journal as one file, of one writer, who holds the study's lock.

    Args:
        path: The file; a last line that was never finished is cut off. Optuna reads past it but would append to it,
            which corrupts the file.
    """

    def __init__(self, path: Path) -> None:
        _cut_torn_line(path)
        super().__init__(str(path), lock_obj=_NoLock(str(path)))
        self._path = path
        self._unsynced = False

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends entries."""
        lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
        with self._path.open("ab") as file:
            file.write("".join(lines).encode())
        self._unsynced = True

    def flush(self) -> None:
        """An entry is the system's as soon as it is appended."""

    def sync(self) -> None:
        """Forces the file to the disk."""
        if not self._unsynced:
            return
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._unsynced = False


def open_journal(place: Location) -> StudyJournal:
    """Opens the journal: a file, or in an object store a folder of segments. The caller holds the study's lock."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return FileJournal(place) if isinstance(place, Path) else SegmentedJournal(place)


def _cut_torn_line(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with path.open("r+b") as file:
                file.truncate(whole)
