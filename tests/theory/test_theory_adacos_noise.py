"""The dynamic AdaCos rule among wrong labels: its fixed points, and where it goes from its own start."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hpstudy.theory import (
    FixedPoints,
    adacos_fixed_points,
    adacos_fixed_scale,
    adacos_geometric_fixed_points,
    adacos_noisy_fixed_points,
    adacos_outcome,
    log_kernel_mean,
)

QUARTER = math.pi / 4
SIZES = {"classes": st.integers(3, 1_000_000), "dim": st.integers(2, 1024)}
RULES = [adacos_noisy_fixed_points, adacos_geometric_fixed_points]


def log_b(function, classes, dim, noise, cosine, scale):
    """log B written out, without regard to overflow of what is averaged."""
    log_mean = log_kernel_mean(dim, scale)
    right = math.log(classes - 1) + log_mean
    wrong = np.logaddexp(math.log(classes - 2) + log_mean, scale * cosine)
    if function is adacos_geometric_fixed_points:
        return (1 - noise) * right + noise * wrong
    return float(np.logaddexp(math.log1p(-noise) + right, math.log(noise) + wrong))


@pytest.mark.parametrize("function", RULES)
@settings(max_examples=25)
@given(**SIZES, theta=st.floats(0.05, 1.5), noise=st.floats(1e-4, 0.9), cosine=st.floats(-1, 1))
def test_roots_solve_the_rule_and_are_stable_below_and_unstable_above(function, classes, dim, theta, noise, cosine):
    def next_scale(scale):
        return log_b(function, classes, dim, noise, cosine, scale) / math.cos(min(theta, QUARTER))

    stable, unstable = function(classes, dim, theta, noise, cosine)
    if stable is None:
        assert unstable is None
        scales = np.geomspace(0.1, 1e4, 60)
        assert all(next_scale(float(s)) > s for s in scales)
        return
    assert next_scale(stable) == pytest.approx(stable, rel=1e-9)
    assert next_scale(unstable) == pytest.approx(unstable, rel=1e-9)
    assert next_scale(0.9 * stable) > 0.9 * stable
    assert next_scale(1.1 * unstable) > 1.1 * unstable
    middle = (stable + unstable) / 2
    assert next_scale(middle) <= middle * (1 + 1e-12)


@pytest.mark.parametrize("function", RULES)
@settings(max_examples=25)
@given(**SIZES, theta=st.floats(0, math.pi), cosine=st.floats(-1, 1))
def test_without_noise_it_is_the_rule_without_noise(function, classes, dim, theta, cosine):
    assert function(classes, dim, theta, 0.0, cosine) == adacos_fixed_points(classes, dim, theta)


@pytest.mark.parametrize("function", RULES)
@settings(max_examples=25)
@given(**SIZES, theta=st.floats(0.05, QUARTER), cosine=st.floats(-1, 1))
def test_a_little_noise_changes_little(function, classes, dim, theta, cosine):
    before, after = adacos_fixed_points(classes, dim, theta), function(classes, dim, theta, 1e-300, cosine)
    if before.stable is not None and before.unstable > before.stable * (1 + 1e-6):
        assert after.stable == pytest.approx(before.stable, rel=1e-6)


@pytest.mark.parametrize("function", RULES)
@settings(max_examples=25)
@given(**SIZES, theta=st.floats(0.05, QUARTER), excess=st.floats(0, 1), noise=st.tuples(*[st.floats(0, 1)] * 2))
def test_noise_brings_the_roots_together(function, classes, dim, theta, excess, noise):
    """Where the mislabelled samples are nearer to their true class than the median is to its own."""
    cosine = math.cos(theta) + excess * (1 - math.cos(theta))
    less, more = (function(classes, dim, theta, share, cosine) for share in sorted(noise))
    if more.stable is None:
        return
    assert less.stable is not None
    assert less.stable <= more.stable * (1 + 1e-7)
    assert more.unstable is None or less.unstable >= more.unstable * (1 - 1e-7)


@settings(max_examples=25)
@given(**SIZES, theta=st.floats(0.05, QUARTER), noise=st.floats(0.01, 0.9), cosine=st.floats(0, 1))
def test_the_geometric_mean_rests_no_higher(classes, dim, theta, noise, cosine):
    arithmetic = adacos_noisy_fixed_points(classes, dim, theta, noise, cosine)
    geometric = adacos_geometric_fixed_points(classes, dim, theta, noise, cosine)
    assume(arithmetic.stable is not None)
    assert geometric.stable <= arithmetic.stable * (1 + 1e-7)
    assert geometric.unstable >= arithmetic.unstable * (1 - 1e-7)


@settings(max_examples=25)
@given(**SIZES, theta=st.floats(0.05, QUARTER), noise=st.floats(0.001, 0.5), excess=st.floats(0.05, 1))
def test_the_unstable_root_lies_below_that_of_the_mislabelled_alone(classes, dim, theta, noise, excess):
    cosine = math.cos(theta) + excess * (1 - math.cos(theta))
    unstable = adacos_noisy_fixed_points(classes, dim, theta, noise, cosine).unstable
    if unstable is not None:
        assert unstable <= math.log(1 / noise) / (cosine - math.cos(theta)) * (1 + 1e-9)


def test_one_wrong_label_in_a_hundred_is_borne_at_the_size_of_casia_and_one_in_ten_is_not():
    """C = 10575, K = 512, 45°, c₋ = 0.9: stable at 13.5668 with 1 %; s₀ = 13.10 runs away at once with 10 %."""
    start = adacos_fixed_scale(10_575)
    few = adacos_noisy_fixed_points(10_575, 512, QUARTER, 0.01, 0.9)
    assert few.stable == pytest.approx(13.5668, abs=2e-4)
    alone = math.log(100) / (0.9 - math.cos(QUARTER))
    assert alone == pytest.approx(23.87, abs=0.01)
    assert 0.9 * alone < few.unstable < alone
    assert adacos_outcome(10_575, 512, QUARTER, 0.01, 0.9) == "rests"
    assert math.log(10) / (0.9 - math.cos(QUARTER)) == pytest.approx(11.94, abs=0.01)
    assert math.log(10) / (0.9 - math.cos(QUARTER)) < start
    assert adacos_noisy_fixed_points(10_575, 512, QUARTER, 0.1, 0.9) == (None, None)
    assert adacos_outcome(10_575, 512, QUARTER, 0.1, 0.9) == "runs away"
    assert adacos_geometric_fixed_points(10_575, 512, QUARTER, 0.1, 0.9).outcome(start) == "rests"


def test_the_runaway_at_the_size_of_casia_step_by_step():
    course = [adacos_fixed_scale(10_575)]
    for _ in range(12):
        course.append(log_b(adacos_noisy_fixed_points, 10_575, 512, 0.1, 0.9, course[-1]) / math.cos(QUARTER))
    assert course[:3] == pytest.approx([13.10, 14.36, 15.41], abs=0.01)
    assert course[-1] == pytest.approx(52.8, rel=0.02)


@settings(max_examples=25)
@given(**SIZES, theta=st.floats(0.05, 3), noise=st.floats(1e-4, 0.9), cosine=st.floats(-1, 1))
def test_the_outcome_is_where_the_iteration_goes(classes, dim, theta, noise, cosine):
    points = adacos_noisy_fixed_points(classes, dim, theta, noise, cosine)
    start = adacos_fixed_scale(classes)
    if points.stable is not None:  # a start at a fixed point, or one that all but touches, takes for ever to leave
        assume(points.unstable > 1.1 * points.stable and not 0.99 < start / points.unstable < 1.01)
    scale, outcome = start, adacos_outcome(classes, dim, theta, noise, cosine)
    for _ in range(1000):
        scale = log_b(adacos_noisy_fixed_points, classes, dim, noise, cosine, scale) / math.cos(min(theta, QUARTER))
        if scale > 1e4 * (1 + (points.unstable or 0)):
            break
    if outcome == "rests":
        assert scale == pytest.approx(points.stable, rel=1e-3)
    elif points.stable is not None:
        assert scale > points.unstable
    else:
        assert scale > start


def test_it_matches_a_simulated_batch():
    """A tenth mislabelled of 20000 samples at c₋ = 0.8 among C = 50 classes in K = 16 dimensions, at 30°."""
    rng = np.random.default_rng(0)
    cosines = rng.beta(7.5, 7.5, size=(20_000, 49)) * 2 - 1
    cosines[:2000, 0] = 0.8
    scale = adacos_fixed_scale(50)
    for _ in range(60):
        scale = math.log(np.exp(scale * cosines).sum(axis=1).mean()) / math.cos(math.radians(30))
    assert scale == pytest.approx(adacos_noisy_fixed_points(50, 16, math.radians(30), 0.1, 0.8).stable, rel=5e-3)


@pytest.mark.parametrize("function", RULES)
@pytest.mark.parametrize("classes", [2, 3, 10_000_000])
@pytest.mark.parametrize("dim", [2, 512])
@pytest.mark.parametrize("theta", [0.0, 1e-7, QUARTER])
def test_extremes_are_finite_and_in_order(function, classes, dim, theta):
    for noise in (5e-324, 0.5, 1 - 2**-53, 1.0):
        for cosine in (-1.0, math.cos(theta), 1.0):
            stable, unstable = function(classes, dim, theta, noise, cosine)
            assert stable is None or (math.isfinite(stable) and stable >= 0)
            assert unstable is None or (math.isfinite(unstable) and unstable >= stable * (1 - 1e-12))
            assert FixedPoints(stable, unstable).outcome(adacos_fixed_scale(classes)) in ("rests", "runs away")


def test_all_labels_wrong():
    """Both means are one, and mislabelled samples at their true class leave no fixed point at any angle."""
    for theta in (0.0, 0.3, QUARTER):
        assert adacos_noisy_fixed_points(100, 16, theta, 1.0, 1.0) == (None, None)
        one, other = (function(100, 64, theta, 1.0, 0.5) for function in RULES)
        assert one.stable == pytest.approx(other.stable, rel=1e-12)


def test_two_classes_start_at_rest():
    assert adacos_noisy_fixed_points(2, 16, QUARTER, 0.1, 0.9).stable == 0.0
    assert adacos_noisy_fixed_points(2, 16, QUARTER, 0.9, 0.9) == (0.0, 0.0)
    assert adacos_noisy_fixed_points(2, 16, QUARTER, 1.0, 0.5) == (0.0, None)
    assert adacos_outcome(2, 16, QUARTER, 0.9, 0.9) == "rests"


def test_the_rule_takes_a_quarter_turn_at_most():
    for function in RULES:
        assert function(1000, 512, 1.5, 0.02, 0.8) == function(1000, 512, QUARTER, 0.02, 0.8)


def test_outcomes_of_fixed_points():
    assert FixedPoints(None, None).outcome(1.0) == "runs away"
    assert FixedPoints(3.0, None).outcome(1e9) == "rests"
    assert FixedPoints(3.0, 9.0).outcome(9.0) == "rests"
    assert FixedPoints(3.0, 9.0).outcome(9.1) == "runs away"
