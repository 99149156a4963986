"""The spherical-code solver against the codes that are known exactly and against the proven bounds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.exceptions import InputError
from hpstudy.theory import SphericalCode, margin_upper_bound, solve_spherical_code


def solve(num_classes, dim, restarts=8, seed=0):
    return solve_spherical_code(num_classes, dim, generator=np.random.default_rng(seed), restarts=restarts)


@pytest.mark.parametrize(
    ("dim", "classes", "restarts", "separation"),
    [
        (2, 2, 2, 2.0),
        *((2, count, 4, 1 - math.cos(2 * math.pi / count)) for count in (3, 7, 8, 30)),
        (2, 64, 8, 1 - math.cos(2 * math.pi / 64)),
        (5, 4, 2, 4 / 3),
        (5, 6, 2, 6 / 5),
        (12, 13, 2, 13 / 12),
        (3, 6, 4, 1.0),
        (6, 12, 8, 1.0),
        (3, 12, 8, 0.552786404500),
        (4, 10, 8, 5 / 6),
        (4, 24, 96, 0.5),
        (5, 16, 16, 4 / 5),
        (6, 27, 16, 3 / 4),
        (7, 56, 8, 2 / 3),
    ],
)
def test_finds_the_exactly_known_codes(dim, classes, restarts, separation):
    code = solve(classes, dim, restarts)
    assert code.separation == pytest.approx(separation, abs=1e-10)
    assert code.separation <= margin_upper_bound(classes, dim) + 1e-12


def test_comes_close_where_the_optimum_is_not_rigid():
    # Six of the cross-polytope's eight vectors have room to move.
    assert solve(6, 4, 8).separation == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("classes", [5, 7, 8, 9, 10, 11, 13, 14, 24])
def test_solves_the_solved_cases_of_tammes_problem(classes):
    assert solve(classes, 3, 24).separation == pytest.approx(margin_upper_bound(classes, 3), abs=1e-10)


@settings(deadline=None, max_examples=25)
@given(classes=st.integers(2, 24), dim=st.integers(2, 9), seed=st.integers(0, 2**32 - 1))
def test_never_stands_further_apart_than_is_proved_possible(classes, dim, seed):
    code = solve(classes, dim, 1, seed)
    assert code.vectors.shape == (classes, dim)
    assert np.linalg.norm(code.vectors, axis=1) == pytest.approx(1, abs=1e-14)
    cosine = (code.vectors @ code.vectors.T)[~np.eye(classes, dtype=bool)].max()
    assert code.max_cosine == pytest.approx(cosine, abs=1e-14)
    assert code.separation == 1 - code.max_cosine
    assert code.separation <= margin_upper_bound(classes, dim) + 1e-12


def test_equal_seeds_give_equal_codes_and_others_do_not():
    first, again, other = solve(9, 4, 2, seed=3), solve(9, 4, 2, seed=3), solve(9, 4, 2, seed=4)
    assert np.array_equal(first.vectors, again.vectors)
    assert not np.allclose(first.vectors, other.vectors)


def test_leaves_the_global_generator_alone():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    solve(5, 3, 1)
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_a_code_says_how_far_apart_it_is():
    assert SphericalCode(np.eye(3), 0.0).separation == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, r"num_classes must be a whole number of at least 2, but got 1"),
        ({"dim": 1}, r"dim must be a whole number of at least 2, but got 1"),
        ({"restarts": 0}, r"restarts must be a whole number of at least 1, but got 0"),
        ({"generator": 0}, r"generator must be a numpy\.random\.Generator, but got 0"),
    ],
)
def test_impossible_problems_are_refused(arguments, message):
    good = {"num_classes": 5, "dim": 3, "restarts": 1, "generator": np.random.default_rng(0)}
    with pytest.raises(InputError, match=message):
        solve_spherical_code(**(good | arguments))
