"""Several processes that train one trial together, a GPU each."""

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import ray
import torch.distributed as dist
from ray.exceptions import RayActorError, RayTaskError
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from hpstudy.execution._host import Host, OwnProcess
from hpstudy.execution._order import TrialOrder
from hpstudy.execution._pulse import Heart
from hpstudy.record import TrialResult
from hpstudy.training import EpochReport, ManyRanks, Objective, Stepping, pick_device

_HERE = "127.0.0.1"


class Rank:
    """One of the processes, an actor. All are on one node and meet over its loopback.

    Args:
        rank: 0 is the first.
        ranks: How many there are.
    """

    def __init__(self, rank: int, ranks: int) -> None:
        self._rank, self._ranks = rank, ranks
        self._host = OwnProcess(ManyRanks)

    def open(self) -> int:
        """Lets the others come; called on the first alone. Returns a port."""
        self._store = TCPStore(_HERE, 0, self._ranks, is_master=True, wait_for_workers=False)
        return int(self._store.port)

    def join(self, port: int) -> None:
        """Meets the others."""
        if sys.platform == "linux":
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        if self._rank:
            self._store = TCPStore(_HERE, port, self._ranks, is_master=False)
        backend = "cpu:gloo,cuda:nccl" if pick_device(1.0).type == "cuda" else "gloo"
        dist.init_process_group(backend, store=self._store, rank=self._rank, world_size=self._ranks)

    def begin(self, config: dict[str, str], stepping: Stepping) -> tuple[EpochReport | None, float]:
        """As `Host.begin`, with the seconds that earlier attempts trained."""
        order = TrialOrder.from_config(config)
        beat = (lambda: None) if self._rank else Heart(order.pulse, order.request.trial_id).beat
        restored = self._host.begin(replace(order, cpus=order.cpus / self._ranks), stepping, beat)
        return restored, self._host.spent_s

    def run_epoch(self) -> EpochReport:
        """As `Host.run_epoch`."""
        return self._host.run_epoch()

    def drop(self) -> None:
        """As `Host.drop`."""
        self._host.drop()


class Crew(Host):
    """Trains in one process a GPU, in the placement group of the worker, which itself only waits for them."""

    def __init__(self) -> None:
        self._ranks: list[Any] = []
        self._last: EpochReport | None = None
        self._spent_s = 0.0

    def begin(self, order: TrialOrder, stepping: Stepping, on_progress: Callable[[], None]) -> EpochReport | None:
        """Starts the processes, or takes those of the trial before; the first of them says that there is progress."""
        del on_progress
        self._order, self._stepping = order, stepping
        if not self._ranks:
            self._ranks = _started(order)
            port = self._all([self._ranks[0].open.remote()])[0]
            self._all([rank.join.remote(port) for rank in self._ranks])
        told = self._all([rank.begin.remote(order.to_config(), stepping) for rank in self._ranks])
        self._last, self._spent_s = told[0]
        return self._last

    @property
    def spent_s(self) -> float:
        """As the first process had it when it began."""
        return self._spent_s

    def run_epoch(self) -> EpochReport:
        """Lets all train it; each of them has the same report."""
        self._last = self._all([rank.run_epoch.remote() for rank in self._ranks])[0]
        return self._last

    def failed(self, cause: str) -> TrialResult | None:
        """What the trial's last report came to."""
        if self._last is None:
            return None
        words = "; ".join(filter(None, (cause, self._stepping.note)))
        chance = Objective.of(self._order.objectives).chance
        return replace(self._last.result, status="failed", cause=words, objective=chance)

    def drop(self) -> None:
        """The processes stay for the next trial."""
        self._last = None
        for rank in self._ranks:
            rank.drop.remote()

    def close(self) -> None:
        """Ends the processes."""
        for rank in self._ranks:
            with contextlib.suppress(Exception):  # Ray may be gone
                ray.kill(rank)
        self._ranks = []

    def _all(self, answers: Sequence[Any]) -> list[Any]:
        """What all say. Where one fails, the others would wait for it: they are ended.

        Raises:
            Exception: what one of them raised.
            ConnectionError: one of them died.
        """
        waiting = list(answers)
        try:
            while waiting:
                done, waiting = ray.wait(waiting)
                ray.get(done)
            return ray.get(list(answers))
        except RayTaskError as error:
            self.close()
            raise error.cause from error
        except RayActorError as error:
            self.close()
            raise ConnectionError("one of the processes of the trial died") from error


def _started(order: TrialOrder) -> list[Any]:
    count = int(order.gpus)
    group = get_current_placement_group()
    assert group is not None, "the worker of a trial of several GPUs is in a placement group"
    actor: Any = ray.remote(Rank)
    return [
        actor.options(
            num_cpus=order.cpus / count,
            num_gpus=1,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank),
        ).remote(rank, count)
        for rank in range(count)
    ]
