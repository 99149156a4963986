"""Optuna's journal in the study's folder: what was asked and told, surviving a driver that is killed mid-write."""

from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock


class _NoLock(JournalFileOpenLock):
    """The study's own lock admits one writer; a lock file here would only be left behind by a killed driver."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


def open_journal(path: Path) -> JournalStorage:
    """Opens the journal, cutting off a last line that was never finished.

    The caller holds the study's lock. Optuna reads past a torn last line but would append to it, which corrupts the
    file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with path.open("r+b") as file:
                file.truncate(whole)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=_NoLock(str(path))))
