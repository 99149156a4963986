"""What both kinds of Optuna's journal share: all its lines, in memory."""

import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from optuna.storages.journal import BaseJournalBackend


class StudyJournal(BaseJournalBackend):
    """A journal of one writer, who holds the study's lock: what he added he need not read back from where it is kept.

    A trial has three dozen entries, which wait for each other in memory until the planner has them kept.

    Args:
        lines: Those that were found.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = list(lines)
        self._unkept: list[bytes] = []

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """All entries from that number on."""
        yield from json.loads(b"[%b]" % b",".join(self._lines[log_number_from:]))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds entries, seen by `read_logs` at once and kept by the next `flush`."""
        lines = [json.dumps(log, separators=(",", ":")).encode() for log in logs]
        self._lines += lines
        self._unkept += lines

    @abstractmethod
    def flush(self) -> None:
        """Returns when all entries outlive this process.

        Raises:
            OSError: they don't; what was kept is as it was.
        """

    @abstractmethod
    def sync(self) -> None:
        """Returns when all entries outlive a power cut.

        Raises:
            OSError: they don't.
        """
