"""Lower bounds on s against the stored oracles, and the identities between them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.exceptions import InputError
from hpstudy.theory import (
    cosface_scale_bound,
    dimension_aware_scale_bound,
    implied_posterior,
    joint_scale_bound,
    l2softmax_scale_bound,
    margin_loss_bound,
    normface_loss_bound,
    scale_bound_of_log_odds,
)

CLASSES = st.integers(2, 10_000_000)
POSTERIORS = st.floats(1e-6, 1 - 1e-9)


@pytest.mark.parametrize(
    ("classes", "posterior", "expected"),
    [(10, 0.9, 3.955004), (10, 0.99, 6.113110), (10575, 0.9, 11.462294), (10575, 0.99, 13.859963)],
)
def test_cosface_scale_bound_matches_its_oracles(classes, posterior, expected):
    assert cosface_scale_bound(classes, posterior) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("classes", "posterior", "expected"),
    [(4, 0.9, 2.471878), (8, 0.9, 3.625243), (20, 0.9, 4.884580), (8, 0.5, 1.702671)],
)
def test_cosface_scale_bound_matches_the_circle_table(classes, posterior, expected):
    assert cosface_scale_bound(classes, posterior) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("classes", "scale", "expected"),
    [
        (10, 1, 1.376935),
        (10, 2, 0.680726),
        (10, 4, 0.100472),
        (10, 16, 1.71180e-7),
        (10575, 1, 8.266316),
        (10575, 16, 0.00118744),
    ],
)
def test_normface_loss_bound_matches_its_oracles(classes, scale, expected):
    assert normface_loss_bound(classes, scale) == pytest.approx(expected, rel=5e-6)


@pytest.mark.parametrize(
    ("classes", "margin", "kind", "expected"),
    [
        (10, 0.35, "cosine", 5.773729),
        (10575, 0.35, "cosine", 17.633401),
        (10, 0.5, "angle", 4.444702),
        (10575, 0.5, "angle", 13.061042),
    ],
)
def test_joint_scale_bound_matches_its_oracles(classes, margin, kind, expected):
    assert joint_scale_bound(classes, 0.9, margin, kind) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("classes", "expected"), [(10, 4.276666), (10575, 11.463283)])
def test_l2softmax_scale_bound_matches_its_oracles(classes, expected):
    assert l2softmax_scale_bound(classes, 0.9) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("classes", "dim", "expected"),
    [(8, 2, 8.513380), (20, 3, 9.000000), (10575, 512, 11.462294)],
)
def test_dimension_aware_scale_bound_matches_its_oracles(classes, dim, expected):
    assert dimension_aware_scale_bound(classes, dim, 0.9) == pytest.approx(expected, abs=1e-6)


def test_dimension_aware_scale_bound_has_its_closed_form_in_three_dimensions():
    # A_3(s) = sinh(s)/s, so that e^s/A_3(s) = 2s/(1 − e^{−2s}).
    scale = dimension_aware_scale_bound(1000, 3, 0.7)
    assert 2 * scale / -math.expm1(-2 * scale) == pytest.approx(700, rel=1e-12)


@pytest.mark.parametrize(("classes", "exact"), [(4, 2.917059), (8, 9.871524), (10, 15.136887), (20, 59.059938)])
def test_regular_polygon_needs_more_than_both_bounds_and_is_met_exactly(classes, exact):
    angles = 2 * math.pi * np.arange(classes) / classes
    posterior = 1 / np.exp(exact * (np.cos(angles) - 1)).sum()
    assert posterior == pytest.approx(0.9, abs=1e-6)
    assert cosface_scale_bound(classes, 0.9) <= dimension_aware_scale_bound(classes, 2, 0.9) <= exact


@given(classes=CLASSES, posterior=POSTERIORS)
def test_normface_and_cosface_are_one_inequality(classes, posterior):
    scale = cosface_scale_bound(classes, posterior)
    assert normface_loss_bound(classes, scale) == pytest.approx(-math.log(posterior), rel=1e-6, abs=1e-14)


@given(classes=CLASSES, posterior=POSTERIORS)
def test_implied_posterior_inverts_the_scale_bound(classes, posterior):
    assert implied_posterior(classes, cosface_scale_bound(classes, posterior)) == pytest.approx(posterior, rel=1e-9)


@given(classes=CLASSES, posterior=POSTERIORS)
def test_bound_of_log_odds_is_cosface_of_the_posterior(classes, posterior):
    odds = math.log(posterior) - math.log1p(-posterior)
    assert scale_bound_of_log_odds(classes, odds) == pytest.approx(cosface_scale_bound(classes, posterior), abs=1e-9)


@pytest.mark.parametrize("scale", [1.0, 16.0, 64.0, 1000.0])
def test_bound_of_log_odds_is_met_by_a_simplex_where_the_posterior_is_one_to_all_digits(scale):
    # A simplex of 10: own cosine 1, all others −1/9.
    odds = scale * 10 / 9 - math.log(9)
    assert scale_bound_of_log_odds(10, odds) == pytest.approx(scale, rel=1e-12)
    assert scale_bound_of_log_odds([10, 10], [odds, -math.log(9)]).tolist() == pytest.approx([scale, 0.0])


def test_log_odds_must_be_finite():
    with pytest.raises(InputError, match="log_odds must be finite, but got inf"):
        scale_bound_of_log_odds(10, math.inf)


@settings(deadline=None, max_examples=40)
@given(classes=CLASSES, low=POSTERIORS, high=POSTERIORS)
def test_scale_bounds_grow_with_the_posterior(classes, low, high):
    low, high = sorted((low, high))
    assert cosface_scale_bound(classes, low) <= cosface_scale_bound(classes, high)
    assert joint_scale_bound(classes, low, 0.35) <= joint_scale_bound(classes, high, 0.35)
    assert dimension_aware_scale_bound(classes, 16, low) <= dimension_aware_scale_bound(classes, 16, high)


@given(few=CLASSES, many=CLASSES, posterior=st.floats(0.5, 1 - 1e-9))
def test_scale_bound_grows_with_the_classes(few, many, posterior):
    few, many = sorted((few, many))
    assert cosface_scale_bound(few, posterior) <= cosface_scale_bound(many, posterior) * (1 + 1e-12)


@settings(deadline=None, max_examples=50)
@given(classes=CLASSES, dim=st.integers(2, 4096), posterior=POSTERIORS)
def test_dimension_aware_bound_is_never_weaker(classes, dim, posterior):
    assert dimension_aware_scale_bound(classes, dim, posterior) >= cosface_scale_bound(classes, posterior)


@given(classes=CLASSES, posterior=POSTERIORS)
def test_joint_bound_without_margin_is_cosface(classes, posterior):
    expected = pytest.approx(cosface_scale_bound(classes, posterior), rel=1e-12, abs=1e-12)
    assert joint_scale_bound(classes, posterior, 0.0, "cosine") == expected
    assert joint_scale_bound(classes, posterior, 0.0, "angle") == expected


@settings(deadline=None, max_examples=50)
@given(rng=st.integers(0, 2**32 - 1), classes=st.integers(2, 12), dim=st.integers(2, 6), scale=st.floats(0.1, 40))
def test_no_unit_prototypes_ever_break_the_scale_bounds(rng, classes, dim, scale):
    weight = np.random.default_rng(rng).normal(size=(classes, dim))
    weight /= np.linalg.norm(weight, axis=1, keepdims=True)
    posterior = float(1 / np.exp(scale * (weight @ weight.T - 1)).sum(axis=1).max())
    if 1 - posterior > 1e-12:
        assert dimension_aware_scale_bound(classes, dim, posterior) <= scale * (1 + 1e-6)


def test_joint_bound_is_infinite_where_no_scale_makes_up_for_the_margin():
    assert joint_scale_bound(10, 0.9, [1.0, 10 / 9, 1.5]).tolist() == pytest.approx([39.55004, math.inf, math.inf])
    assert joint_scale_bound(10, 0.05, 1.5) == 0.0


@given(classes=CLASSES, posterior=POSTERIORS, margin=st.floats(1, 20))
def test_a_factor_leaves_cosface_at_the_centre(classes, posterior, margin):
    expected = pytest.approx(cosface_scale_bound(classes, posterior), rel=1e-12, abs=1e-12)
    assert joint_scale_bound(classes, posterior, margin, "factor") == expected
    assert margin_loss_bound(classes, 8.0, margin, "factor") == normface_loss_bound(classes, 8.0)


@given(classes=CLASSES, posterior=POSTERIORS, angle=st.floats(0, math.pi / 2))
def test_an_angle_is_the_cosine_that_it_costs_at_the_centre(classes, posterior, angle):
    expected = pytest.approx(joint_scale_bound(classes, posterior, angle, "angle"), rel=1e-6, abs=1e-12)
    assert joint_scale_bound(classes, posterior, 1 - math.cos(angle), "cosine") == expected


MARGINS = {"cosine": st.floats(0, 1), "angle": st.floats(0, math.pi / 2), "factor": st.floats(1, 10)}


@pytest.mark.parametrize("kind", MARGINS)
@settings(deadline=None)
@given(data=st.data(), classes=CLASSES, posterior=POSTERIORS)
def test_the_loss_floor_and_the_joint_bound_are_one_inequality(kind, data, classes, posterior):
    margin = data.draw(MARGINS[kind])
    scale = joint_scale_bound(classes, posterior, margin, kind)
    if math.isfinite(scale):
        loss = margin_loss_bound(classes, scale, margin, kind)
        assert loss == pytest.approx(-math.log(posterior), rel=1e-6, abs=1e-14)


@pytest.mark.parametrize("kind", ["cosine", "angle"])
@given(classes=CLASSES, scale=st.floats(0, 1e4))
def test_the_loss_floor_without_margin_is_normface(kind, classes, scale):
    expected = pytest.approx(normface_loss_bound(classes, scale), rel=1e-9, abs=1e-300)
    assert margin_loss_bound(classes, scale, 0.0, kind) == expected


def test_the_loss_floors_have_their_formulas():
    classes, scale = 10, 5.0
    for margin, kind, logit in ((0.35, "cosine", 0.65), (0.5, "angle", math.cos(0.5)), (4.0, "factor", 1.0)):
        expected = math.log1p(9 * math.exp(-scale * (logit + 1 / 9)))
        assert margin_loss_bound(classes, scale, margin, kind) == pytest.approx(expected, rel=1e-12)
        # A simplex with every feature at its prototype.
        logits = np.full((classes, classes), -scale / 9)
        np.fill_diagonal(logits, scale * logit)
        loss = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
        assert loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", ["cosine", "angle", "factor"])
@settings(deadline=None, max_examples=50)
@given(
    rng=st.integers(0, 2**32 - 1),
    classes=st.integers(2, 12),
    dim=st.integers(2, 6),
    scale=st.floats(0.1, 40),
    distance=st.floats(0, 3),
    margin=st.floats(0, 1),
)
def test_no_balanced_features_ever_have_less_loss_than_the_floor(kind, rng, classes, dim, scale, distance, margin):
    generator = np.random.default_rng(rng)
    weight = generator.normal(size=(classes, dim))
    weight /= np.linalg.norm(weight, axis=1, keepdims=True)
    # Features near their prototypes, pushed off the others' mean or anywhere.
    features = weight + distance * (generator.normal(size=(classes, dim)) - weight.mean(axis=0))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    margin = margin + 1 if kind == "factor" else margin
    cosine = np.clip(features @ weight.T, -1, 1)
    theta = np.arccos(np.diag(cosine))
    inside = theta + margin <= math.pi
    if kind == "angle" and not inside.all():
        return
    shifted = {"cosine": 0 * theta, "angle": theta + margin, "factor": theta * margin}[kind]
    turns = np.floor(shifted / math.pi)
    target = np.diag(cosine) - margin if kind == "cosine" else (-1.0) ** turns * np.cos(shifted) - 2 * turns
    logits = scale * cosine
    np.fill_diagonal(logits, scale * target)
    loss = np.logaddexp.reduce(logits, axis=1) - np.diag(logits)
    # What is below the rounding of log-sum-exp comes out as 0 or 1e-16 here.
    assert loss.mean() >= margin_loss_bound(classes, scale, margin, kind) * (1 - 1e-9) - 1e-14


def test_arrays_broadcast_and_scalars_give_floats():
    table = cosface_scale_bound(np.array([[10], [10575]]), np.array([0.9, 0.99]))
    assert table == pytest.approx(np.array([[3.955004, 6.113110], [11.462294, 13.859963]]), abs=1e-6)
    assert dimension_aware_scale_bound([8, 20], [2, 3], 0.9) == pytest.approx([8.513380, 9.0], abs=1e-6)
    assert type(cosface_scale_bound(10, 0.9)) is float
    assert type(implied_posterior(10, 4)) is float


def test_extremes_do_not_overflow():
    assert normface_loss_bound(10_000_000, 1e9) == 0.0
    assert normface_loss_bound(2, -1e4) == pytest.approx(2e4)
    assert implied_posterior(10_000_000, 1e6) == 1.0
    assert math.isfinite(dimension_aware_scale_bound(10_000_000, 2, 1 - 1e-12))
    assert cosface_scale_bound(2, math.nextafter(1, 0)) == pytest.approx(18.37, abs=0.01)
