"""The posterior of the target class."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.theory import adacos_fixed_scale, implied_posterior, target_posterior

KINDS = {"cosine": st.floats(0, 2), "angle": st.floats(0, math.pi / 2), "factor": st.floats(1, 10)}


@pytest.mark.parametrize(
    ("classes", "scale", "degrees", "expected"),
    [(2000, 10, 0, 0.916797), (20000, 10, 0, 0.524122), (2000, 64, 80, 0.971058), (20000, 64, 80, 0.770307)],
)
def test_matches_adacos_figure_2(classes, scale, degrees, expected):
    found = target_posterior(math.radians(degrees), scale, 0.0, math.log(classes - 1))
    # The figure's numbers take B for C where the angle is 0.
    assert found == pytest.approx(expected, abs=4e-5)


@pytest.mark.parametrize(("classes", "expected"), [(10, 0.450853), (1000, 0.007342)])
def test_matches_normface_at_the_worst_scale(classes, expected):
    # e/(e + (n−1)/e): all other classes opposite.
    assert target_posterior(0.0, 1.0, 0.0, math.log(classes - 1) - 1) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("margin", "degrees", "expected"),
    [
        *[(4, 15, 0.5), (4, 30, -0.5), (4, 45, -1), (4, 60, -1.5), (4, 75, -2.5), (4, 90, -3), (4, 180, -7)],
        *[(2, 45, 0), (2, 90, -1), (2, 180, -3)],
        *[(1.35, 90, -0.522499), (1.35, 180, -1.546010), (1.7, 90, -0.891007), (1.7, 180, -2.587785)],
    ],
)
def test_factor_margin_is_sphereface_psi(margin, degrees, expected):
    posterior = target_posterior(math.radians(degrees), 1.0, margin, 0.0, "factor")
    assert math.log(posterior / (1 - posterior)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(data=st.data())
def test_posterior_falls_with_the_angle_whatever_the_margin(kind, data):
    margin = data.draw(KINDS[kind])
    scale = data.draw(st.floats(0, 128))
    posterior = target_posterior(np.linspace(0, math.pi, 721), scale, margin, 5.0, kind)
    assert (np.diff(posterior) <= 1e-12).all()
    assert ((posterior >= 0) & (posterior <= 1)).all()


@pytest.mark.parametrize(("kind", "none"), [("cosine", 0.0), ("angle", 0.0), ("factor", 1.0)])
@settings(deadline=None)
@given(theta=st.floats(0, 3.1), scale=st.floats(0, 100), log_b=st.floats(-5, 200))
def test_no_margin_is_normface(kind, none, theta, scale, log_b):
    expected = 1 / (1 + math.exp(min(log_b - scale * math.cos(theta), 700)))
    assert target_posterior(theta, scale, none, log_b, kind) == pytest.approx(expected, rel=1e-9)


def test_a_simplex_gives_what_the_scale_bound_grants():
    scale, classes = adacos_fixed_scale(100), 100
    log_b = math.log(classes - 1) - scale / (classes - 1)
    assert target_posterior(0.0, scale, 0.0, log_b) == pytest.approx(implied_posterior(classes, scale), rel=1e-12)


def test_extremes_do_not_overflow():
    assert target_posterior(math.pi, 1e6, 2.0, 16.0) == 0.0
    assert target_posterior(0.0, 1e6, 0.0, -1e6) == 1.0
