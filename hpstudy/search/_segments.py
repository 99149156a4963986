"""Optuna's journal as numbered files of lines, for places where nothing can be appended to a file."""

import json
from collections.abc import Iterable
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from hpstudy.record import Location, files_in, write_atomically

SEGMENT_BYTES = 64 * 2**10


class SegmentedJournal(BaseJournalBackend):
    """Appends by writing the last, small segment again; a full one is never touched any more.

    For one writer, which the study's lock admits; the segments are read
    once, and then known.

    Args:
        place: The folder of the segments `000001.jsonl`, `000002.jsonl`, …
        segment_bytes: Size from which on a segment is full.
    """

    def __init__(self, place: Location, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._place = place
        self._segment_bytes = segment_bytes
        segments = [path for path in files_in(place) if path.name.endswith(".jsonl")]
        texts = [path.read_bytes() for path in segments]
        self._unkept: list[bytes] = []
        self._lines = [line for text in texts for line in text.splitlines()]
        self._number = int(segments[-1].name.removesuffix(".jsonl")) if segments else 1
        self._last = texts[-1] if texts else b""

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """All logs from that number on."""
        for line in self._lines[log_number_from:]:
            yield json.loads(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds logs, which the next `flush` keeps."""
        lines = [json.dumps(log, separators=(",", ":")).encode() for log in logs]
        self._lines += lines
        self._unkept += lines

    def flush(self) -> None:
        """Keeps what was added since the last time, in one write.

        Raises:
            OSError: the store is away; what was kept is as it was.
        """
        if not self._unkept:
            return
        full = len(self._last) >= self._segment_bytes
        number, begun = (self._number + 1, b"") if full else (self._number, self._last)
        content = begun + b"".join(line + b"\n" for line in self._unkept)
        write_atomically(self._place / f"{number:06d}.jsonl", lambda path: path.write_bytes(content))
        self._number, self._last = number, content
        self._unkept = []

    sync = flush
