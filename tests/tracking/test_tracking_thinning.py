import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hpstudy.tracking._thinning import thin

curves = arrays(np.float64, st.integers(1, 300), elements=st.sampled_from([0.0, 1.0]) | st.floats(-1e6, 1e6))


@given(curves, st.integers(4, 60))
def test_few_points_with_ends_and_extremes(values: np.ndarray, max_points: int) -> None:
    kept = thin(values, max_points)
    assert len(kept) <= max_points
    assert (np.diff(kept) > 0).all()
    assert {0, len(values) - 1} <= set(kept.tolist())
    assert values[kept].min() == values.min()
    assert values[kept].max() == values.max()


@given(curves)
def test_flat_stretches_are_dropped_without_loss(values: np.ndarray) -> None:
    kept = thin(values, 1000)
    np.testing.assert_array_equal(np.interp(np.arange(len(values)), kept, values[kept]), values)


def test_a_constant_needs_two_points_and_nothing_needs_none() -> None:
    assert thin(np.full(1000, 64.0), 400).tolist() == [0, 999]
    assert thin(np.empty(0), 400).tolist() == []


def test_a_single_spike_survives() -> None:
    values = np.sin(np.arange(100_000))
    values[54_321] = 9.0
    assert 54_321 in thin(values, 40)
