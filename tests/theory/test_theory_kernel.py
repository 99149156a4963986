"""log A_K(s) against SciPy's Bessel functions, closed forms and its own series' neighbours."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln, i0e, ive

from hpstudy.theory import log_kernel_mean


@pytest.mark.parametrize("dim", [2, 3, 4, 16, 64, 128, 201, 202, 203])
@pytest.mark.parametrize("scale", [20.0, 60.0, 99.0, 101.0, 400.0, 3000.0])
def test_matches_the_bessel_function_where_it_does_not_underflow(dim, scale):
    order = dim / 2 - 1
    expected = gammaln(order + 1) + order * math.log(2 / scale) + math.log(ive(order, scale)) + scale
    assert log_kernel_mean(dim, scale) == pytest.approx(expected, rel=1e-11)


@settings(deadline=None)
@given(scale=st.floats(1e-3, 1e8))
def test_has_its_closed_forms_in_two_and_three_dimensions(scale):
    assert log_kernel_mean(2, scale) == pytest.approx(math.log(i0e(scale)) + scale, rel=1e-9, abs=1e-12)
    log_sinh = scale + math.log(-math.expm1(-2 * scale) / 2)
    assert log_kernel_mean(3, scale) == pytest.approx(log_sinh - math.log(scale), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("dim", "scale", "expected"),
    # mpmath, 50 digits; SciPy's ive is 0 at the first two.
    [(512, 9.0, 0.07908939421048665), (4096, 30.0, 0.10986033613575245), (512, 500.0, 185.94132097572634)],
)
def test_matches_fifty_digits_where_the_bessel_function_underflows_and_beyond(dim, scale, expected):
    assert log_kernel_mean(dim, scale) == pytest.approx(expected, rel=1e-12)


def test_is_the_mean_of_the_kernel_over_random_directions():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(200_000, 16))
    cosine = directions[:, 0] / np.linalg.norm(directions, axis=1)
    assert log_kernel_mean(16, 4.0) == pytest.approx(math.log(np.exp(4 * cosine).mean()), abs=0.01)


@settings(deadline=None)
@given(dim=st.integers(2, 20_000), scale=st.floats(0, 1e6))
def test_lies_between_zero_and_the_gaussian_estimate(dim, scale):
    value = log_kernel_mean(dim, scale)
    assert -1e-15 <= value <= min(scale, scale**2 / (2 * dim)) * (1 + 1e-12) + 1e-15


@pytest.mark.parametrize("dim", [2, 16, 202, 512])
def test_is_smooth_where_the_expansions_meet(dim):
    scale = np.linspace(1, 500, 5000)
    slope = np.diff(log_kernel_mean(dim, scale)) / np.diff(scale)
    assert (np.diff(slope) > -1e-9).all()
    assert (slope < 1).all()


def test_huge_scales_do_not_overflow():
    assert log_kernel_mean(512, 1e300) == pytest.approx(1e300)
    assert log_kernel_mean(512, 0.0) == 0.0
