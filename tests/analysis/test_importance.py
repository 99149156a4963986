"""Shares of variance against functions whose shares are known."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from hpstudy.analysis import HIGHER, UNEXPLAINED, fit_responses, importance
from hpstudy.analysis._importance import _terms
from hpstudy.spec import LinearRange

RATE, NUMBER = "val/tar_at_far_1e-3", "val/score"
Function = Callable[[np.ndarray], np.ndarray]


def shares_of(
    function: Function, count: int, values: int, *, noise: float = 0.0, seed: int = 0, rate: bool = False
) -> pd.DataFrame:
    """Importance of a, b, … on the unit cube, by source."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, values))
    found = function(points) + noise * rng.standard_normal(count)
    names = "abcdef"[:values]
    trials = pd.DataFrame(
        {
            "trial_id": [str(i) for i in range(count)], "arm": "cosface", "condition": "default", "phase": "search",
            "search_seed": 0, "number": range(count), "status": "completed",
            "objective": expit(found) if rate else found,
        }
    ).assign(**{f"param/{name}": points[:, i] for i, name in enumerate(names)})  # fmt: skip
    ranges = {"cosface": {name: LinearRange(linear=(0.0, 1.0)) for name in names}}
    return importance(fit_responses(trials, RATE if rate else NUMBER, ranges)).set_index("source")


def test_an_additive_function_has_main_effects_alone() -> None:
    found = shares_of(lambda x: 2 * x[:, 0] + x[:, 1], 40, 2)
    assert found["share"]["a"] == pytest.approx(0.8, abs=0.02)
    assert found["share"]["b"] == pytest.approx(0.2, abs=0.02)
    assert found["share"]["a × b"] < 0.01
    assert found["low"]["a × b"] == 0.0
    assert found["std"]["a"] == pytest.approx(2 / np.sqrt(12), rel=0.03)


def test_a_pure_interaction_is_nothing_else() -> None:
    found = shares_of(lambda x: (x[:, 0] - 0.5) * (x[:, 1] - 0.5), 50, 2)
    assert found["share"]["a × b"] > 0.95
    assert found["share"][["a", "b"]].max() < 0.03


def test_ishigami() -> None:
    """a = 7, b = 0.1: Ishigami and Homma 1990 have 0.314, 0.442 and 0.244 for x1, x2 and x1 × x3, 0 for the rest."""

    def ishigami(unit: np.ndarray) -> np.ndarray:
        x = (2 * unit - 1) * np.pi
        return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])

    found = shares_of(ishigami, 400, 3)["share"]
    assert found[["a", "b", "a × c"]].to_numpy() == pytest.approx([0.314, 0.442, 0.244], abs=0.04)
    assert found[["c", "a × b", "b × c", HIGHER, UNEXPLAINED]].max() < 0.02


def test_noise_is_unexplained() -> None:
    found = shares_of(lambda x: 2 * x[:, 0] + x[:, 1], 150, 2, noise=np.sqrt(5 / 12))
    assert found["share"][UNEXPLAINED] == pytest.approx(0.5, abs=0.12)
    assert found["low"][UNEXPLAINED] < 0.5 < found["high"][UNEXPLAINED]
    assert found["share"]["a"] == pytest.approx(0.4, abs=0.12)


def test_intervals_cover_and_do_not_find_what_is_not_there() -> None:
    covered, interaction = [], 0
    for seed in range(12):
        found = shares_of(lambda x: 2 * x[:, 0] + x[:, 1], 24, 2, noise=0.15, seed=seed)
        truth = np.array([4 / 12, 1 / 12, 0.15**2]) / (5 / 12 + 0.15**2)
        rows = found.loc[["a", "b", UNEXPLAINED]]
        covered.append((rows["low"].to_numpy() <= truth) & (truth <= rows["high"].to_numpy()))
        interaction += found["low"]["a × b"] > 0
    assert np.mean(covered) >= 0.8
    assert interaction <= 1


def test_shares_of_a_rate_are_of_the_rate() -> None:
    found = shares_of(lambda x: 8 * x[:, 0] - 4 + x[:, 1], 80, 2, rate=True)
    ticks = (np.arange(400) + 0.5) / 400
    rates = expit(8 * ticks[:, None] - 4 + ticks[None, :])
    truth = rates.mean(axis=1).var() / rates.var()
    assert found["share"]["a"] == pytest.approx(truth, abs=0.01)


def test_one_value_and_what_it_leaves() -> None:
    found = shares_of(lambda x: np.sin(4 * x[:, 0]), 30, 1, noise=0.1)
    assert found.index.to_list() == ["a", UNEXPLAINED]
    assert found["share"]["a"] > 0.9


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_terms_add_up_to_the_variance(seed: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 5, values)
    level = rng.standard_normal((3, *sizes))
    weights = [part / part.sum() for part in (rng.random(size) + 0.1 for size in sizes)]
    terms = _terms(level, weights, tuple("abcd"[:values]))
    weight = weights[0]
    for other in weights[1:]:
        weight = np.multiply.outer(weight, other)
    flat = level.reshape(3, -1)
    mean = flat @ weight.ravel()
    assert sum(terms.values()) == pytest.approx(((flat - mean[:, None]) ** 2) @ weight.ravel(), abs=1e-9)
    assert all((term >= 0).all() for term in terms.values())


def test_the_order_of_values_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    level = rng.standard_normal((2, 3, 4))
    weights = [np.full(3, 1 / 3), np.full(4, 1 / 4)]
    forward = _terms(level, weights, ("a", "b"))
    backward = _terms(level.transpose(0, 2, 1), weights[::-1], ("b", "a"))
    assert forward[("a",)] == pytest.approx(backward[("a",)])
    assert forward[("a", "b")] == pytest.approx(backward[("b", "a")])


def test_shares_are_a_partition_and_the_same_every_time() -> None:
    first = shares_of(lambda x: x[:, 0] ** 2 + x[:, 0] * x[:, 1], 25, 2, noise=0.05)
    assert first["share"].sum() == pytest.approx(1.0, abs=1e-5)
    assert (first["low"] <= first["share"]).all()
    assert (first["share"] <= first["high"]).all()
    assert (first["high"] <= 1).all()
    pd.testing.assert_frame_equal(first, shares_of(lambda x: x[:, 0] ** 2 + x[:, 0] * x[:, 1], 25, 2, noise=0.05))


def test_without_a_surface_there_is_a_reason_and_no_share() -> None:
    found = shares_of(lambda x: x[:, 0], 5, 2)
    assert found["share"].isna().all()
    assert found["reason"].to_list() == ["5 completed trials, and 8 are needed"]


def early_and_late(pruned: Callable[[np.ndarray], np.ndarray]) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    rng = np.random.default_rng(5)
    points = rng.random((80, 2))
    final = 2 * points[:, 0] + points[:, 1]
    trials = pd.DataFrame(
        {
            "trial_id": [str(i) for i in range(80)], "arm": "cosface", "condition": "default", "phase": "search",
            "search_seed": 0, "number": range(80), "status": np.where(pruned(points), "pruned", "completed"),
            "objective": final, "param/a": points[:, 0], "param/b": points[:, 1],
        }
    )  # fmt: skip
    records = {
        str(i): pd.DataFrame({"epoch": [1, 2], NUMBER: [points[i, 0] + 2 * points[i, 1], final[i]]}) for i in range(80)
    }
    return trials, records


def test_where_most_of_the_box_was_stopped_the_first_rung_stands_in() -> None:
    from hpstudy.analysis import early_responses

    ranges = {"cosface": {name: LinearRange(linear=(0.0, 1.0)) for name in "ab"}}
    trials, records = early_and_late(lambda x: (x[:, 0] < 0.55) | (x[:, 1] < 0.45))
    late = fit_responses(trials, NUMBER, ranges)
    refused = importance(late)
    assert refused["reason"].str.contains("% of the searched box").all()
    early = early_responses(trials, records.__getitem__, NUMBER, ranges, epoch=1)
    found = importance(late, early).set_index("source")
    assert (found["epoch"] == 1).all()
    assert found["share"]["b"] == pytest.approx(0.8, abs=0.03)
    mostly, records = early_and_late(lambda x: x[:, 0] < 0.1)
    late = fit_responses(mostly, NUMBER, ranges)
    kept = importance(late, early_responses(mostly, records.__getitem__, NUMBER, ranges, epoch=1))
    assert (kept["epoch"] == 0).all()
