"""AdaCos' fixed scale, its fixed points and the table of adacos.md."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.theory import (
    adacos_collapse_limit,
    adacos_cosine_spread_limit,
    adacos_fixed_points,
    adacos_fixed_scale,
    cosface_scale_bound,
    log_kernel_mean,
)

NONE = (None, None)


@pytest.mark.parametrize(
    ("classes", "fixed", "limit"),
    [(10, 3.107345, 1.977502), (100, 6.498481, 4.549169), (10575, 13.104320, 9.265277)],
)
def test_fixed_scale_and_collapse_limit_match_their_oracles(classes, fixed, limit):
    assert adacos_fixed_scale(classes) == pytest.approx(fixed, abs=1e-6)
    assert adacos_collapse_limit(classes) == pytest.approx(limit, abs=1e-6)


@pytest.mark.parametrize(("classes", "fixed"), [(2, 0.0), (3, 0.980258), (72778, 15.832340)])
def test_fixed_scale_elsewhere(classes, fixed):
    assert adacos_fixed_scale(classes) == pytest.approx(fixed, abs=1e-6)


@given(classes=st.integers(2, 10_000_000))
def test_collapse_limit_is_cosface_at_one_half(classes):
    assert adacos_collapse_limit(classes) == pytest.approx(cosface_scale_bound(classes, 0.5), rel=1e-12, abs=1e-15)


# Stable and unstable roots at 45° and 30°; the published digits of the unstable ones end at the integer.
TABLE = [
    (10, 2, NONE, NONE, 13.149356),
    (10, 3, NONE, NONE, 4.499444),
    (10, 16, (3.698177, 53.4), (2.820322, 183), 2.371264),
    (10, 512, (3.120796, ...), (2.544437, ...), 2.201960),
    (100, 8, NONE, (12.664299, 42.2), 7.184503),
    (100, 16, (11.273272, 35.6), (6.907890, 157), 5.494430),
    (100, 128, (6.749824, 522), (5.439319, ...), 4.680643),
    (1000, 16, NONE, (12.895089, 129), 9.308637),
    (1000, 64, (11.112840, 233), (8.643349, ...), 7.323106),
    (1000, 512, (9.903069, ...), (8.048276, ...), 6.953979),
    (10575, 16, NONE, (24.562139, 94), 14.406075),
    (10575, 32, (22.764474, 73), (13.952514, ...), 11.093286),
    (10575, 128, (14.213718, 495), (11.270406, ...), 9.627195),
    (10575, 512, (13.350388, ...), (10.831939, ...), 9.351555),
    (85742, 512, (16.437118, ...), (13.316231, ...), 11.487967),
]


@pytest.mark.parametrize(("classes", "dim", "at_45", "at_30", "at_0"), TABLE)
def test_fixed_points_match_the_table(classes, dim, at_45, at_30, at_0):
    for degrees, expected in ((45, at_45), (30, at_30)):
        found = adacos_fixed_points(classes, dim, math.radians(degrees))
        if expected == NONE:
            assert found == NONE
            continue
        # The table's K = 512 rows carry five digits.
        assert found.stable == pytest.approx(expected[0], rel=3e-6)
        if expected[1] is not ...:
            assert found.unstable == pytest.approx(expected[1], rel=6e-3)
    assert adacos_fixed_points(classes, dim, 0.0) == (pytest.approx(at_0, rel=3e-6), None)


@settings(deadline=None, max_examples=40)
@given(classes=st.integers(3, 1_000_000), dim=st.integers(2, 1024), theta=st.floats(0.05, math.pi / 4))
def test_fixed_points_solve_the_rule_and_are_stable_below_and_unstable_above(classes, dim, theta):
    def next_scale(scale):
        return (math.log(classes - 1) + log_kernel_mean(dim, scale)) / math.cos(theta)

    stable, unstable = adacos_fixed_points(classes, dim, theta)
    if stable is None:
        assert unstable is None
        assert next_scale(adacos_fixed_scale(classes)) > adacos_fixed_scale(classes)
        return
    assert next_scale(stable) == pytest.approx(stable, rel=1e-9)
    assert next_scale(unstable) == pytest.approx(unstable, rel=1e-9)
    assert next_scale(0.9 * stable) > 0.9 * stable
    assert next_scale(1.1 * unstable) > 1.1 * unstable
    middle = (stable + unstable) / 2
    assert next_scale(middle) <= middle * (1 + 1e-12)


def test_the_rule_takes_a_quarter_turn_at_most():
    assert adacos_fixed_points(1000, 512, 1.5) == adacos_fixed_points(1000, 512, math.pi / 4)


def test_three_dimensions_at_zero_angle_have_their_closed_form():
    assert adacos_fixed_points(100, 3, 0.0).stable == pytest.approx(49.5, abs=1e-9)


def test_two_classes_rest_at_zero():
    assert adacos_fixed_points(2, 16, 0.5).stable == 0.0


def test_spread_limit_is_where_a_real_run_broke():
    # 300 identities: a spread of 0.20 settled and one of 0.24 ran away.
    limit = adacos_cosine_spread_limit(300, math.pi / 4)
    assert limit == pytest.approx(0.209, abs=5e-4)
    assert 1 / limit**2 == pytest.approx(4 * math.log(299), rel=1e-12)
