"""The price of tuning: curves, break-even budgets, and their recovery where the truth is known."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from hpstudy.analysis import StudyFacts, break_even, expected_best
from hpstudy.analysis._searches import noise_of

MakeTrial = Callable[..., dict[str, Any]]
MakeStudy = Callable[..., pd.DataFrame]
Searches = NDArray[np.float64]

SEEDS = (0.02, -0.03, 0.01)
"""What three confirm seeds do to every arm."""


def facts(sampler: str = "random", **changes: Any) -> StudyFacts:
    values: dict[str, Any] = {
        "name": "demo",
        "question": "?",
        "objective": "val/tar_at_far_1e-3",
        "equivalence_margin": 0.01,
        "sampler": sampler,
    }
    return StudyFacts(**(values | changes))


@pytest.fixture
def study(make_trial: MakeTrial) -> MakeStudy:
    """A searched arm, its values per search, what its choices are worth, and two adaptive scales."""

    def build(
        searches: Sequence[Sequence[float]],
        worth: float | Sequence[float],
        adaptive: float,
        *,
        noise: float = 0.0,
        phase: str = "search",
        shift: Sequence[float] = SEEDS,
        status: Sequence[str] = (),
        seed: int = 0,
    ) -> pd.DataFrame:
        rng, rows = np.random.default_rng(seed), []
        worths = np.broadcast_to(worth, len(searches))
        for lane, values in enumerate(searches):
            for i, value in enumerate(values):
                ended = status[i] if status else "completed"
                rows.append(make_trial("cosface", phase, i, value, search_seed=lane, seed=lane, status=ended))
            for i, effect in enumerate(shift):
                value = worths[lane] + effect + noise * rng.standard_normal()
                rows.append(make_trial("cosface", "confirm", 101 + i, value, search_seed=lane))
        for arm, level in (("dynamic", adaptive), ("fixed", adaptive - 0.03)):
            for i, effect in enumerate(shift):
                rows.append(make_trial(arm, "confirm", 101 + i, level + effect + noise * rng.standard_normal()))
        return pd.DataFrame(rows)

    return build


def of_dynamic(facts: StudyFacts, trials: pd.DataFrame) -> pd.Series:
    prices = break_even(facts, trials)
    return prices[prices["adaptive"] == "dynamic"].iloc[0]


def curve_of(facts: StudyFacts, trials: pd.DataFrame) -> pd.DataFrame:
    frame = expected_best(facts, trials)
    return frame[frame["arm"] == "cosface"]


def test_noise_is_what_arm_and_seed_leave(study: MakeStudy) -> None:
    assert noise_of(study([[0.5]], 0.5, 0.6)).std == pytest.approx(0, abs=1e-12)
    many = study([[0.5]], 0.5, 0.6, noise=0.05, shift=[0.3 * i for i in range(60)])
    found = noise_of(many)
    assert (found.std, found.freedom) == (pytest.approx(0.05, rel=0.15), 118)
    assert noise_of(study([[0.5]], 0.5, 0.6, shift=[0.0])).freedom == 0


def test_curve_ends_where_the_choice_came_out(study: MakeStudy) -> None:
    trials = study([[0.2, 0.5, 0.4, 0.7]], 0.6, 0.5)
    for sampler, seen in (("random", [0.45, 0.5833, 0.65, 0.7]), ("tpe", [0.2, 0.5, 0.5, 0.7])):
        curve = curve_of(facts(sampler), trials)
        assert curve["seen"].to_list() == pytest.approx(seen, abs=1e-3)
        assert curve["expected"].to_list() == pytest.approx([value - 0.1 for value in seen], abs=1e-3)
        assert curve["hours"].to_list() == pytest.approx([1 / 60, 2 / 60, 3 / 60, 4 / 60])


def test_adaptive_arms_have_one_row(study: MakeStudy) -> None:
    frame = expected_best(facts(), study([[0.2, 0.7]], 0.6, 0.5)).set_index("arm")
    row = frame.loc["dynamic"]
    assert (row["n"], row["estimator"], row["hours"]) == (1, "confirm mean", pytest.approx(1 / 60))
    assert row["expected"] == pytest.approx(0.5)
    assert row["low"] == pytest.approx(0.5 - 0.0657, abs=1e-3)


def test_an_unknown_sampler_is_taken_to_adapt(study: MakeStudy) -> None:
    trials = study([[0.2, 0.7]], 0.6, 0.5)
    assert curve_of(facts(""), trials)["estimator"].unique() == ["running best"]
    assert curve_of(facts("gp"), trials)["estimator"].unique() == ["running best"]
    assert curve_of(facts("qmc"), trials)["estimator"].unique() == ["order statistic"]
    assert curve_of(facts("grid"), trials)["estimator"].unique() == ["order statistic of a list"]
    grid = study([[0.2, 0.7]], 0.6, 0.5, phase="grid")
    assert curve_of(facts("tpe"), grid)["estimator"].unique() == ["order statistic of a list"]


def test_the_published_default_stays_first(study: MakeStudy) -> None:
    trials = study([[0.4, 0.2, 0.8]], 0.8, 0.5)
    assert curve_of(facts(given_first=["cosface"]), trials)["seen"].to_list() == pytest.approx([0.4, 0.6, 0.8])
    assert curve_of(facts(), trials)["seen"].to_list() == pytest.approx([1.4 / 3, 2 / 3, 0.8])


def test_a_pruned_trial_is_worth_no_more_than_the_choice(study: MakeStudy) -> None:
    trials = study([[0.4, 0.9, 0.7]], 0.7, 0.5, status=["completed", "pruned", "completed"])
    assert curve_of(facts(), trials)["seen"].to_list() == pytest.approx([0.6, 0.7, 0.7])
    assert curve_of(facts("tpe"), trials)["seen"].to_list() == pytest.approx([0.4, 0.4, 0.7])


def test_a_failed_trial_costs_and_counts_not(study: MakeStudy) -> None:
    trials = study([[0.4, 0.3, 0.7]], 0.7, 0.5, status=["completed", "failed", "completed"])
    curve = curve_of(facts("tpe"), trials)
    assert curve["seen"].to_list() == pytest.approx([0.4, 0.7])
    assert curve["hours"].to_list() == pytest.approx([1 / 60, 3 / 60])


def test_a_search_without_a_choice_stays_at_chance(study: MakeStudy) -> None:
    trials = study([[0.001, 0.001]], 0.5, 0.5, status=["diverged", "diverged"])
    trials = trials[(trials["arm"] != "cosface") | (trials["phase"] == "search")]
    assert curve_of(facts(), trials)["expected"].to_list() == pytest.approx([0.001, 0.001])


def test_an_unconfirmed_search_has_no_price(study: MakeStudy) -> None:
    trials = study([[0.4, 0.7]], 0.7, 0.5)
    waiting = trials[(trials["arm"] != "cosface") | (trials["phase"] == "search")]
    curve = curve_of(facts(), waiting)
    assert curve["expected"].isna().all()
    assert curve["seen"].notna().all()
    assert break_even(facts(), waiting).empty
    assert break_even(facts(), trials[trials["phase"] == "search"]).empty


def test_a_scale_that_diverged_throughout_has_no_price(study: MakeStudy) -> None:
    trials = study([[0.4, 0.7]], 0.7, 0.5)
    trials.loc[trials["arm"] == "dynamic", ["status", "objective"]] = ["diverged", 0.001]
    assert set(break_even(facts(), trials)["adaptive"]) == {"fixed"}
    assert "dynamic" not in set(expected_best(facts(), trials)["arm"])


def test_break_even_reads_off_the_curve(study: MakeStudy) -> None:
    row = of_dynamic(facts("tpe"), study([[0.2, 0.495, 0.502, 0.4]], 0.502, 0.5))
    assert (row["n_star"], row["n_mean"], row["hours"], row["reached"]) == (2, 3, pytest.approx(2 / 60), True)
    assert (row["trials"], row["adaptive_hours"]) == (4, pytest.approx(1 / 60))
    assert np.isnan(row["low"])
    assert np.isnan(row["high"])
    never = of_dynamic(facts("tpe"), study([[0.2, 0.4]], 0.4, 0.5))
    assert (never["n_star"], never["reached"]) == (np.inf, False)
    assert np.isnan(never["hours"])


def test_a_given_first_trial_can_settle_a_single_search(study: MakeStudy) -> None:
    known = facts("tpe", given_first=["cosface"])
    for first, interval in ((0.6, [1.0, 1.0]), (0.2, [2.0, np.nan]), (0.49, [1.0, np.nan])):
        row = of_dynamic(known, study([[first, 0.7]], 0.7, 0.5, noise=0.004))
        np.testing.assert_array_equal([row["low"], row["high"]], interval)


def test_one_confirm_seed_gives_no_interval(study: MakeStudy) -> None:
    row = of_dynamic(facts(), study([[0.2, 0.7, 0.4]], 0.7, 0.5, shift=[0.0]))
    assert row["reached"]
    assert np.isnan(row["low"])


def test_same_record_same_numbers(study: MakeStudy) -> None:
    trials = study([[0.3, 0.6, 0.5, 0.55, 0.2]], 0.58, 0.56, noise=0.01)
    shuffled = trials.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(break_even(facts(), trials), break_even(facts(), trials))
    pd.testing.assert_frame_equal(break_even(facts(), trials), break_even(facts(), shuffled))


def landscape(x: Searches) -> Searches:
    return np.asarray(0.05 + 0.40 * np.exp(-((x[..., 0] / 0.45) ** 2 + (x[..., 1] / 0.6) ** 2) / 2))


def run_searches(
    rng: np.random.Generator, count: int, trials: int, noise: float, learns: bool
) -> tuple[Searches, Searches]:
    """True and observed values of independent searches: uniform draws, or half of them near the best so far."""
    true, seen = np.zeros((count, trials)), np.zeros((count, trials))
    best_x, best = np.zeros((count, 2)), np.full(count, -1.0)
    for t in range(trials):
        x = rng.uniform(-1, 1, (count, 2))
        near = (rng.uniform(size=count) < 0.6) & learns & (t > 2)
        x = np.where(near[:, None], np.clip(best_x + rng.normal(0, 0.25, (count, 2)), -1, 1), x)
        true[:, t] = landscape(x)
        seen[:, t] = true[:, t] + noise * rng.standard_normal(count)
        better = seen[:, t] > best
        best, best_x = np.where(better, seen[:, t], best), np.where(better[:, None], x, best_x)
    return true, seen


@pytest.mark.parametrize(("sampler", "count"), [("random", 1), ("random", 3), ("tpe", 4)])
def test_break_even_is_recovered_from_simulated_studies(study: MakeStudy, sampler: str, count: int) -> None:
    rng, trials, noise, level = np.random.default_rng(11), 14, 0.008, 0.36
    true, seen = run_searches(rng, 20_000, trials, noise, sampler == "tpe")
    holder = np.array([np.argmax(seen[:, : n + 1], axis=1) for n in range(trials)])
    worth = np.take_along_axis(true, holder.T, axis=1).mean(axis=0)
    truth = int(np.argmax(worth >= level - 0.01)) + 1
    assert 5 <= truth <= 9
    found = []
    for repetition in range(40):
        true, seen = run_searches(rng, count, trials, noise, sampler == "tpe")
        chosen = np.take_along_axis(true, seen.argmax(axis=1)[:, None], axis=1)[:, 0]
        luck = 0.02 * rng.standard_normal((count, 1))  # the training seed of a search, for all its trials
        record = study(
            (seen + luck).tolist(), chosen.tolist(), level, noise=noise,
            shift=(0.02 * rng.standard_normal(3)).tolist(), seed=repetition,
        )  # fmt: skip
        found.append(of_dynamic(facts(sampler), record)[["n_star", "low", "high"]].to_numpy(dtype=float))
    n_star, low, high = np.array(found).T
    assert abs(np.median(n_star) - truth) <= 1
    assert np.mean((low <= truth) & (truth <= high)) >= 0.85
