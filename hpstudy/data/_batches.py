"""The order in which an epoch visits the training images."""

import torch
from torch import Tensor

from hpstudy.exceptions import InputError
from hpstudy.seeds import derive_seed


def batches(num_examples: int, batch_size: int, epoch: int, seed: int) -> Tensor:
    """Shuffled indices of an epoch's batches, a function of the arguments alone.

    A resumed trial sees the batches that the interrupted one would have seen, without replaying earlier epochs. The
    examples left over after the last whole batch, other ones each epoch, are dropped.

    Returns:
        (num_examples // batch_size, batch_size) int64, on the CPU.

    Raises:
        InputError: There are fewer examples than one batch needs.
    """
    if batch_size > num_examples:
        raise InputError(
            f"training.batch_size must be at most the number of training images, which is {num_examples}, but it is "
            f"{batch_size}; lower it or train on more identities"
        )
    generator = torch.Generator().manual_seed(derive_seed("batches", seed, epoch))
    order = torch.randperm(num_examples, generator=generator)
    return order[: num_examples - num_examples % batch_size].view(-1, batch_size)
