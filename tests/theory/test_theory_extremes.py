"""Nothing overflows, warns or turns round anywhere in C = 2 … 10^7, K = 2 … 4096, P = 1e-12 … 1 − 1e-12, s ≤ 10^4."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpstudy import theory

CLASSES = st.one_of(st.integers(2, 100), st.integers(2, 10_000_000))
DIMS = st.one_of(st.integers(2, 20), st.integers(2, 4096))
POSTERIORS = st.floats(1e-12, 1 - 1e-12)
SCALES = st.floats(0, 1e4)
ANGLES = st.floats(0, math.pi)
MARGINS = {"cosine": st.floats(0, 2), "angle": ANGLES, "factor": st.floats(1, 100)}
GROWTH = 1 + 1e-12


def rising(values):
    values = np.asarray(values)
    assert not np.isnan(values).any()
    return all(after >= before or math.isclose(after, before, rel_tol=1e-12) for before, after in pairwise(values))


@settings(deadline=None)
@given(classes=CLASSES, more=CLASSES, posterior=POSTERIORS, scale=SCALES)
@example(classes=2, more=10_000_000, posterior=1e-12, scale=1e4)
@example(classes=2, more=3, posterior=1 - 1e-12, scale=0.0)
def test_scale_bounds(classes, more, posterior, scale):
    few, many = sorted((classes, more))
    assert rising(theory.cosface_scale_bound(classes, np.sort([posterior, 0.5, 0.9])))
    if posterior >= 0.5:
        assert rising(theory.cosface_scale_bound([few, many], posterior))
        assert rising(theory.l2softmax_scale_bound([max(few, 3), max(many, 3)], posterior))
    loss = theory.normface_loss_bound([few, many], scale)
    assert rising(loss)
    assert (loss >= 0).all()
    granted = theory.implied_posterior([many, few], scale)
    assert rising(granted)
    assert ((granted > 0) & (granted <= 1)).all()
    assert rising(theory.implied_posterior(classes, np.sort([scale, 1.0, 64.0])))


@pytest.mark.parametrize("kind", MARGINS)
@settings(deadline=None)
@given(data=st.data(), classes=CLASSES, posterior=POSTERIORS, scale=SCALES)
def test_margins(kind, data, classes, posterior, scale):
    margins = np.sort([data.draw(MARGINS[kind]), data.draw(MARGINS[kind])])
    bound = theory.joint_scale_bound(classes, posterior, margins, kind)
    loss = theory.margin_loss_bound(classes, scale, margins, kind)
    assert rising(loss)
    assert np.isfinite(loss).all()
    if posterior * classes > 1 + 1e-9:
        assert rising(bound)
        assert (bound > 0).all()
    elif posterior * classes < 1 - 1e-9:
        assert np.isfinite(bound).all()
    if kind == "cosine" and np.isinf(bound[1]):
        assert margins[1] >= classes / (classes - 1) * (1 - 1e-15)
    if kind == "factor":
        assert np.isfinite(bound).all()
    assert np.isfinite(theory.target_posterior(1.0, scale, margins, math.log(classes), kind)).all()


@settings(deadline=None)
@given(classes=CLASSES, dim=DIMS, posterior=POSTERIORS, scale=SCALES)
@example(classes=10_000_000, dim=2, posterior=1 - 1e-12, scale=1e4)
@example(classes=10_000_000, dim=4096, posterior=1e-12, scale=1e-12)
def test_dimension_aware_bounds(classes, dim, posterior, scale):
    kernel = theory.log_kernel_mean([dim + 1, dim], scale)
    assert rising(kernel)
    assert ((kernel >= -1e-15) & (kernel <= scale)).all()
    bound = theory.dimension_aware_scale_bound(classes, [dim + 1, dim], posterior)
    assert np.isfinite(bound).all()
    assert (bound >= 0).all()
    # Fewer dimensions never need less, as far as a value of this size has digits.
    assert bound[1] >= bound[0] * (1 - 1e-9)


@settings(deadline=None)
@given(classes=CLASSES, dim=DIMS)
@example(classes=10_000_000, dim=3)
@example(classes=10_000_000, dim=4)
@example(classes=8193, dim=4096)
def test_margin_bounds(classes, dim):
    bound = theory.margin_upper_bound(classes, dim)
    assert 0 < bound <= theory.cosface_margin_bound(classes, dim) * GROWTH
    assert theory.margin_upper_bound(classes + 1, dim) <= bound * GROWTH
    assert theory.margin_upper_bound(classes, dim + 1) >= bound * (1 - 1e-12)
    assert 0 < theory.arcface_margin_upper_bound(classes, dim) <= math.pi
    assert 0 <= theory.welch_cosine_bound(classes, dim) < 1
    assert bound <= classes / (classes - 1) * GROWTH


@settings(deadline=None)
@given(classes=CLASSES, dim=DIMS, theta=ANGLES)
@example(classes=2, dim=2, theta=0.0)
@example(classes=10_000_000, dim=2, theta=0.0)
@example(classes=10_000_000, dim=4096, theta=1e-300)
@example(classes=3, dim=4096, theta=1e-8)
@example(classes=10_000_000, dim=4096, theta=2e-8)
@example(classes=3, dim=2, theta=math.pi)
def test_adacos(classes, dim, theta):
    stable, unstable = theory.adacos_fixed_points(classes, dim, theta)
    if stable is None:
        assert unstable is None
    else:
        assert math.isfinite(stable)
        # The collapse limit assumes a simplex, the best case; log A_K ≥ 0 keeps every fixed point above log(C−1).
        assert stable >= math.log(classes - 1) * (1 - 1e-12) >= theory.adacos_collapse_limit(classes) * (1 - 1e-12)
        assert unstable is None or (math.isfinite(unstable) and unstable >= stable * (1 - 1e-9))
    assert math.isfinite(theory.adacos_fixed_scale(classes))
    exact = theory.adacos_exact_scale(classes, theta)
    assert math.isnan(exact) or 0 < exact < math.inf
    if classes > 2:
        assert 0 < theory.adacos_cosine_spread_limit(classes, theta) < math.inf


@settings(deadline=None)
@given(scale=SCALES, log_b=st.floats(-1e4, 1e4), theta=ANGLES)
def test_posteriors_and_slopes(scale, log_b, theta):
    assert 0 <= theory.target_posterior(theta, scale, 0.0, log_b) <= 1
    assert 0 < theory.steepest_angle(scale, log_b) < math.pi
    assert 0 <= theory.cosface_lower_margin(theta) <= 2
    assert 0 <= theory.arcface_lower_margin(theta) <= math.pi / 2
