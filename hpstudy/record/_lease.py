"""One driver a study where no kernel keeps a lock: an object that its holder renews, and that others watch."""

import json
import logging
import os
import socket
import threading
import time
from types import TracebackType
from uuid import uuid4

from hpstudy.exceptions import StudyConflictError
from hpstudy.record._files import Location, remove_file, write_text

_log = logging.getLogger(__name__)
_Sight = dict[str, str | int]

INTERVAL_S = 5.0
PATIENCE_S = 12.5
"""Two renewals and a half: what a live holder lets pass at most, unless the store is slow."""


class Lease:
    """Holds a study against a second driver by writing a counter that goes on for as long as this process lives.

    Clocks of two machines are never compared: whoever wants a lease that is there watches whether its counter moves. Of
    two that take it over at once, the last writer wins. A holder that finds another's name on it has `lost` it, by
    having been out of touch for longer than the other's patience.

    Args:
        place: The lease's own file or object.
        interval_s: Seconds between renewals.
        patience_s: For how long a counter must stand still to be a dead driver's; more than the interval of any holder.
        settle_s: Seconds between writing one's name and reading whose it is.

    Raises:
        StudyConflictError: on entering, if another live process holds it.
    """

    def __init__(
        self,
        place: Location,
        *,
        interval_s: float = INTERVAL_S,
        patience_s: float = PATIENCE_S,
        settle_s: float = 1.0,
    ) -> None:
        self._place = place
        self._interval_s = interval_s
        self._patience_s = patience_s
        self._settle_s = settle_s
        self._owner = ""
        self._count = 0
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def lost(self) -> bool:
        """Whether another driver has taken the study over."""
        return self._lost.is_set()

    def __enter__(self) -> "Lease":
        seen = read_lease(self._place)
        if seen is not None and moves(self._place, seen, self._patience_s):
            raise self._refusal(seen)
        self._owner, self._count = uuid4().hex, 0
        self._write()
        time.sleep(self._settle_s)
        after = read_lease(self._place)
        if after is None or after["owner"] != self._owner:
            raise self._refusal(after or {})
        self._ended.clear()
        self._lost.clear()
        self._keeper = threading.Thread(target=self._keep, name="hpstudy-lease", daemon=True)
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._keeper is not None
        self._ended.set()
        self._keeper.join()
        self._keeper = None
        try:
            if self._is_mine():
                remove_file(self._place)
        except OSError as away:  # it stands still from now on, and is taken over as a dead driver's
            _log.warning("the lease of the study could not be given back: %s", away)

    def _keep(self) -> None:
        while not self._ended.wait(self._interval_s):
            try:
                if not self._is_mine():
                    self._lost.set()
                    return
                self._count += 1
                self._write()
            except OSError as away:
                _log.warning("the lease of the study could not be renewed and is tried again: %s", away)

    def _is_mine(self) -> bool:
        seen = read_lease(self._place)
        return seen is not None and seen["owner"] == self._owner

    def _write(self) -> None:
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        write_text(self._place, json.dumps({"owner": self._owner, "holder": holder, "count": self._count}) + "\n")

    def _refusal(self, seen: _Sight) -> StudyConflictError:
        return StudyConflictError(
            f"study {self._place.parent.name!r} is being run by {seen.get('holder', 'another process')}: wait for it, "
            "or stop it first"
        )


def read_lease(place: Location) -> _Sight | None:
    """Who holds a lease and how often it was renewed; None while nobody does.

    A text that is no lease is somebody's who can't be named.
    """
    try:
        text = place.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        told = json.loads(text)
        return {"owner": str(told["owner"]), "holder": str(told["holder"]), "count": int(told["count"])}
    except (ValueError, TypeError, KeyError):
        return {"owner": "", "holder": "another process", "count": text}


def moves(place: Location, seen: _Sight, patience_s: float) -> bool:
    """Whether a lease is renewed, or changes hands, before `patience_s` has passed."""
    deadline = time.monotonic() + patience_s
    while True:
        now = read_lease(place)
        if now is None:
            return False
        if now != seen:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(min(0.5, patience_s / 8))
