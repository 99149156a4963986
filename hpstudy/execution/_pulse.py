"""Signs of life: workers say that their trials make progress, and the driver ends those that do not.

Ray hears of processes that die, not of those that hang: in a file system that does not answer, a deadlock, a stopped
process.
"""

import contextlib
import math
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import ray
from ray.tune import Callback
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpstudy.execution._capacity import trials_on
from hpstudy.spec import ResourcesSpec

BEAT_S = 2.0
"""Least seconds between two signs of one trial."""
_LOOK_S = 1.0
_NODES_S = 15.0
_NO_NODE = "no node that holds a trial is left: the study waits for one to join the cluster (Ctrl-C ends it in order)"


@dataclass(slots=True)
class _Sign:
    worker: Any
    node: str
    began: float
    last: float
    spent_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """How a running trial stands."""

    worker: Any
    """Handle of the actor that runs it."""
    node: str
    silent_s: float
    """Seconds since it last made progress."""
    age_s: float
    """Seconds that it has run, in earlier attempts too."""


class Pulse:
    """Keeps the last sign of every running trial, by a clock of its own; an actor beside the driver."""

    def __init__(self) -> None:
        self._signs: dict[str, _Sign] = {}

    def began(self, trial_id: str, worker: Any, node: str) -> None:
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
        self._pulse.began.remote(self._trial_id, context.current_actor, context.get_node_id())

    def spent(self, seconds: float) -> None:
        """Says how long earlier attempts ran."""
        self._pulse.beat.remote(self._trial_id, seconds)

    def beat(self) -> None:
        """Says that there is progress, unless it was said a moment ago."""
        now = time.monotonic()
        if now - self._last >= BEAT_S:
            self._last = now
            self._pulse.beat.remote(self._trial_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """How a trial lost its worker."""

    kind: str
    """`died`, `node`, `hung` or `overdue`."""
    words: str
    """For the trial's cause."""


_DIED = Loss(kind="died", words="its worker died")


class Watch(Callback):
    """Listens to the pulse in the driver, between Tune's events.

    Args:
        resources: With the limits.
        warn: Is told what a person should know.
    """

    def __init__(self, resources: ResourcesSpec, warn: Callable[[str], None]) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.name = f"hpstudy-pulse-{uuid.uuid4().hex[:12]}"
        """Of the actor; a worker is told."""
        self._pulse: Any = ray.remote(Pulse).options(name=self.name, num_cpus=0, scheduling_strategy=here).remote()
        self._resources = resources
        self._warn = warn
        self._answer: Any = None
        self._next_look = self._next_nodes = 0.0
        self._places: dict[str, str] = {}
        self._sentenced: dict[str, Loss] = {}
        self._starved = False

    def __reduce__(self) -> tuple[type[Callback], tuple[()]]:
        return (Callback, ())  # as the book: Tune's snapshot is never read

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called by Tune many times a second."""
        now = time.monotonic()
        if self._answer is not None:
            if ray.wait([self._answer], timeout=0)[0]:
                signs, self._answer = ray.get(self._answer), None
                self._judge(signs)
        elif now >= self._next_look:
            self._next_look = now + _LOOK_S
            self._answer = self._pulse.look.remote()
        if now >= self._next_nodes:
            self._next_nodes = now + _NODES_S
            self._count_places()

    def loss(self, trial_id: str) -> Loss:
        """How a trial that ended without a word lost its worker; asked before it is forgotten."""
        place = self._places.get(trial_id)
        if trial_id in self._sentenced:
            return self._sentenced[trial_id]
        if place is not None and place not in {node["NodeID"] for node in _living()}:
            return Loss(kind="node", words="its node was lost")
        return _DIED

    def forget(self, trial_id: str) -> None:
        """A trial is no longer run."""
        self._pulse.ended.remote(trial_id)
        self._places.pop(trial_id, None)
        self._sentenced.pop(trial_id, None)

    def close(self) -> None:
        """Ends the actor."""
        with contextlib.suppress(Exception):  # Ray may be gone
            ray.kill(self._pulse)

    def _judge(self, signs: dict[str, Sign]) -> None:
        most, silence = self._resources.max_trial_minutes, self._resources.heartbeat_minutes
        for trial_id, sign in signs.items():
            self._places[trial_id] = sign.node
            if trial_id in self._sentenced:
                continue
            if most is not None and sign.age_s > 60 * most:
                words = f"ran for {sign.age_s / 60:.1f} minutes, more than resources.max_trial_minutes: {most:g}"
                self._end(trial_id, sign, Loss(kind="overdue", words=words))
            elif silence is not None and sign.silent_s > 60 * silence:
                words = f"made no progress for resources.heartbeat_minutes: {silence:g}"
                self._end(trial_id, sign, Loss(kind="hung", words=words))

    def _end(self, trial_id: str, sign: Sign, loss: Loss) -> None:
        self._sentenced[trial_id] = loss
        self._warn(f"{trial_id} {loss.words}; its worker is ended")
        ray.kill(sign.worker)

    def _count_places(self) -> None:
        fits = _any_fits(_living(), self._resources)
        if self._starved == fits:
            self._starved = not fits
            self._warn("a node that holds a trial is back" if fits else _NO_NODE)


def _living() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _any_fits(nodes: Iterable[dict[str, Any]], resources: ResourcesSpec) -> bool:
    return any(trials_on(node["Resources"], resources) for node in nodes)
