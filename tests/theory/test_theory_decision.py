"""The boundaries that two classes are held to."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hpstudy.catalog import MARGINS
from hpstudy.exceptions import InputError
from hpstudy.losses import MARGIN_CLASSES
from hpstudy.theory import DECISION_MARGINS, decision_boundary, softmax_boundary

THETA = np.linspace(0, math.pi, 721)
ANGLES = st.floats(0, math.pi)
PARAMETERS = {
    "none": {},
    "additive_cosine": {"m": 0.35},
    "additive_angle": {"m": 0.5},
    "multiplicative_angle": {"m": 1.35},
    "annealed_multiplicative_angle": {"m": 4.0, "lambda_min": 5.0},
    "combined": {"m1": 1.1, "m2": 0.2, "m3": 0.15},
    "adaface": {"m": 0.4},
    "magface": {"l_m": 0.45},
    "mv_cosine": {"m": 0.35, "t": 0.2},
    "mv_angle": {"m": 0.5, "t": 0.2},
    "divided_angle": {"m": 1.5},
}
PAST_PI = {"magface": {"past_pi": "monotone"}}


def test_the_margins_are_those_of_the_catalogue_whose_boundary_needs_no_state():
    assert set(DECISION_MARGINS) == set(PARAMETERS)
    assert set(MARGINS) - set(DECISION_MARGINS) == {"circle", "curricular"}


@given(ANGLES, st.floats(0, 2))
def test_additive_cosine(theta, m):
    boundary = decision_boundary("additive_cosine", theta, m=m)
    if math.cos(theta) - m < -1 - 1e-9:
        assert math.isnan(boundary)
    elif math.cos(theta) - m >= -1:
        assert math.cos(boundary) == pytest.approx(math.cos(theta) - m, abs=1e-9)


@given(ANGLES, st.floats(0, math.pi / 2))
def test_additive_angle(theta, m):
    boundary = decision_boundary("additive_angle", theta, m=m)
    if theta + m <= math.pi:
        assert boundary == pytest.approx(theta + m, abs=2e-6)
    elif theta + m > math.pi + 1e-5:
        assert math.isnan(boundary)


@given(ANGLES, st.floats(1, 10), st.sampled_from(["multiplicative_angle", "divided_angle"]))
def test_multiplied_angle(theta, m, margin):
    boundary = decision_boundary(margin, theta, m=m)
    if m * theta <= math.pi:
        assert boundary == pytest.approx(m * theta, abs=1e-5)
    elif m * theta > math.pi + 1e-4:
        assert math.isnan(boundary)


def test_combined_by_hand():
    boundary = decision_boundary("combined", math.radians(40), m1=0.9, m2=math.radians(24), m3=0.15)
    assert math.cos(boundary) == pytest.approx(0.5 - 0.15, abs=1e-12)


@pytest.mark.parametrize(
    ("margin", "values"),
    [
        ("none", {}),
        ("additive_cosine", {"m": 0.0}),
        ("additive_angle", {"m": 0.0}),
        ("multiplicative_angle", {"m": 1.0}),
        ("divided_angle", {"m": 1.0}),
        ("combined", {"m1": 1.0, "m2": 0.0, "m3": 0.0}),
    ],
)
def test_no_margin_is_the_diagonal(margin, values):
    assert decision_boundary(margin, THETA, **values) == pytest.approx(THETA, abs=1e-6)
    assert decision_boundary(margin, math.pi, **values) == pytest.approx(math.pi, abs=1e-6)


@pytest.mark.parametrize("margin", [name for name in PARAMETERS if name != "none"])
def test_a_margin_asks_for_more_and_rises(margin):
    boundary = decision_boundary(margin, THETA, **PARAMETERS[margin])
    known = np.isfinite(boundary)
    assert known[0]
    assert (np.diff(known.astype(int)) <= 0).all()
    assert (boundary[known] >= THETA[known] - 1e-9).all()
    assert (np.diff(boundary[known]) > 0).all()


@pytest.mark.parametrize("margin", list(PARAMETERS))
def test_the_trained_margin_is_met_beyond_the_boundary_and_not_before(margin):
    """By the modules that heads train with, at every angle to the own prototype."""
    values = MARGINS[margin].defaults | PARAMETERS[margin] | PAST_PI.get(margin, {})
    built = MARGIN_CLASSES[margin](**values)
    if margin == "annealed_multiplicative_angle":
        built.steps.fill_(10**6)  # λ has come to its end
    theta = np.linspace(0.02, 3.1, 150)
    boundary = decision_boundary(margin, theta, **values)
    # A feature of average norm for AdaFace and of a short one for MagFace.
    norm = torch.full((150,), 20.0 if margin == "adaface" else 1.0, dtype=torch.float64)
    for shift, met in ((1e-3, True), (-1e-3, False)):
        reachable = np.isfinite(boundary) & (boundary + shift <= math.pi) & (boundary + shift >= 0)
        assert reachable.sum() > 50
        other = torch.tensor(np.where(reachable, boundary + shift, math.pi), dtype=torch.float64)
        found = built.satisfied(torch.tensor(theta, dtype=torch.float64).cos(), other.cos(), norm).numpy()
        assert (found[reachable] == met).all()
    nowhere = np.isnan(boundary)
    opposite = torch.full((150,), -1.0, dtype=torch.float64)
    met = built.satisfied(torch.tensor(theta, dtype=torch.float64).cos(), opposite, norm).numpy()
    assert not met[nowhere].any()


def test_what_stands_past_pi():
    theta = math.radians(170)
    assert decision_boundary("additive_angle", theta, m=0.5, past_pi="clamp") == math.pi
    assert decision_boundary("additive_angle", theta, m=0.5, past_pi="easy") == pytest.approx(theta)
    wrapped = decision_boundary("additive_angle", theta, m=0.5, past_pi="wrap")
    assert wrapped == pytest.approx(2 * math.pi - theta - 0.5)
    assert math.isnan(decision_boundary("additive_angle", theta, m=0.5))


@given(st.floats(0.01, 3.13), st.floats(0.1, 10))
def test_softmax_shares_one_boundary(theta, ratio):
    boundary = softmax_boundary(theta, ratio)
    cosine = ratio * math.cos(theta)
    if abs(cosine) > 1 + 1e-9:
        assert math.isnan(boundary)
    elif abs(cosine) < 1 - 1e-6:
        assert math.cos(boundary) == pytest.approx(cosine, abs=1e-9)
        assert softmax_boundary(boundary, 1 / ratio) == pytest.approx(theta, abs=1e-6)


def test_softmax_of_equal_norms_is_normface():
    assert softmax_boundary(THETA, 1.0) == pytest.approx(decision_boundary("none", THETA), abs=1e-12)


def test_a_number_gives_a_float():
    assert isinstance(decision_boundary("none", 0.5), float)
    assert isinstance(softmax_boundary(0.5, 1.0), float)


def test_refusals():
    with pytest.raises(InputError, match=r"margin must be one of none, .*, but got 'circle'"):
        decision_boundary("circle", 0.5, m=0.25)
    for theta in (4.0, -0.1, math.nan, None, "1"):
        with pytest.raises(InputError, match="theta1 must be in"):
            decision_boundary("none", theta)
    with pytest.raises(InputError, match="past_pi must be one of"):
        decision_boundary("additive_angle", 0.5, m=0.3, past_pi="up")
    with pytest.raises(InputError, match="norm_ratio must be finite and at least 0"):
        softmax_boundary(0.5, -1.0)
    with pytest.raises(InputError, match="norm_ratio must be one number"):
        softmax_boundary(0.5, [1.0, 2.0])
