"""Optuna's journal in the study's folder: what was asked and told, surviving a driver that is killed mid-write."""

import os
import weakref
from pathlib import Path

import optuna

from hpstudy.record import Location
from hpstudy.search._lines import StudyJournal
from hpstudy.search._segments import SegmentedJournal


class FileJournal(StudyJournal):
    """The journal as one file, in the format of Optuna's own `JournalFileBackend`.

    Args:
        path: The file; a last line that was never finished is cut off. Optuna reads past it but would append to it,
            which corrupts the file.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        weakref.finalize(self, os.close, self._descriptor)
        content = path.read_bytes()
        self._size = content.rfind(b"\n") + 1
        if self._size < len(content):
            os.ftruncate(self._descriptor, self._size)
        super().__init__(content[: self._size].splitlines())
        self._unsynced = False

    def flush(self) -> None:
        """Hands the entries to the system, in one write."""
        if not self._unkept:
            return
        content = b"".join(line + b"\n" for line in self._unkept)
        try:
            written = 0
            while written < len(content):
                written += os.write(self._descriptor, content[written:])
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(content)
        self._unkept = []
        self._unsynced = True

    def sync(self) -> None:
        """Forces them to the disk."""
        self.flush()
        if self._unsynced:
            os.fsync(self._descriptor)
            self._unsynced = False


def open_journal(place: Location) -> StudyJournal:
    """Opens the journal: a file, or in an object store a folder of segments. The caller holds the study's lock."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return FileJournal(place) if isinstance(place, Path) else SegmentedJournal(place)
