"""The order in which an epoch visits the training samples, of passes, parts of passes and several."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hpstudy.data import batches
from hpstudy.exceptions import InputError

PLAIN = [[5, 2, 1], [8, 6, 3], [0, 7, 9]]
"""Of ten samples by threes, epoch 2 of seed 11, before an epoch could be anything but a pass."""


def test_a_plain_pass_is_what_it_always_was() -> None:
    assert batches(10, 3, 2, 11).tolist() == PLAIN


sizes = st.tuples(st.integers(1, 60), st.integers(1, 20)).filter(lambda pair: pair[1] <= pair[0])


@given(sizes, st.integers(1, 9), st.integers(0, 2**40))
def test_as_many_steps_as_a_pass_has_are_a_pass(size: tuple[int, int], epoch: int, seed: int) -> None:
    examples, batch = size
    plain = batches(examples, batch, epoch, seed)
    assert torch.equal(batches(examples, batch, epoch, seed, steps=len(plain)), plain)


@given(sizes, st.integers(1, 9), st.integers(0, 2**40), st.integers(1, 50))
def test_parts_of_a_pass_and_several_passes(size: tuple[int, int], epoch: int, seed: int, steps: int) -> None:
    examples, batch = size
    of_pass = examples // batch
    plan = batches(examples, batch, epoch, seed, steps=steps)
    assert plan.shape == (steps, batch)
    assert plan.dtype == torch.int64
    assert 0 <= plan.min() <= plan.max() < examples
    for start in range(0, steps, of_pass):
        of_one = plan[start : start + of_pass].flatten()
        assert len(of_one.unique()) == len(of_one), "within a pass no sample comes twice"
    assert torch.equal(plan[:of_pass], batches(examples, batch, epoch, seed)[:steps])
    assert torch.equal(plan, batches(examples, batch, epoch, seed, steps=steps))
    longer = batches(examples, batch, epoch, seed, steps=steps + 3)
    assert torch.equal(longer[:steps], plan), "fewer steps are the beginning of more"


def test_passes_of_an_epoch_and_epochs_have_orders_of_their_own() -> None:
    orders = [
        tuple(batches(64, 64, epoch, seed, steps=4)[number].tolist())
        for epoch in range(1, 4)
        for seed in range(3)
        for number in range(4)
    ]
    assert len(set(orders)) == len(orders) == 36


def test_every_sample_comes_as_often_over_whole_passes() -> None:
    counts = batches(12, 4, 1, 0, steps=15).flatten().bincount(minlength=12)
    assert counts.tolist() == [5] * 12


def test_too_few_examples_are_refused_whatever_the_steps() -> None:
    with pytest.raises(InputError, match=r"training\.batch_size must be at most the number of training images, which"):
        batches(5, 6, 1, 0, steps=2)
