"""The rules of early stopping, as functions of values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpstudy.search._early_stopping import MedianStopping, NoStopping, SuccessiveHalving, make_early_stopping
from hpstudy.spec import EarlyStoppingSpec

ASHA = SuccessiveHalving(grace_epochs=3, reduction_factor=3)


def at(epoch: int, *values: float) -> list[dict[int, float]]:
    return [{epoch: value} for value in values]


def test_halving_decides_at_rungs_only() -> None:
    worst = dict.fromkeys(range(1, 28), 0.0)
    others = [dict.fromkeys(range(1, 28), 1.0)]
    assert [epoch for epoch in range(1, 28) if ASHA.stops(epoch, worst, others)] == [3, 9, 27]


@pytest.mark.parametrize(
    ("own", "others", "stops"),
    [
        (0.1, [], False),  # whoever comes first goes on
        (0.1, [0.2], True),
        (0.2, [0.2], False),  # an equal is not worse
        (0.3, [0.1, 0.2], False),
        (0.2, [0.1, 0.3], True),
        (0.2, [0.1, 0.3, 0.0, 0.05, 0.01], False),  # second of six: two thirds are left behind
        (0.1, [0.2, 0.3, 0.0, 0.05, 0.01], True),
    ],
)
def test_halving_goes_on_with_the_best_third(own: float, others: list[float], stops: bool) -> None:
    assert ASHA.stops(3, {3: own}, at(3, *others)) is stops


def test_halving_ignores_trials_that_did_not_get_to_the_rung() -> None:
    assert not ASHA.stops(9, {9: 0.1}, at(3, 0.5, 0.6))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(2, 5))
def test_halving_stops_at_most_what_its_factor_says(values: list[float], factor: int) -> None:
    rule = SuccessiveHalving(1, factor)
    rows = at(1, *values)
    kept = [row for index, row in enumerate(rows) if not rule.stops(1, row, rows[:index] + rows[index + 1 :])]
    best = max(values)
    assert all(row in kept for row in rows if row[1] == best)
    assert len(kept) >= max(1, len(values) // factor)


def test_median_waits_for_its_grace_and_for_three_others() -> None:
    rule = MedianStopping(grace_epochs=3)
    assert not rule.stops(2, {2: 0.0}, at(2, 1, 1, 1))
    assert not rule.stops(3, {3: 0.0}, at(3, 1, 1))
    assert rule.stops(3, {3: 0.0}, at(3, 1, 1, 1))
    assert not rule.stops(3, {2: 2.0, 3: 0.0}, at(3, 1, 1, 1))


def test_the_words_of_a_study_file() -> None:
    assert isinstance(make_early_stopping(EarlyStoppingSpec(kind="none")), NoStopping)
    assert isinstance(make_early_stopping(EarlyStoppingSpec(kind="median")), MedianStopping)
    rule = make_early_stopping(EarlyStoppingSpec(kind="asha", grace_epochs=2, reduction_factor=2))
    assert rule.stops(4, {4: 0.0}, at(4, 1.0))
    assert not rule.stops(3, {3: 0.0}, at(3, 1.0))
