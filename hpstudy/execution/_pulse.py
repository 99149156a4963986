"""Signs of life: workers say that their trials make progress.

The actor that keeps them needs nothing but Ray, so that it is up at once and small.
"""

import math
import time
from dataclasses import dataclass
from typing import Any

import ray

BEAT_S = 2.0
"""Least seconds between two signs of one trial."""


@dataclass(slots=True)
class _Sign:
    worker: bytes
    node: str
    began: float
    last: float
    spent_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """How a running trial stands."""

    worker: bytes
    """The actor that runs it, as `as_handle` reads it."""
    node: str
    silent_s: float
    """Seconds since it last made progress."""
    age_s: float
    """Seconds that it has run, in earlier attempts too."""


class Pulse:
    """Keeps the last sign of every running trial, by a clock of its own; an actor beside the driver."""

    def __init__(self) -> None:
        self._signs: dict[str, _Sign] = {}

    def began(self, trial_id: str, worker: bytes, node: str) -> None:
        """A worker took a trial."""
        now = time.monotonic()
        self._signs[trial_id] = _Sign(worker=worker, node=node, began=now, last=now)

    def beat(self, trial_id: str, spent_s: float | None = None) -> None:
        """A trial made progress; `spent_s` says how long earlier attempts ran."""
        sign = self._signs.get(trial_id)
        if sign is None:
            return
        sign.last = time.monotonic()
        if spent_s is not None:
            sign.spent_s = spent_s

    def ended(self, trial_id: str) -> None:
        """A trial is no longer run."""
        self._signs.pop(trial_id, None)

    def look(self) -> dict[str, Sign]:
        """Every running trial."""
        now = time.monotonic()
        return {
            trial_id: Sign(
                worker=sign.worker,
                node=sign.node,
                silent_s=now - sign.last,
                age_s=sign.spent_s + now - sign.began,
            )
            for trial_id, sign in self._signs.items()
        }


class Heart:
    """A worker's end of the pulse.

    Args:
        pulse: Name of the actor.
        trial_id: The trial.
    """

    def __init__(self, pulse: str, trial_id: str) -> None:
        self._pulse: Any = ray.get_actor(pulse)
        self._trial_id = trial_id
        self._last = -math.inf

    def begin(self) -> None:
        """Says that this actor has taken the trial."""
        context = ray.get_runtime_context()
        # As bytes: to read the handle, the actor of the pulse would import all that a worker needs.
        worker = ray.cloudpickle.dumps(context.current_actor)
        self._pulse.began.remote(self._trial_id, worker, context.get_node_id())

    def spent(self, seconds: float) -> None:
        """Says how long earlier attempts ran."""
        self._pulse.beat.remote(self._trial_id, seconds)

    def beat(self) -> None:
        """Says that there is progress, unless it was said a moment ago."""
        now = time.monotonic()
        if now - self._last >= BEAT_S:
            self._last = now
            self._pulse.beat.remote(self._trial_id)


def as_handle(worker: bytes) -> Any:
    """The handle of a worker that was told to the pulse."""
    return ray.cloudpickle.loads(worker)
