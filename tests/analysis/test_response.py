"""Response surfaces against functions that are known."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from hpstudy.analysis import Response, early_responses, fit_responses, surface_summary, surfaces
from hpstudy.analysis._box import SearchedValue, searched_values
from hpstudy.analysis._gaussian_process import _lack, fit_gaussian_process
from hpstudy.spec import Choice, IntRange, LinearRange, LogRange

RATE, NUMBER = "val/tar_at_far_1e-3", "val/score"
SPACE = {"cosface": {"s": LogRange(log=(2.0, 64.0)), "m": LinearRange(linear=(0.0, 0.6))}}


def searched(
    points: np.ndarray, values: np.ndarray, names: Sequence[str] = ("s", "m"), status: Sequence[str] | None = None
) -> pd.DataFrame:
    """The record of one search, from points in the units of the values."""
    frame = pd.DataFrame(
        {
            "trial_id": [f"cosface.default.search.s0.{i:03d}" for i in range(len(values))],
            "arm": "cosface", "condition": "default", "phase": "search", "search_seed": 0, "number": range(len(values)),
            "loss": "cosface", "status": list(status) if status is not None else "completed", "objective": values,
        }
    )  # fmt: skip
    return frame.assign(**{f"param/{name}": points[:, i] for i, name in enumerate(names)})


def spread_points(rng: np.random.Generator, count: int) -> np.ndarray:
    """Scales uniform in the logarithm from 2 to 64, margins from 0 to 0.6."""
    return np.column_stack([2 * 32 ** rng.random(count), 0.6 * rng.random(count)])


def hill(points: np.ndarray) -> np.ndarray:
    """A logit with its optimum at s = 16, m = 0.3."""
    return 1.5 - 0.8 * np.log(points[:, 0] / 16) ** 2 - 12 * (points[:, 1] - 0.3) ** 2


def only(trials: pd.DataFrame, objective: str = RATE, ranges: Mapping[str, Any] | None = SPACE) -> Response:
    (response,) = fit_responses(trials, objective, ranges)
    return response


@given(st.floats(0.01, 10), st.floats(1.1, 100), st.booleans(), st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_unit_positions_and_values_are_inverse(low: float, ratio: float, log: bool, units: list[float]) -> None:
    value = SearchedValue("s", low, low * ratio, log)
    there = value.from_unit(units)
    assert value.to_unit(there) == pytest.approx(units, abs=1e-9)
    assert (there >= low * (1 - 1e-12)).all()
    assert (there <= low * ratio * (1 + 1e-12)).all()


def test_lists_are_drawn_value_by_value() -> None:
    (value,) = searched_values(
        pd.DataFrame({"param/s": [8.0, 32.0], "phase": "search"}), {"s": Choice(choice=(32.0, 8.0, 16.0))}
    )
    uniform = (np.arange(300) + 0.5) / 300
    found, counts = np.unique(np.round(value.from_unit(value.draw(uniform)), 9), return_counts=True)
    assert found.tolist() == [8.0, 16.0, 32.0]
    assert counts.tolist() == [100, 100, 100]


def test_ranges_decide_the_scale_and_custom_does_without_them() -> None:
    points = pd.DataFrame(
        {"param/m": [0.1, 0.5], "param/s": [4.0, 40.0], "param/training.optimizer.lr": [0.01, 0.1], "phase": "search"}
    )
    assert [(v.name, v.log) for v in searched_values(points)] == [
        ("s", True), ("m", False), ("training.optimizer.lr", True),
    ]  # fmt: skip
    ranges = {"s": LinearRange(linear=(1.0, 50.0)), "m": LogRange(log=(0.01, 1.0)), "k": IntRange(int=(1, 3))}
    assert [(v.name, v.low, v.log) for v in searched_values(points, ranges)][:2] == [
        ("s", 1.0, False), ("m", 0.01, True),
    ]  # fmt: skip
    grid = searched_values(points.assign(phase="grid"))
    assert grid[0].levels == (4.0, 40.0)


def test_likelihood_has_the_gradient_it_claims() -> None:
    rng = np.random.default_rng(0)
    points, values = rng.random((14, 2)), rng.standard_normal(14)
    gaps = (points[:, None] - points[None]) ** 2
    for logs in (np.array([0.0, -0.7, -0.2, -2.0]), np.array([0.5, 1.0, -1.0, -5.0])):
        steps = 1e-5 * np.eye(4)
        slopes = [(_lack(logs + step, gaps, values)[0] - _lack(logs - step, gaps, values)[0]) / 2e-5 for step in steps]
        assert _lack(logs, gaps, values)[1] == pytest.approx(slopes, rel=1e-5, abs=1e-5)


def test_left_out_predictions_are_those_of_a_process_without_the_point() -> None:
    rng = np.random.default_rng(1)
    points = rng.random((12, 2))
    process = fit_gaussian_process(points, np.sin(3 * points[:, 0]) + 0.1 * rng.standard_normal(12))
    for i in (0, 5, 11):
        rest = np.delete(np.arange(12), i)
        without = type(process)(
            points[rest], process.targets[rest], process.centre, process.spread, process.logs, process.error
        )
        assert without.mean(points[i : i + 1])[0] == pytest.approx(process.left_out()[i], abs=1e-6)
    assert process.std(points).max() < process.prior_std


def test_functions_drawn_have_the_mean_and_spread_that_the_process_states() -> None:
    rng = np.random.default_rng(2)
    process = fit_gaussian_process(rng.random((15, 1)), rng.standard_normal(15))
    places = np.linspace(0, 1, 9)[:, None]
    draws = process.draws(places, 4000, np.random.default_rng(3))
    assert draws.mean(axis=0) == pytest.approx(process.mean(places), abs=0.08)
    assert draws.std(axis=0) == pytest.approx(process.std(places), rel=0.08, abs=0.01)


def test_a_known_surface_is_recovered() -> None:
    rng = np.random.default_rng(4)
    points = spread_points(rng, 40)
    response = only(searched(points, expit(hill(points) + 0.05 * rng.standard_normal(40))))
    (surface,) = surfaces([response], 0.01)
    assert response.reason == ""
    assert response.q2 > 0.9
    s, m = np.meshgrid(*surface.grid)
    truth = expit(hill(np.column_stack([s.ravel(), m.ravel()]))).reshape(s.shape)
    inner = surface.known
    assert inner.mean() > 0.9
    assert np.abs(surface.mean - truth)[inner].max() < 0.06
    covered = (surface.low <= truth) & (truth <= surface.high)
    assert covered[inner].mean() > 0.7
    assert surface.best["s"] == pytest.approx(16, rel=0.25)
    assert surface.best["m"] == pytest.approx(0.3, abs=0.06)
    assert surface.best_value == pytest.approx(expit(1.5), abs=0.02)
    low, high = surface.near["m"]
    assert low < 0.3 < high
    assert 0 < surface.near_share < 0.1
    assert surface.near_share < only_near(response, 0.05) < surface.known_share


def only_near(response: Response, margin: float) -> float:
    (surface,) = surfaces([response], margin)
    return surface.near_share


def test_noise_around_the_surface_is_estimated() -> None:
    rng = np.random.default_rng(5)
    points = spread_points(rng, 150)
    response = only(searched(points, expit(hill(points) + 0.3 * rng.standard_normal(150))))
    assert response.process is not None
    assert response.process.noise_std == pytest.approx(0.3, rel=0.25)


def test_rates_stay_rates() -> None:
    rng = np.random.default_rng(6)
    points = spread_points(rng, 30)
    response = only(searched(points, np.clip(expit(3 * hill(points)), 0.0, 1.0)))
    (surface,) = surfaces([response], 0.01)
    for part in (surface.mean, surface.low, surface.high):
        assert (part > 0).all()
        assert (part < 1).all()


def test_pure_noise_has_no_surface() -> None:
    claimed = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        points = spread_points(rng, 24)
        claimed += only(searched(points, expit(0.3 * rng.standard_normal(24)))).reason == ""
    assert claimed <= 6


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (expit(np.arange(7.0)), "7 completed trials, and 8 are needed"),
        (np.full(9, 0.5), "all completed trials have the same value"),
        (expit(np.array([0.1, -0.2, 0.3, 0.0, 0.2, -0.1, 0.15, -0.3, 0.05])), "noise alone gives up to 0.56"),
    ],
)
def test_a_surface_is_refused_with_its_reason(values: np.ndarray, reason: str) -> None:
    rng = np.random.default_rng(7)
    response = only(searched(spread_points(rng, len(values)), values))
    assert reason in response.reason
    (surface,) = surfaces([response], 0.01)
    assert surface.reason == response.reason
    assert not surface.known.any()
    assert np.isnan(surface.mean).all()
    summary = surface_summary([surface])
    assert summary["reason"].item() == response.reason
    assert np.isnan(summary["best_value"].item())


def test_diverged_trials_mark_their_ground_and_leave_the_fit_alone() -> None:
    rng = np.random.default_rng(8)
    points = spread_points(rng, 40)
    values = expit(hill(points))
    beyond = np.array([[60.0, 0.58], [55.0, 0.5]])
    alone = only(searched(points, values))
    marked = only(
        searched(
            np.vstack([points, beyond]), np.append(values, [0.001, 0.001]), status=["completed"] * 40 + ["diverged"] * 2
        )
    )
    places = rng.random((50, 2))
    assert marked.mean(places) == pytest.approx(alone.mean(places), abs=1e-12)
    there = np.array([[0.99, 0.97]])
    assert marked.clearance(there)[0] < 0
    assert not marked.known(there)[0]
    assert alone.known(there)[0]
    assert np.isinf(alone.clearance(there)[0])
    centre = np.array([[0.6, 0.5]])
    assert marked.known(centre)[0]
    assert (marked.known(places) <= (marked.clearance(places) >= 0)).all()


def test_where_trials_were_pruned_nothing_is_known_unless_between_completed_ones() -> None:
    rng = np.random.default_rng(9)
    points = spread_points(rng, 80)
    good = points[:, 0] > 8
    status = np.where(good, "completed", "pruned")
    status[np.flatnonzero(good)[:3]] = "pruned"
    response = only(searched(points, expit(hill(points)), status=status))
    assert response.reason == ""
    assert not response.known(np.array([[0.1, 0.5], [0.05, 0.9]])).any()
    at_pruned = response.ended[np.flatnonzero(good)[:3]]
    inside = response._inside(at_pruned)
    assert (response.known(at_pruned) == inside).all()
    fewer = only(searched(points[status == "completed"], expit(hill(points))[status == "completed"]))
    assert fewer.mean(at_pruned) == pytest.approx(response.mean(at_pruned), abs=1e-12)


def test_at_the_first_rung_every_trial_counts() -> None:
    rng = np.random.default_rng(10)
    points = spread_points(rng, 60)
    status = np.where(hill(points) > 1.2, "completed", "pruned")
    trials = searched(points, expit(hill(points)), status=status)
    records = {
        trial_id: pd.DataFrame({"epoch": [1, 2, 3], RATE: expit([value - 2, value - 1.5, value - 1])})
        for trial_id, value in zip(trials["trial_id"], hill(points), strict=True)
    }
    (early,) = early_responses(trials, records.__getitem__, RATE, SPACE, epoch=3)
    assert (early.n, early.epoch) == (60, 3)
    assert early.mean(np.array([[0.6, 0.5]]))[0] == pytest.approx(expit(0.5), abs=0.02)
    assert early.known(rng.random((100, 2))).mean() > 0.9
    missing: Callable[[str], pd.DataFrame] = {}.__getitem__
    (nothing,) = early_responses(trials, missing, RATE, SPACE, epoch=3)
    assert nothing.reason.startswith("0 completed")
    assert early_responses(trials.assign(status="completed"), missing, RATE, SPACE, epoch=3) == []


def test_one_value_gives_a_curve() -> None:
    rng = np.random.default_rng(11)
    s = 2 * 32 ** rng.random(20)
    trials = searched(s[:, None], expit(2 - np.log(s / 12) ** 2), names=("s",))
    (surface,) = surfaces([only(trials)], 0.01)
    assert [value.name for value in surface.axes] == ["s"]
    assert surface.mean.shape == (1, 201)
    assert surface.best["s"] == pytest.approx(12, rel=0.1)
    low, high = surface.near["s"]
    assert low < 12 < high
    assert not surface.held


def test_a_third_value_is_held_at_the_optimum() -> None:
    rng = np.random.default_rng(12)
    points = np.column_stack([spread_points(rng, 60), 10 ** rng.uniform(-2, 0, 60)])
    values = hill(points) - np.log(points[:, 2] / 0.1) ** 2
    space = {"cosface": SPACE["cosface"] | {"training.optimizer.lr": LogRange(log=(0.01, 1.0))}}
    names = ("s", "m", "training.optimizer.lr")
    (surface,) = surfaces([only(searched(points, expit(values), names), ranges=space)], 0.02)
    assert [value.name for value in surface.axes] == ["s", "m"]
    assert list(surface.held) == ["training.optimizer.lr"]
    assert surface.held["training.optimizer.lr"] == pytest.approx(0.1, rel=0.35)
    assert surface.mean[surface.known].max() == pytest.approx(expit(1.5), abs=0.03)
    columns = surface_summary([surface]).columns
    assert {"best/s", "best/m", "best/training.optimizer.lr", "near_low/m", "near_high/m"} <= set(columns)


def test_many_trials_are_sampled_the_same_way_every_time() -> None:
    rng = np.random.default_rng(13)
    points = spread_points(rng, 1000)
    trials = searched(points, expit(hill(points) + 0.1 * rng.standard_normal(1000)))
    first, second = only(trials), only(trials)
    assert first.n == 1000
    assert first.process is not None
    assert second.process is not None
    assert len(first.process.targets) == 800
    places = rng.random((20, 2))
    assert (first.mean(places) == second.mean(places)).all()


@settings(max_examples=8)
@given(st.integers(0, 10**6))
def test_the_order_of_trials_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = spread_points(rng, 16)
    trials = searched(points, logit(expit(hill(points))) + 0.1 * rng.standard_normal(16))
    places = rng.random((5, 2))
    shuffled = trials.iloc[rng.permutation(16)].reset_index(drop=True)
    first, second = only(trials, NUMBER), only(shuffled, NUMBER)
    assert first.q2 == pytest.approx(second.q2, abs=5e-3)
    if not first.reason and not second.reason:
        assert first.mean(places) == pytest.approx(second.mean(places), abs=2e-2)


def test_arms_that_vary_nothing_have_no_response() -> None:
    trials = searched(np.full((9, 2), 0.5), np.linspace(0.1, 0.9, 9))
    assert fit_responses(trials, RATE) == []
