"""The driver's end of the pulse: trials that make no progress are ended, lost workers told apart.

Ray hears of processes that die, not of those that hang: in a file system that does not answer, a deadlock, a stopped
process.
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import ray
from ray.tune import Callback
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpstudy.execution._capacity import trials_on
from hpstudy.execution._pulse import Pulse, Sign, as_handle
from hpstudy.execution._ray import living_nodes
from hpstudy.spec import ResourcesSpec

_LOOK_S = 1.0
_NODES_S = 15.0
_NO_NODE = "no node that holds a trial is left: the study waits for one to join the cluster (Ctrl-C ends it in order)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """How a trial lost its worker."""

    kind: str
    """`died`, `node`, `hung` or `overdue`."""
    words: str
    """For the trial's cause."""


_DIED = Loss(kind="died", words="its worker died")


@dataclass(slots=True)
class _Handed:
    """A trial of which nothing was heard yet."""

    trial_id: str
    since: float | None = None
    """When a worker was seen to have it."""


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
        self._unheard: dict[str, _Handed] = {}
        self._forgotten: set[str] = set()
        self._starved = False

    def __reduce__(self) -> tuple[type[Callback], tuple[()]]:
        return (Callback, ())  # as the book: Tune's snapshot is never read

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called by Tune many times a second."""
        now = time.monotonic()
        if self._answer is not None:
            if ray.wait([self._answer], timeout=0)[0]:
                signs, self._answer = ray.get(self._answer), None
                for trial_id in self._forgotten:
                    signs.pop(trial_id, None)  # asked before it ended
                self._judge(signs)
                self._await_first_signs(signs, trials)
        elif now >= self._next_look:
            self._next_look = now + _LOOK_S
            self._forgotten.clear()
            self._answer = self._pulse.look.remote()
        if now >= self._next_nodes:
            self._next_nodes = now + _NODES_S
            self._count_places()

    def expect(self, tune_id: str, trial_id: str) -> None:
        """A trial is handed out, under Tune's id."""
        self._unheard[tune_id] = _Handed(trial_id)

    def loss(self, trial_id: str) -> Loss:
        """How a trial that ended without a word lost its worker; asked before it is forgotten."""
        place = self._places.get(trial_id)
        if trial_id in self._sentenced:
            return self._sentenced[trial_id]
        if place is not None and place not in {node["NodeID"] for node in living_nodes()}:
            return Loss(kind="node", words="its node was lost")
        return _DIED

    def forget(self, tune_id: str, trial_id: str) -> None:
        """A trial is no longer run."""
        self._pulse.ended.remote(trial_id)
        self._forgotten.add(trial_id)
        self._unheard.pop(tune_id, None)
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
                self._end(trial_id, as_handle(sign.worker), Loss(kind="overdue", words=words))
            elif silence is not None and sign.silent_s > 60 * silence:
                self._end(trial_id, as_handle(sign.worker), _hung(silence))

    def _await_first_signs(self, signs: dict[str, Sign], trials: list[Any]) -> None:
        """Ends workers that took a trial and never said so."""
        now, silence = time.monotonic(), self._resources.heartbeat_minutes
        for trial in trials:
            handed = self._unheard.get(trial.trial_id)
            if handed is None:
                continue
            worker = trial.temporary_state.ray_actor  # None while no worker has it
            if handed.trial_id in signs:
                del self._unheard[trial.trial_id]
            elif worker is None or handed.since is None:
                handed.since = None if worker is None else now
            elif silence is not None and now - handed.since > 60 * silence:
                del self._unheard[trial.trial_id]
                self._end(handed.trial_id, worker, _hung(silence))

    def _end(self, trial_id: str, worker: Any, loss: Loss) -> None:
        self._sentenced[trial_id] = loss
        self._warn(f"{trial_id} {loss.words}; its worker is ended")
        ray.kill(worker)

    def _count_places(self) -> None:
        fits = _any_fits(living_nodes(), self._resources)
        if self._starved == fits:
            self._starved = not fits
            self._warn("a node that holds a trial is back" if fits else _NO_NODE)


def _hung(silence: float) -> Loss:
    return Loss(kind="hung", words=f"made no progress for resources.heartbeat_minutes: {silence:g}")


def _any_fits(nodes: Iterable[dict[str, Any]], resources: ResourcesSpec) -> bool:
    return any(trials_on(node["Resources"], resources) for node in nodes)
