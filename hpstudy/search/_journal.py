"""Optuna's journal in the study's folder: what was asked and told, surviving a driver that is killed mid-write."""

from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from hpstudy.record import Location
from hpstudy.search._segments import SegmentedJournal


class _NoLock(JournalFileOpenLock):
    """The study's own lock admits one writer; a lock file here would only be left behind by a killed driver."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


def open_journal(place: Location) -> JournalStorage:
    """Opens the journal: a file, or in an object store a folder of segments. The caller holds the study's lock."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if isinstance(place, Path):
        _cut_torn_line(place)
        return JournalStorage(JournalFileBackend(str(place), lock_obj=_NoLock(str(place))))
    return JournalStorage(SegmentedJournal(place))


def _cut_torn_line(path: Path) -> None:
    """Cuts off a last line that was never finished: Optuna reads past it but would append to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with path.open("r+b") as file:
                file.truncate(whole)
