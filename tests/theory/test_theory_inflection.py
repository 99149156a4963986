"""AdaCos' own condition solved exactly, and where the posterior is really steepest."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.theory import adacos_exact_scale, adacos_fixed_scale, steepest_angle, target_posterior

CLASSES = st.integers(2, 10_000_000)
ANGLES = st.floats(0, math.pi)


@pytest.mark.parametrize(("classes", "expected"), [(10575, 12.7903), (85742, 15.8105), (100, 5.7939)])
def test_exact_scale_at_45_degrees_matches_its_oracles(classes, expected):
    assert adacos_exact_scale(classes, math.pi / 4) == pytest.approx(expected, abs=5e-5)
    assert adacos_exact_scale(classes, math.pi / 4) < adacos_fixed_scale(classes)


@pytest.mark.parametrize(("classes", "degrees"), [(10, 45), (100, 35), (10575, 20), (85742, 15)])
def test_no_scale_is_exact_for_few_classes_or_small_angles(classes, degrees):
    assert np.isnan(adacos_exact_scale(classes, np.radians(np.arange(degrees + 1)))).all()


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(10575, (46.24, 34.80, 30.05, 27.69, 27.01)), (10, (57.06, 54.45, 53.83, 53.59, 53.53))],
)
def test_steepest_angle_under_adacos_scale_is_not_the_median_angle(classes, expected):
    scale = math.log(classes - 1) / np.cos(np.radians([45, 30, 20, 10, 1]))
    assert np.degrees(steepest_angle(scale, math.log(classes - 1))) == pytest.approx(expected, abs=5e-3)


@settings(deadline=None)
@given(classes=CLASSES, theta=ANGLES)
def test_exact_scale_meets_the_condition_or_is_nan(classes, theta):
    scale = adacos_exact_scale(classes, theta)
    if math.isnan(scale):
        return
    assert 0 < scale <= math.log(classes - 1) / math.cos(theta) * (1 + 1e-12)
    assert steepest_angle(scale, math.log(classes - 1)) == pytest.approx(theta, abs=1e-6)
    # And no larger scale does.
    larger = np.linspace(scale, math.log(classes - 1) / math.cos(theta), 50)[1:]
    assert (steepest_angle(larger, math.log(classes - 1)) > theta - 1e-9).all()


@settings(deadline=None)
@given(scale=st.floats(0.01, 200), log_b=st.floats(-5, 20))
def test_nothing_is_steeper_than_the_steepest_angle(scale, log_b):
    def slope(angle):
        posterior = target_posterior(angle, scale, 0.0, log_b)
        return scale * np.sin(angle) * posterior * (1 - posterior)

    best = slope(steepest_angle(scale, log_b))
    assert (slope(np.linspace(0, math.pi, 1000)) <= best * (1 + 1e-9)).all()


def test_the_limits_of_the_steepest_angle():
    assert steepest_angle(0.0, 3.0) == pytest.approx(math.pi / 2)
    # P is negligible everywhere: the slope of e^{cos θ} is steepest where cos θ = sin²θ.
    assert math.cos(steepest_angle(1.0, 500.0)) == pytest.approx((math.sqrt(5) - 1) / 2)
    assert steepest_angle(1e4, 16.0) == pytest.approx(math.acos(16e-4), abs=1e-4)


def test_arrays_broadcast_and_scalars_give_floats():
    assert adacos_exact_scale(np.array([[100], [10575]]), np.radians([45, 60])).shape == (2, 2)
    assert type(adacos_exact_scale(10, 0.5)) is float
    assert type(steepest_angle(10, 3)) is float
    assert steepest_angle([1.0, 2.0], [[1.0], [2.0], [3.0]]).shape == (3, 2)
