"""Labels that are wrong on purpose, and identities that are shown more often than others."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hpstudy.data import noisy_labels, rows_shown


def labels_of(num_classes: int, each: int) -> Tensor:
    return torch.arange(num_classes).repeat_interleave(each)


@given(st.integers(2, 20), st.integers(1, 12), st.floats(0, 0.99), st.integers(0, 2**32))
def test_exactly_the_share_is_wrong(num_classes: int, each: int, share: float, seed: int) -> None:
    labels = labels_of(num_classes, each)
    noisy = noisy_labels(labels, num_classes, share, seed)
    assert int((noisy != labels).sum()) == round(share * len(labels))
    assert noisy.dtype == torch.int64
    assert 0 <= noisy.min() <= noisy.max() < num_classes
    assert torch.equal(labels, labels_of(num_classes, each)), "the true labels are left alone"
    assert torch.equal(noisy, noisy_labels(labels, num_classes, share, seed))


def test_without_noise_nothing_changes() -> None:
    labels = labels_of(5, 4)
    assert noisy_labels(labels, 5, 0.0, 0) is labels
    assert noisy_labels(labels, 5, 0.02, 0) is labels  # less than half a sample of twenty


def test_another_seed_makes_others_wrong() -> None:
    labels = labels_of(10, 20)
    first, second = (noisy_labels(labels, 10, 0.2, seed) != labels for seed in (0, 1))
    assert 0 < int((first & second).sum()) < int(first.sum())


def test_every_other_class_is_as_likely_and_every_sample_too() -> None:
    """χ² with 3 degrees of freedom is above 16.3 once in a thousand, with 99 above 148.2."""
    labels = labels_of(4, 25)
    moved, hit = torch.zeros(4), torch.zeros(100)
    draws = 800
    for seed in range(draws):
        noisy = noisy_labels(labels, 4, 0.3, seed)
        shift = (noisy - labels) % 4
        moved += shift.bincount(minlength=4)
        hit += (shift > 0).float()
    assert moved[0] == 70 * draws
    expected = torch.full((3,), 30 * draws / 3)
    assert float(((moved[1:] - expected) ** 2 / expected).sum()) < 16.3
    assert hit.sum() == 30 * draws
    # 30 of 100 without replacement: the variance of a count is 0.7 of its mean.
    assert float(((hit - 0.3 * draws) ** 2 / (0.3 * draws * 0.7)).sum()) < 148.2


def test_balanced_rows_are_shown_once_each() -> None:
    labels = labels_of(7, 3)
    assert torch.equal(rows_shown(labels, 7, 1.0), torch.arange(21))


@pytest.mark.parametrize(
    ("imbalance", "visits"),
    [(100.0, [100, 10, 1]), (4.0, [4, 2, 1]), (2.0, [2, 1, 1]), (1.4, [1, 1, 1]), (1000.0, [1000, 32, 1])],
)
def test_visits_fall_in_a_geometric_sequence(imbalance: float, visits: list[int]) -> None:
    labels = labels_of(3, 2)
    shown = rows_shown(labels, 3, imbalance)
    assert shown.dtype == torch.int64
    assert torch.equal(shown, shown.sort().values)
    assert shown.bincount(minlength=6).tolist() == [count for count in visits for _ in range(2)]


@given(st.integers(2, 40), st.integers(1, 5), st.floats(1, 200))
def test_every_sample_is_shown_and_classes_fall(num_classes: int, each: int, imbalance: float) -> None:
    labels = labels_of(num_classes, each)
    counts = rows_shown(labels, num_classes, imbalance).bincount(minlength=len(labels)).view(num_classes, each)
    assert (counts == counts[:, :1]).all(), "the samples of a class are alike"
    assert int(counts[0, 0]) == round(imbalance)
    assert int(counts[-1, 0]) == 1
    assert (counts[1:] <= counts[:-1]).all()


def test_samples_may_stand_in_any_order() -> None:
    labels = torch.tensor([2, 0, 1, 0])
    assert rows_shown(labels, 3, 9.0).tolist() == [0] + [1] * 9 + [2] * 3 + [3] * 9
