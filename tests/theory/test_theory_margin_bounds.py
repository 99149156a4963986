"""Bounds on m against the known optimal codes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.theory import (
    adacos_cosine_spread_limit,
    arcface_lower_margin,
    arcface_margin_upper_bound,
    cosface_lower_margin,
    cosface_margin_bound,
    margin_upper_bound,
    sphereface_lower_margin,
    welch_cosine_bound,
)


@pytest.mark.parametrize(
    ("dim", "classes", "expected"),
    [
        (2, 4, 1.0),
        (2, 8, 0.292893),
        (2, 10, 0.190983),
        (3, 4, 1.333333),
        (3, 6, 1.0),
        (3, 12, 0.552786),
        (4, 8, 1.0),
        (4, 24, 0.5),
        (8, 16, 1.0),
        (512, 10575, 0.975405),
        (512, 85742, 0.958834),
        (512, 1000, 1.0),
    ],
)
def test_margin_upper_bound_matches_its_oracles(dim, classes, expected):
    assert margin_upper_bound(classes, dim) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("dim", "classes", "cosine"),
    [
        (4, 120, (1 + math.sqrt(5)) / 4),
        (7, 56, 1 / 3),
        (8, 240, 1 / 2),
        (21, 112, 1 / 9),
        (22, 275, 1 / 6),
        (23, 4600, 1 / 3),
        (24, 196560, 1 / 2),
        (16, 288, 1 / 4),
        (256, 66048, 1 / 16),
    ],
    ids=["600-cell", "E7", "E8", "112", "McLaughlin", "4600", "Leech", "Kerdock-16", "Kerdock-256"],
)
def test_margin_upper_bound_is_attained_by_famous_codes(dim, classes, cosine):
    assert margin_upper_bound(classes, dim) == pytest.approx(1 - cosine, abs=1e-12)


@pytest.mark.parametrize(
    ("classes", "dim", "expected"),
    [
        (8, 2, 1 - math.cos(math.pi / 4)),
        (2, 2, 2.0),
        (10, 16, 10 / 9),
        (1000, 512, 1.001001),
        (10575, 512, 10575 / 10574),
    ],
)
def test_cosface_margin_bound_is_the_papers(classes, dim, expected):
    assert cosface_margin_bound(classes, dim) == pytest.approx(expected, abs=1e-6)


@settings(deadline=None)
@given(classes=st.integers(2, 10_000_000), dim=st.integers(2, 2048))
def test_margin_upper_bound_lies_in_its_range_and_never_above_the_papers(classes, dim):
    assert 0 < margin_upper_bound(classes, dim) <= cosface_margin_bound(classes, dim) * (1 + 1e-12)


@settings(deadline=None)
@given(few=st.integers(2, 5000), more=st.integers(1, 5000), dim=st.integers(2, 128))
def test_margin_upper_bound_falls_with_the_classes_and_grows_with_the_dimension(few, more, dim):
    bound = margin_upper_bound(few, dim)
    assert margin_upper_bound(few + more, dim) <= bound * (1 + 1e-12)
    assert margin_upper_bound(few, dim + 1) >= bound * (1 - 1e-12)


@settings(deadline=None, max_examples=50)
@given(classes=st.integers(2, 60), dim=st.integers(2, 8), rng=st.integers(0, 2**32 - 1))
def test_no_unit_prototypes_stand_further_apart(classes, dim, rng):
    weight = np.random.default_rng(rng).normal(size=(classes, dim))
    weight /= np.linalg.norm(weight, axis=1, keepdims=True)
    cosine = (weight @ weight.T)[~np.eye(classes, dtype=bool)].max()
    assert 1 - cosine <= margin_upper_bound(classes, dim) + 1e-9


@pytest.mark.parametrize(
    ("degrees", "cosface", "arcface"),
    [(70, 0.344956, 0.610865), (90, 0.541196, 0.785398), (45, 0.149316, 0.392699)],
)
def test_lower_margins_match_their_oracles(degrees, cosface, arcface):
    assert cosface_lower_margin(math.radians(degrees)) == pytest.approx(cosface, abs=1e-6)
    assert arcface_lower_margin(math.radians(degrees)) == pytest.approx(arcface, abs=1e-6)


@given(angle=st.floats(1e-3, math.pi))
def test_lower_margins_can_always_be_met(angle):
    assert cosface_lower_margin(angle) < 1 - math.cos(angle)
    assert arcface_lower_margin(angle) < angle


def test_sphereface_lower_margin_solves_its_equations():
    two = sphereface_lower_margin(2)
    assert two == pytest.approx(3.732051, abs=1e-6)
    assert two**2 - 4 * two + 1 == pytest.approx(0, abs=1e-12)
    assert sphereface_lower_margin(3) == 3.0


def test_lower_margins_take_arrays():
    assert cosface_lower_margin(np.radians([70, 90])) == pytest.approx([0.344956, 0.541196], abs=1e-6)


def test_many_classes_in_few_dimensions_are_still_computed():
    assert margin_upper_bound(10_000_000, 3) == pytest.approx(2 * math.pi / math.sqrt(3) / 10_000_000 * 2, rel=1e-5)
    assert margin_upper_bound(10_000_000, 4) == pytest.approx(1.0456e-4, rel=1e-4)


@pytest.mark.parametrize(
    ("classes", "dim", "expected"),
    [(3, 2, 2.094395), (10, 9, 1.682137), (10575, 10574, 1.570891), (8, 2, math.pi / 4), (1000, 512, math.pi / 2)],
)
def test_arcface_margin_upper_bound_matches_its_oracles(classes, dim, expected):
    assert arcface_margin_upper_bound(classes, dim) == pytest.approx(expected, abs=1e-6)


@given(classes=st.integers(2, 10_000_000))
def test_arcface_margin_upper_bound_is_the_simplex_angle_or_a_turn_shared(classes):
    assert arcface_margin_upper_bound(classes, classes) == pytest.approx(math.acos(-1 / (classes - 1)), rel=1e-12)
    assert arcface_margin_upper_bound(classes, 2) == pytest.approx(2 * math.pi / classes, rel=1e-12)


def test_arcface_lower_margin_never_exceeds_its_upper_bound():
    angle = arcface_margin_upper_bound(100, 16)
    assert arcface_lower_margin(angle) == angle / 2
    assert cosface_lower_margin(angle) < margin_upper_bound(100, 16) == pytest.approx(1 - math.cos(angle))


def test_welch_cosine_bound_matches_its_oracle():
    assert welch_cosine_bound(10575, 512) == pytest.approx(0.043113, abs=1e-6)
    assert welch_cosine_bound([10, 512, 513], 512).tolist() == [0.0, 0.0, pytest.approx(1 / 512)]
    # Below what dynamic AdaCos bears: evenly spread prototypes of 512 dimensions are safe for CASIA's classes.
    assert welch_cosine_bound(10575, 512) < adacos_cosine_spread_limit(10575, math.pi / 4)


@settings(deadline=None, max_examples=50)
@given(classes=st.integers(2, 60), dim=st.integers(2, 8), rng=st.integers(0, 2**32 - 1))
def test_no_unit_prototypes_spread_less_than_welch_says(classes, dim, rng):
    weight = np.random.default_rng(rng).normal(size=(classes, dim))
    weight /= np.linalg.norm(weight, axis=1, keepdims=True)
    cosine = (weight @ weight.T)[~np.eye(classes, dtype=bool)]
    assert np.sqrt(np.mean(cosine**2)) >= welch_cosine_bound(classes, dim) - 1e-12
    assert np.abs(cosine).max() >= welch_cosine_bound(classes, dim) - 1e-12


def test_welch_is_met_by_orthonormal_bases_together():
    hadamard = np.array([[1, 1], [1, -1]]) / math.sqrt(2)
    cosine = np.vstack([np.eye(2), hadamard]) @ np.vstack([np.eye(2), hadamard]).T
    rms = math.sqrt(np.mean(cosine[~np.eye(4, dtype=bool)] ** 2))
    assert rms == pytest.approx(welch_cosine_bound(4, 2))
