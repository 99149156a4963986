"""Optuna's journal as numbered files of lines, for places where nothing can be appended to a file."""

import contextlib

from hpstudy.record import Location, files_in, remove_file, write_atomically
from hpstudy.search._lines import StudyJournal

SEGMENT_BYTES = 64 * 2**10


class SegmentedJournal(StudyJournal):
    """Appends by writing the last, small segment again; a full one is never touched any more.

    Each driver writes a generation of its own, which begins with all that it found, and the newest generation is the
    journal: whatever a driver still writes that was taken over while it was out of touch goes into an older one, which
    nobody reads any more.

    Args:
        place: The folder of the segments `0001-000001.jsonl`, `0001-000002.jsonl`, …: generation and number.
        segment_bytes: Size from which on a segment is full.
    """

    def __init__(self, place: Location, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._place = place
        self._segment_bytes = segment_bytes
        self._found = [path for path in files_in(place) if path.name.endswith(".jsonl")]
        newest = max(map(_generation, self._found), default=0)
        texts = [path.read_bytes() for path in self._found if _generation(path) == newest]
        super().__init__(line for text in texts for line in text.splitlines())
        self._unkept = list(self._lines)
        self._kept = len(self._lines)
        """Lines that a driver taking over would find."""
        self._own = newest + 1
        self._number = 1
        self._last = b""

    def flush(self) -> None:
        """Keeps what was added since the last time, in one write."""
        if len(self._lines) == self._kept:
            return
        full = len(self._last) >= self._segment_bytes
        number, begun = (self._number + 1, b"") if full else (self._number, self._last)
        content = begun + b"".join(line + b"\n" for line in self._unkept)
        write_atomically(self._place / f"{self._own:04d}-{number:06d}.jsonl", lambda path: path.write_bytes(content))
        self._number, self._last = number, content
        self._unkept, self._kept = [], len(self._lines)
        while self._found:
            with contextlib.suppress(OSError):  # left behind, they are passed over
                remove_file(self._found.pop())

    def sync(self) -> None:
        """The same."""
        self.flush()


def _generation(segment: Location) -> int:
    return int(segment.name.partition("-")[0])
