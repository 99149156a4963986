"""The processes that train one trial together."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hpstudy.losses import DataParallel, OneProcess, Parallel

T = TypeVar("T")


class Ranks(ABC):
    """What a trial asks of the other processes that train it.

    All processes have the same weights and see the same batches, of which each takes its part; the first alone judges
    the network and keeps the record. Every method is collective: each process must make the same calls.
    """

    rank: int = 0
    """0 is the first."""
    parallel: Parallel
    """The same for the head."""

    @abstractmethod
    def prepare(self, model: nn.Module) -> nn.Module:
        """The network, its batch statistics those of the whole batch where they can be."""

    @abstractmethod
    def part(self, batch: Tensor) -> Tensor:
        """The rows of this process."""

    @abstractmethod
    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Puts the mean over the processes in place of each gradient."""

    @abstractmethod
    def mean(self, value: Tensor) -> Tensor:
        """The mean of a 0-d tensor over the processes, without gradient."""

    @abstractmethod
    def total(self, value: Tensor) -> Tensor:
        """The sum over the processes, without gradient."""

    @abstractmethod
    def of_first(self, work: Callable[[], T]) -> T:
        """Does the work in the first process and gives all of them what came of it."""


class OneRank(Ranks):
    """This process alone."""

    def __init__(self) -> None:
        self.parallel = OneProcess()

    def prepare(self, model: nn.Module) -> nn.Module:
        """As it is."""
        return model

    def part(self, batch: Tensor) -> Tensor:
        """All."""
        return batch

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Nothing to do."""

    def mean(self, value: Tensor) -> Tensor:
        """Itself."""
        return value

    def total(self, value: Tensor) -> Tensor:
        """Itself."""
        return value

    def of_first(self, work: Callable[[], T]) -> T:
        """Does it."""
        return work()


class ManyRanks(Ranks):
    """The default group of torch.distributed, with a device each.

    Args:
        device: Of this process. On GPUs batch normalisation takes its statistics from the whole batch; on the CPU, for
            which torch has no such thing, from the part of each process.

    Raises:
        InputError: torch.distributed is not initialised.
    """

    def __init__(self, device: torch.device) -> None:
        self.parallel = DataParallel()
        self.rank = dist.get_rank()
        self._count = dist.get_world_size()
        self._device = device

    def prepare(self, model: nn.Module) -> nn.Module:
        """Synchronised batch normalisation on GPUs."""
        if self._device.type != "cuda":
            return model
        prepared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return prepared

    def part(self, batch: Tensor) -> Tensor:
        """As many rows to each process, in the order of ranks."""
        return batch.chunk(self._count)[self.rank]

    @torch.no_grad()
    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """One call for all gradients."""
        graded = [each for each in parameters if each.grad is not None]
        if not graded:
            return
        flat = torch.cat([each.grad.flatten() for each in graded if each.grad is not None])
        dist.all_reduce(flat)
        flat /= self._count
        for each, mean in zip(graded, flat.split([each.numel() for each in graded]), strict=True):  # type: ignore[no-untyped-call]
            assert each.grad is not None
            each.grad.copy_(mean.view_as(each))

    def mean(self, value: Tensor) -> Tensor:
        """By one call."""
        return self.total(value) / self._count

    def total(self, value: Tensor) -> Tensor:
        """By one call."""
        summed = value.detach().clone()
        dist.all_reduce(summed)
        return summed

    def of_first(self, work: Callable[[], T]) -> T:
        """As a pickle."""
        box: list[T | None] = [work() if self.rank == 0 else None]
        dist.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]
