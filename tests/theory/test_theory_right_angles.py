"""The posterior against the target angle under every margin, and SphereFace2's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpstudy.catalog import CRITERIA, MARGINS
from hpstudy.exceptions import InputError
from hpstudy.theory import right_angle_posterior, sphereface2_bias, sphereface2_posterior, target_posterior
from hpstudy.theory._right_angles import PSI

THETA = np.linspace(0, math.pi, 721)
LOG_OTHERS = math.log(999)


def test_every_margin_of_the_catalogue_has_one():
    assert list(PSI) == list(MARGINS)
    for name, info in MARGINS.items():
        posterior = right_angle_posterior(THETA, 1000, 30.0, name, **info.defaults)
        assert posterior.shape == THETA.shape
        assert ((posterior >= 0) & (posterior <= 1)).all()
        assert isinstance(right_angle_posterior(0.5, 1000, 30.0, name, **info.defaults), float)


@pytest.mark.parametrize(
    ("margin", "values", "kind", "m", "shift"),
    [
        ("none", {}, "cosine", 0.0, 0.0),
        ("additive_cosine", {"m": 0.35}, "cosine", 0.35, 0.0),
        ("additive_angle", {"m": 0.5}, "angle", 0.5, 0.0),
        ("multiplicative_angle", {"m": 1.35}, "factor", 1.35, 0.0),
        ("annealed_multiplicative_angle", {"m": 4.0, "lambda_min": 0.0}, "factor", 4.0, 0.0),
        ("divided_angle", {"m": 1.5}, "cosine", 0.0, 0.5),
        ("combined", {"m1": 1.0, "m2": 0.3, "m3": 0.2}, "angle", 0.3, 0.2),
        ("adaface", {"m": 0.4}, "cosine", 0.4, 0.0),
        ("magface", {"l_m": 0.45}, "angle", 0.45, 0.0),
        ("curricular", {"m": 0.5}, "angle", 0.5, 0.0),
        ("mv_cosine", {"m": 0.35, "t": 0.0}, "cosine", 0.35, 0.0),
        ("mv_angle", {"m": 0.5, "t": 0.0}, "angle", 0.5, 0.0),
    ],
)
def test_is_the_target_posterior_at_right_angles(margin, values, kind, m, shift):
    # cos(π/3) = 1/2 of the other classes, or m3 of the target: the same in B.
    expected = target_posterior(THETA, 20.0, m, LOG_OTHERS + 20.0 * shift, kind)
    assert right_angle_posterior(THETA, 1000, 20.0, margin, **values) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("margin", "values", "degrees", "target", "other"),
    [
        ("annealed_multiplicative_angle", {"m": 4.0, "lambda_min": 5.0}, 60, (5 * 0.5 - 1.5) / 6, 0.0),
        ("circle", {"m": 0.25}, 60, 0.75 * -0.25, -0.0625),
        ("circle", {"m": 0.25}, 180, 2.25 * -1.75, -0.0625),
        ("mv_cosine", {"m": 0.6, "t": 0.2}, 50, math.cos(math.radians(50)) - 0.6, 0.0),
        ("mv_cosine", {"m": 0.6, "t": 0.2}, 60, -0.1, 0.2),
        ("mv_angle", {"m": math.pi / 6, "t": 0.2}, 59, math.cos(math.radians(89)), 0.0),
        ("mv_angle", {"m": math.pi / 6, "t": 0.2}, 90, -0.5, 0.2),
        ("additive_angle", {"m": math.pi / 6, "past_pi": "wrap"}, 180, math.cos(7 * math.pi / 6), 0.0),
        ("additive_angle", {"m": math.pi / 6, "past_pi": "clamp"}, 180, -1.0, 0.0),
        ("additive_angle", {"m": math.pi / 6, "past_pi": "linear"}, 180, -1 - math.pi / 12, 0.0),
        ("additive_angle", {"m": math.pi / 6, "past_pi": "easy"}, 120, -0.5, 0.0),
        ("additive_angle", {"m": math.pi / 6, "past_pi": "easy"}, 60, 0.0, 0.0),
        ("multiplicative_angle", {"m": 2.0, "past_pi": "clamp"}, 120, -1.0, 0.0),
        ("combined", {"m1": 0.5, "m2": 0.0, "m3": 0.2}, 120, 0.3, 0.0),
    ],
)
def test_logits_by_hand(margin, values, degrees, target, other):
    posterior = right_angle_posterior(math.radians(degrees), 5, 2.0, margin, **values)
    assert posterior == pytest.approx(1 / (1 + 4 * math.exp(2 * (other - target))), rel=1e-12)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match=r"margin must be one of none, .*, but got 'cosface'"):
        right_angle_posterior(0.5, 10, 8.0, "cosface", m=0.3)
    with pytest.raises(InputError, match=r"past_pi must be one of clamp, .*, but got 'up'"):
        right_angle_posterior(0.5, 10, 8.0, "additive_angle", m=0.3, past_pi="up")
    with pytest.raises(InputError, match="past_pi must be clamp or monotone, but got 'easy'"):
        right_angle_posterior(0.5, 10, 8.0, "multiplicative_angle", m=1.3, past_pi="easy")


SIZES = st.integers(2, 10_000_000)
BALANCES = st.floats(0.01, 0.99)


@given(SIZES, st.floats(0, 128), st.floats(0, 1), st.floats(1, 10), BALANCES)
def test_sphereface2_bias_balances_its_two_pulls(classes, scale, margin, power, balance):
    b = sphereface2_bias(classes, scale, margin, power, balance)
    at_right_angle = 2 * 0.5**power - 1
    log_pull = math.log(balance) - math.log(classes - 1) - math.log1p(-balance)
    target, other = scale * (at_right_angle - margin) + b, scale * (at_right_angle + margin) + b
    assert log_pull - np.logaddexp(0, target) == pytest.approx(-np.logaddexp(0, -other), abs=1e-9)


def test_sphereface2_bias_at_equal_odds():
    assert sphereface2_bias(2, 0.0, 0.0, 1.0, 0.5) == pytest.approx(0.0, abs=1e-15)


def test_sphereface2_is_one_half_where_its_logit_is_zero():
    b = sphereface2_bias(1000, 40.0, 0.4)
    cosine = 2 * ((1 + 0.4 - b / 40) / 2) ** (1 / 3) - 1
    assert sphereface2_posterior(math.acos(cosine), 1000, 40.0, 0.4) == pytest.approx(0.5, abs=1e-12)
    posterior = sphereface2_posterior(THETA, 1000, 40.0, 0.4)
    assert (np.diff(posterior) <= 0).all()


def test_sphereface2_defaults_are_the_catalogues():
    rows = CRITERIA["sphereface2"].parameters
    assert sphereface2_bias(99, 40.0, 0.4) == sphereface2_bias(
        99, 40.0, 0.4, rows["t"].default, rows["balance"].default
    )


@pytest.mark.parametrize(("name", "value"), [("balance", 0.0), ("balance", 1.0), ("power", 0.5)])
def test_sphereface2_refuses_what_cannot_be(name, value):
    with pytest.raises(InputError, match=f"{name} must be"):
        sphereface2_posterior(0.5, 10, 8.0, 0.3, **{name: value})
