"""Where a trial trains: in the worker's own process."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

import torch

from hpstudy.execution._order import TrialOrder
from hpstudy.record import TrialResult
from hpstudy.training import (
    EpochReport,
    Objective,
    OneRank,
    Ranks,
    Stepping,
    TrialRun,
    load_trial_data,
    make_ready,
    peak_memory_mb,
    pick_device,
)

T = TypeVar("T")


class OutOfMemory(Exception):
    """A trial ran out of memory; holds on to none of it.

    Args:
        peak_mb: Peak memory of the trial in MiB.
        told: What torch said.
    """

    def __init__(self, peak_mb: float, told: str) -> None:
        super().__init__(peak_mb, told)
        self.peak_mb = peak_mb
        self.told = told


class Host(ABC):
    """Trains trials, one after the other."""

    @abstractmethod
    def begin(self, order: TrialOrder, stepping: Stepping, on_progress: Callable[[], None]) -> EpochReport | None:
        """Takes a trial, or takes it again; gives the report of the checkpoint that it goes on from, if there is one.

        Raises:
            OutOfMemory: there is not enough.
        """

    @property
    @abstractmethod
    def spent_s(self) -> float:
        """Seconds of training that the trial's attempts have come to."""

    @abstractmethod
    def run_epoch(self) -> EpochReport:
        """Trains the next epoch.

        Raises:
            OutOfMemory: there is not enough.
        """

    @abstractmethod
    def failed(self, cause: str) -> TrialResult | None:
        """The trial's result if an error ends it now; None if it has not come to anything."""

    @abstractmethod
    def drop(self) -> None:
        """Lets go of the trial and of what it holds."""

    def close(self) -> None:
        """No trial will follow."""
        self.drop()


class OwnProcess(Host):
    """Trains in this process.

    Args:
        company: Gives the ranks that train the trial together, from the device of this one; called for each trial.
    """

    def __init__(self, company: Callable[[torch.device], Ranks] = lambda device: OneRank()) -> None:
        self._company = company
        self._run: TrialRun | None = None

    def begin(self, order: TrialOrder, stepping: Stepping, on_progress: Callable[[], None]) -> EpochReport | None:
        """Makes the device ready, reads the data and sets the trial up."""
        torch.set_num_threads(max(1, math.ceil(order.cpus)))
        self._device = pick_device(order.gpus)
        make_ready(self._device, order.gpus)

        def made() -> TrialRun:
            return TrialRun(
                order.request,
                order.settings,
                order.folder,
                load_trial_data(order.settings.data, order.datasets, self._device),
                self._device,
                Objective.of(order.objectives),
                stepping=stepping,
                ranks=self._company(self._device),
                gpus=order.gpus,
                on_progress=on_progress,
            )

        self._run = self._within_memory(made)
        return self._run.restored

    @property
    def spent_s(self) -> float:
        """As the run says."""
        return self._run.spent_s if self._run else 0.0

    def run_epoch(self) -> EpochReport:
        """Trains it here."""
        assert self._run is not None, "a trial is begun first"
        return self._within_memory(self._run.run_epoch)

    def failed(self, cause: str) -> TrialResult | None:
        """As the run says."""
        return self._run.failed(cause) if self._run else None

    def drop(self) -> None:
        """Forgets the run."""
        self._run = None

    def _within_memory(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except torch.OutOfMemoryError as error:
            told = str(error)
        # Outside of the handler: its traceback holds the tensors that took the memory.
        raise OutOfMemory(peak_memory_mb(self._device), told)
