"""The journal in one file: what a flush keeps, and what a failing one leaves."""

import errno
import os
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from hpstudy.search._journal import FileJournal


def asked(journal: FileJournal, trials: int) -> None:
    """Has a study hand out so many trials."""
    study = optuna.create_study(storage=JournalStorage(journal), study_name="toy", load_if_exists=True)
    for _ in range(trials):
        study.ask()


def kept(path: Path) -> int:
    """The trials that Optuna's own reader finds."""
    storage = JournalStorage(JournalFileBackend(str(path)))
    return len(optuna.load_study(study_name="toy", storage=storage).trials)


def test_a_flush_keeps_all_that_was_added(tmp_path: Path) -> None:
    path = tmp_path / "study" / "journal"
    journal = FileJournal(path)
    asked(journal, 3)
    assert path.read_bytes() == b"", "entries wait for a flush"
    journal.flush()
    assert kept(path) == 3
    again = FileJournal(path)
    asked(again, 2)
    again.sync()
    assert kept(path) == 5


def test_a_full_disk_leaves_whole_lines_and_the_rest_is_kept_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    journal = FileJournal(path)
    asked(journal, 2)
    journal.flush()
    before, write = path.read_bytes(), os.write
    room = iter([50, 0])

    def short(descriptor: int, content: bytes) -> int:
        fits = next(room)
        if not fits:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content[:fits])

    asked(journal, 2)
    with monkeypatch.context() as full:
        full.setattr(os, "write", short)
        with pytest.raises(OSError, match="No space left"):
            journal.flush()
    assert path.read_bytes() == before
    journal.flush()
    assert kept(path) == 4
