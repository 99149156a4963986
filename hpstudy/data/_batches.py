"""The order in which an epoch visits the training samples."""

import torch
from torch import Tensor

from hpstudy.exceptions import InputError
from hpstudy.seeds import derive_seed


def batches(num_examples: int, batch_size: int, epoch: int, seed: int, *, steps: int | None = None) -> Tensor:
    """Shuffled indices of an epoch's batches, a function of the arguments alone.

    A resumed trial sees the batches that the interrupted one would have seen, without replaying earlier epochs. The
    examples left over after the last whole batch of a pass, other ones each time, are dropped.

    Args:
        num_examples: N.
        batch_size: Examples a batch.
        epoch: 1-based.
        seed: Training seed.
        steps: Batches of the epoch, which may be a part of a pass or several; None is one pass.

    Returns:
        (N // batch_size, or steps, batch_size) int64, on the CPU.

    Raises:
        InputError: There are fewer examples than one batch needs.
    """
    if batch_size > num_examples:
        raise InputError(
            f"training.batch_size must be at most the number of training images, which is {num_examples}, but it is "
            f"{batch_size}; lower it or train on more identities"
        )
    of_pass = num_examples // batch_size
    wanted = of_pass if steps is None else steps
    passes = [_pass(num_examples, batch_size, epoch, seed, number) for number in range(-(-wanted // of_pass))]
    return torch.cat(passes)[:wanted]


def _pass(num_examples: int, batch_size: int, epoch: int, seed: int, number: int) -> Tensor:
    # The first pass of an epoch is seeded without its number, as where an epoch is one pass.
    parts = (seed, epoch) if number == 0 else (seed, epoch, number)
    generator = torch.Generator().manual_seed(derive_seed("batches", *parts))
    order = torch.randperm(num_examples, generator=generator)
    return order[: num_examples - num_examples % batch_size].view(-1, batch_size)
