"""Where the samples and the classes of a head are: in one process, samples over ranks, or classes over ranks.

Shapes: N samples of this rank, G samples that the loss is taken over, C classes.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from hpstudy.exceptions import InputError


class Parallel:
    """What a head asks of the other ranks.

    A head's statistics and its adaptive parts follow the global batch: θ_med is the median of all its target angles
    and B_avg its mean, so that every rank steps to the same s. All methods but `classes` are collective: each rank of
    the group must make the same calls.

    A value that all ranks of class shards go on to use in the same way has its whole gradient on each of them; one
    that each uses with its own classes has a part of it, and the parts are summed. The `_for_classes` methods are for
    the second kind.
    """

    def classes(self, num_classes: int) -> range:
        """Which of the C classes have their prototypes here."""
        return range(num_classes)

    def batch(self, local: Tensor) -> Tensor:
        """The samples that the loss is taken over, from this rank's: (N, …) to (G, …)."""
        return local

    def batch_for_classes(self, local: Tensor) -> Tensor:
        """As `batch`, for what meets the prototypes."""
        return local

    def of_owners(self, value: Tensor) -> Tensor:
        """The sum over the ranks that share the classes, where all but one hold 0."""
        return value

    def of_owners_for_classes(self, value: Tensor) -> Tensor:
        """As `of_owners`, for what meets the prototypes again."""
        return value

    def gathered(self, *per_sample: Tensor) -> tuple[Tensor, ...]:
        """One number a sample of `batch` to one number a sample of the global batch, in one call for all vectors."""
        return per_sample

    def total(self, value: Tensor) -> Tensor:
        """The sum over the ranks that share the classes, without gradient."""
        return value

    def log_total(self, value: Tensor) -> Tensor:
        """The log-sum-exp over the ranks that share the classes, without gradient."""
        return value

    def largest(self, value: Tensor) -> Tensor:
        """The maximum over the ranks that share the classes, without gradient."""
        return value


class OneProcess(Parallel):
    """Everything is here."""


class DataParallel(Parallel):
    """Each rank has all prototypes and its part of the batch; the head is wrapped in `DistributedDataParallel`.

    The loss is the mean over the rank's own samples; averaging the gradients over ranks makes it the mean over all.

    Args:
        group: Ranks that share the batch, each with equally many samples; None is the default group.

    Raises:
        InputError: If torch.distributed is not initialised.
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group = _initialised(group)

    @torch.no_grad()
    def gathered(self, *per_sample: Tensor) -> tuple[Tensor, ...]:
        """The samples of all ranks, in the order of ranks."""
        return _all_gather(torch.stack(per_sample, dim=1), self.group).unbind(1)


class ClassShards(Parallel):
    """Each rank has its part of the batch and a slice of the prototypes, and takes the loss over the whole batch.

    Rank r of R holds classes ⌊rC/R⌋ to ⌊(r+1)C/R⌋ − 1. Every rank computes the same loss, the mean over the global
    batch. The gradient of a prototype is exact, so the head must stay outside `DistributedDataParallel`. The gradient
    of this rank's embeddings is R times that of the loss, because a backbone in `DistributedDataParallel` averages over
    ranks what is to be summed.

    Args:
        group: Ranks that share batch and classes, each with equally many samples; None is the default group.

    Raises:
        InputError: If torch.distributed is not initialised.
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group = _initialised(group)

    def classes(self, num_classes: int) -> range:
        """This rank's slice.

        Raises:
            InputError: If there are more ranks than classes.
        """
        rank, ranks = dist.get_rank(self.group), dist.get_world_size(self.group)
        if num_classes < ranks:
            raise InputError(f"num_classes must be at least the number of ranks, {ranks}, but got {num_classes}")
        return range(rank * num_classes // ranks, (rank + 1) * num_classes // ranks)

    def batch(self, local: Tensor) -> Tensor:
        """All ranks' samples, in the order of ranks."""
        gathered: Tensor = _Gather.apply(local, self.group, False)  # type: ignore[no-untyped-call]
        return gathered

    def batch_for_classes(self, local: Tensor) -> Tensor:
        """As `batch`; backward sums what all classes say of a sample."""
        gathered: Tensor = _Gather.apply(local, self.group, True)  # type: ignore[no-untyped-call]
        return gathered

    def of_owners(self, value: Tensor) -> Tensor:
        """The sum over ranks; backward leaves the gradient as it is."""
        summed: Tensor = _Sum.apply(value, self.group, False)  # type: ignore[no-untyped-call]
        return summed

    def of_owners_for_classes(self, value: Tensor) -> Tensor:
        """The sum over ranks; backward sums the gradients too."""
        summed: Tensor = _Sum.apply(value, self.group, True)  # type: ignore[no-untyped-call]
        return summed

    @torch.no_grad()
    def total(self, value: Tensor) -> Tensor:
        """The sum over ranks."""
        return _all_reduce(value, dist.ReduceOp.SUM, self.group)

    @torch.no_grad()
    def log_total(self, value: Tensor) -> Tensor:
        """The log-sum-exp over ranks."""
        largest = _all_reduce(value, dist.ReduceOp.MAX, self.group)
        limits = torch.finfo(largest.dtype)
        finite = largest.clamp(limits.min, limits.max)  # ∞ − ∞ is no number
        return finite + _all_reduce((value - finite).exp(), dist.ReduceOp.SUM, self.group).log()

    @torch.no_grad()
    def largest(self, value: Tensor) -> Tensor:
        """The maximum over ranks."""
        return _all_reduce(value, dist.ReduceOp.MAX, self.group)


class _Gather(torch.autograd.Function):
    """The rows of all ranks; backward this rank's rows, times the number of ranks (see `ClassShards`)."""

    @staticmethod
    def forward(ctx: Any, local: Tensor, group: dist.ProcessGroup, sum_gradients: bool) -> Tensor:
        ctx.group, ctx.sum_gradients = group, sum_gradients
        return _all_gather(local, group)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        ranks = dist.get_world_size(ctx.group)
        if ctx.sum_gradients:
            grad = _all_reduce(grad, dist.ReduceOp.SUM, ctx.group)
        return grad.chunk(ranks)[dist.get_rank(ctx.group)] * ranks, None, None


class _Sum(torch.autograd.Function):
    """The sum over ranks."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, group: dist.ProcessGroup, sum_gradients: bool) -> Tensor:
        ctx.group, ctx.sum_gradients = group, sum_gradients
        return _all_reduce(value, dist.ReduceOp.SUM, group)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        if ctx.sum_gradients:
            grad = _all_reduce(grad, dist.ReduceOp.SUM, ctx.group)
        return grad, None, None


def _initialised(group: dist.ProcessGroup | None) -> dist.ProcessGroup:
    if not dist.is_available() or not dist.is_initialized():
        raise InputError(
            "a head over several ranks needs torch.distributed.init_process_group to have been called; "
            "for one process leave `parallel` out"
        )
    if group is not None:
        return group
    default = dist.group.WORLD
    assert default is not None
    return default


def _all_gather(value: Tensor, group: dist.ProcessGroup) -> Tensor:
    value = value.detach().contiguous()
    parts = [torch.empty_like(value) for _ in range(dist.get_world_size(group))]
    dist.all_gather(parts, value, group=group)
    return torch.cat(parts)


def _all_reduce(value: Tensor, operation: Any, group: dist.ProcessGroup) -> Tensor:
    reduced = value.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(reduced, operation, group=group)
    return reduced
