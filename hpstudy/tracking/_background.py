"""Delivery beside the work: one writer thread and a queue."""

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property

from hpstudy.tracking._pages import Page
from hpstudy.tracking._protocol import LoadTrial, Row, Tracker, TrackingRefusedError, TrackingUnavailableError
from hpstudy.tracking._trained import TrainedModel

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Delivery:
    label: str
    deliver: Callable[[], None]


class BackgroundTracker(Tracker):
    """Hands every call to another tracker in a thread of its own, in order, and returns at once.

    While the store is away or refuses, deliveries wait and are retried with a growing delay; one line in the log says
    so, one says when it is back. A delivery that meets an error of another kind `attempts` times is set aside. Past
    `max_waiting` deliveries further trials are set aside as well, so that a long outage cannot fill the memory. What
    was set aside is in the record, is returned by `close`, and is delivered by the next `catch_up`.

    Ownership: rows given to it must not be changed afterwards. `close` ends it for good.

    Args:
        make: Makes the tracker, in the writer thread, which alone uses it: nobody waits for what that imports.
        first_delay: Seconds before the first retry; doubles from there.
        max_delay: Seconds between retries at most.
        attempts: How often an unexpected error is met before the delivery is set aside.
        max_waiting: Deliveries that may wait.
        remedy: What delivers whatever `close` leaves, for the line in the log that says so.
    """

    def __init__(
        self,
        make: Callable[[], Tracker],
        *,
        first_delay: float = 1.0,
        max_delay: float = 60.0,
        attempts: int = 3,
        max_waiting: int = 1000,
        remedy: str = "a resume",
    ) -> None:
        self._make = make
        self._first_delay = first_delay
        self._max_delay = max_delay
        self._attempts = attempts
        self._max_waiting = max_waiting
        self._remedy = remedy
        self._queue: queue.SimpleQueue[_Delivery | None] = queue.SimpleQueue()
        self._waiting: dict[_Delivery, None] = {}
        self._set_aside: list[str] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._away: type[TrackingUnavailableError] | None = None
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._work, name="hpstudy-tracking", daemon=True)
        self._thread.start()

    @cached_property
    def _tracker(self) -> Tracker:
        return self._make()

    def start(self) -> None:
        self._submit("start", lambda: self._tracker.start())

    def trial_started(self, row: Row) -> None:
        self._submit(f"start of {row['trial_id']}", lambda: self._tracker.trial_started(row), may_drop=True)

    def trial_finished(self, row: Row, load: LoadTrial) -> None:
        """Reads and delivers in the writer thread; `load` must be safe to call there."""
        self._submit(row["trial_id"], lambda: self._tracker.trial_finished(row, load), may_drop=True)

    def arm_finished(self, arm: str, page: Page) -> None:
        self._submit(f"end of arm {arm}", lambda: self._tracker.arm_finished(arm, page))

    def model_finished(self, model: TrainedModel) -> None:
        """Reads the weights and delivers them in the writer thread."""
        self._submit(f"model of {model.key}", lambda: self._tracker.model_finished(model))

    def study_finished(self, page: Page) -> None:
        self._submit("end of the study", lambda: self._tracker.study_finished(page))

    def trials_finished(self) -> None:
        self._submit("end of the trials", lambda: self._tracker.trials_finished())

    def interrupted(self) -> None:
        self._submit("interruption", lambda: self._tracker.interrupted())

    def catch_up(self, rows: Iterable[Row], load: LoadTrial) -> None:
        """Reads and delivers in the writer thread; `load` must be safe to call there."""
        rows = list(rows)

        def deliver() -> None:
            self._tracker.catch_up(rows, load)
            caught_up = {row["trial_id"] for row in rows}
            with self._lock:
                self._set_aside = [label for label in self._set_aside if label not in caught_up]

        self._submit("catching up with the record", deliver)

    def delivered(self, timeout: float = 60.0) -> set[str]:
        """Asks the store, after all that waits; `catch_up` does the same without making the caller wait.

        Raises:
            TrackingUnavailableError: no answer within `timeout` seconds.
        """
        answer: Future[set[str]] = Future()

        def ask() -> None:
            try:
                answer.set_result(self._tracker.delivered())
            except TrackingUnavailableError:
                raise
            except Exception as error:
                answer.set_exception(error)

        self._submit("question for what is delivered", ask)
        try:
            return answer.result(timeout)
        except TimeoutError as error:
            raise TrackingUnavailableError(f"the tracking store did not answer within {timeout:g} s") from error

    def close(self, timeout: float = 30.0) -> tuple[str, ...]:
        """Delivers what waits, for at most `timeout` seconds, and ends the thread.

        Returns:
            What was not delivered: trial ids, or what the delivery was.
        """
        self._queue.put(None)
        self._closing.set()
        self._thread.join(timeout)
        self._abandoned.set()
        with self._lock:
            missing = (*self._set_aside, *(delivery.label for delivery in self._waiting))
        if missing:
            _logger.warning(
                "%d deliveries to MLflow are left; the record holds them, deliver them with: %s",
                len(missing),
                self._remedy,
            )
        return missing

    def _submit(self, label: str, deliver: Callable[[], None], *, may_drop: bool = False) -> None:
        assert not self._closing.is_set(), f"{label} came after close"
        delivery = _Delivery(label, deliver)
        with self._lock:
            if may_drop and len(self._waiting) >= self._max_waiting:
                self._set_aside.append(label)
                return
            self._waiting[delivery] = None
        self._queue.put(delivery)

    def _work(self) -> None:
        while (delivery := self._queue.get()) is not None:
            if not self._deliver(delivery):
                return
            with self._lock:
                del self._waiting[delivery]

    def _deliver(self, delivery: _Delivery) -> bool:
        """Whether the thread may go on: the delivery arrived or was set aside."""
        delay, errors = self._first_delay, 0
        while not self._abandoned.is_set():
            try:
                delivery.deliver()
            except TrackingUnavailableError as error:
                self._tell_away(error)
            except Exception as error:
                errors += 1
                if errors >= self._attempts:
                    self._give_up(delivery.label, error)
                    return True
            else:
                if self._away:
                    self._away = None
                    _logger.info("MLflow is back; deliveries go on")
                return True
            self._wait(delay)
            delay = min(2 * delay, self._max_delay)
        return False

    def _tell_away(self, error: TrackingUnavailableError) -> None:
        """Says once that the store is away, and once that it answers but refuses: that needs somebody's hand."""
        if self._away is not type(error):
            self._away = type(error)
            state = "refuses" if isinstance(error, TrackingRefusedError) else "is away"
            _logger.warning("MLflow %s; deliveries wait and are retried: %s", state, error)

    def _give_up(self, label: str, error: Exception) -> None:
        """Sets a delivery aside; a cause that was met before is not told in full again."""
        known = repr(error) in self._told
        self._told.add(repr(error))
        _logger.warning("%s could not be delivered to MLflow: %r", label, error, exc_info=None if known else error)
        with self._lock:
            self._set_aside.append(label)

    def _wait(self, delay: float) -> None:
        """Sleeps between two tries; closing cuts a long sleep short so that its time limit is used for tries."""
        if not self._closing.is_set():
            if self._closing.wait(delay):
                return
        else:
            self._abandoned.wait(min(delay, 1.0))
