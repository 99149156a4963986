"""Several searches: what they score together, what each component is, and what may be said."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import (
    StudyFacts,
    confirm_scores,
    confirm_summary,
    paired_comparisons,
    variance_components,
    verdict,
)

METRIC = "test/tar_at_far_1e-3"
MakeTrial = Callable[..., dict[str, Any]]


@pytest.fixture
def searched(make_trial: MakeTrial) -> Callable[..., pd.DataFrame]:
    """A record from a searches × seeds table of scores per arm; a row of NaN is a search without a survivor."""

    def build(scores: dict[str, np.ndarray], status: str = "diverged") -> pd.DataFrame:
        rows = []
        for arm, table in scores.items():
            for lane, values in enumerate(np.atleast_2d(table)):
                lost = bool(np.isnan(values).all())
                if len(np.atleast_2d(table)) > 1:
                    outcome = status if lost else "completed"
                    rows += [make_trial(arm, "search", i, 0.5, search_seed=lane, status=outcome) for i in range(2)]
                if not lost:
                    rows += [
                        make_trial(arm, "confirm", 101 + i, value, search_seed=lane) for i, value in enumerate(values)
                    ]
        return pd.DataFrame(rows)

    return build


def crossed(rng: np.random.Generator, mean: float, search: float, seed: float, rest: float) -> np.ndarray:
    shape = (3, 5)
    by_search, by_seed = rng.normal(0, search, (3, 1)), rng.normal(0, seed, (1, 5))
    return np.asarray(mean + by_search + by_seed + rng.normal(0, rest, shape))


def test_components_are_found_on_average(searched: Callable[..., pd.DataFrame]) -> None:
    rng = np.random.default_rng(0)
    truth = {"search_std": 0.02, "seed_std": 0.01, "rest_std": 0.005}
    found = []
    for _ in range(20):
        arms = {f"arm{i}": crossed(rng, 0.8, *truth.values()) for i in range(5)}
        found.append(variance_components(searched(arms), METRIC)[list(truth)])
    squares = (pd.concat(found) ** 2).mean()
    for name, value in truth.items():
        assert squares[name] == pytest.approx(value**2, rel=0.35)
    assert (pd.concat(found) >= 0).all(axis=None)


def test_components_that_cannot_be_told_are_not_there(searched: Callable[..., pd.DataFrame]) -> None:
    rng = np.random.default_rng(1)
    trials = searched(
        {"cosface": crossed(rng, 0.8, 0.01, 0.01, 0.01), "dynamic": np.array([0.80, 0.82, 0.81, 0.8, 0.8])}
    )
    table = variance_components(trials, METRIC).set_index("arm")
    assert table["reason"].to_dict() == {"cosface": "", "dynamic": "nothing was searched"}
    assert np.isnan(table.loc["dynamic", "search_std"])
    assert table.loc["dynamic", "seed_std"] == pytest.approx(np.std([0.80, 0.82, 0.81, 0.8, 0.8], ddof=1))
    assert table["evaluation_std"].isna().all()
    one = trials[trials["search_seed"] == 0]
    assert variance_components(one, METRIC)["reason"].to_list() == ["one search seed", "nothing was searched"]


def test_a_search_without_a_survivor_counts_at_chance(searched: Callable[..., pd.DataFrame]) -> None:
    scores = np.array([[0.80, 0.82, 0.81], [np.nan] * 3])
    trials = searched({"cosface": scores, "dynamic": np.array([0.8, 0.8, 0.8])})
    found = confirm_scores(trials, METRIC)
    assert found.loc[found["search_seed"] == 1, "score"].to_list() == [0.001] * 3
    summary = confirm_summary(trials, METRIC).set_index("arm").loc["cosface"]
    assert summary["mean"] == pytest.approx((0.81 + 0.001) / 2)
    assert (summary["low"], summary["high"]) == pytest.approx((0.0, 1.0), abs=0.05)
    row = paired_comparisons(trials, METRIC, 0.01).iloc[0]
    assert (row["searches"], row["n"], row["word"]) == (2, 3, "not shown")
    assert row["low"] >= -1.0
    assert row["detectable"] == np.inf
    facts = StudyFacts(name="", question="", objective="val/tar_at_far_1e-3", equivalence_margin=0.01)
    text = verdict(facts, trials).paragraph
    assert "1 search ended without a completed trial and counts at chance (cosface 1)." in text
    assert "These searches and seeds would not show any difference four times in five" in text


@pytest.mark.parametrize("why", ["failed", "running"])
def test_a_search_that_failed_or_still_runs_does_not_count(searched: Callable[..., pd.DataFrame], why: str) -> None:
    scores = np.array([[0.80, 0.82, 0.81], [np.nan] * 3])
    trials = searched({"cosface": scores}, status="failed" if why == "failed" else "diverged")
    if why == "running":
        trials = trials.drop(trials.index[(trials["search_seed"] == 1)][:1])
    assert set(confirm_scores(trials, METRIC)["search_seed"]) == {0}


def test_one_lucky_search_among_many_is_no_claim(searched: Callable[..., pd.DataFrame]) -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(0.8, 0.002, 5)
    offsets = np.array([0.06, 0.01, -0.01])
    tuned = base + offsets[:, None] + rng.normal(0, 0.001, (3, 5))
    row = paired_comparisons(searched({"cosface": tuned, "dynamic": base}), METRIC, 0.01).iloc[0]
    assert row["given_low"] > 0.01
    assert row["low"] < 0.0 < row["high"]
    assert (row["word"], row["p_permutation"]) == ("not shown", 0.0625)


def test_searches_that_agree_are_a_claim(searched: Callable[..., pd.DataFrame]) -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(0.8, 0.002, 5)
    tuned = base + np.array([0.05, 0.051, 0.049])[:, None] + rng.normal(0, 0.001, (3, 5))
    row = paired_comparisons(searched({"cosface": tuned, "dynamic": base}), METRIC, 0.01).iloc[0]
    assert (row["searches"], row["word"], row["improvement"], row["cliffs_delta"]) == (3, "better", 1.0, 1.0)
    assert row["low"] < 0.05 < row["high"]


def test_words_keep_their_level_with_random_searches(searched: Callable[..., pd.DataFrame]) -> None:
    rng = np.random.default_rng(4)
    words: list[str] = []
    for _ in range(12):
        base = rng.normal(0.8, 0.01, 5)
        arms = {f"arm{i}": base + crossed(rng, 0.0, 0.01, 0.005, 0.005) for i in range(4)}
        table = paired_comparisons(searched({**arms, "dynamic": base}), METRIC, 1e-4)
        words.append("claim" if table["word"].isin(["better", "worse", "equivalent"]).any() else "none")
    assert words.count("claim") <= 2


def test_equal_records_give_equal_tables(searched: Callable[..., pd.DataFrame]) -> None:
    rng = np.random.default_rng(5)
    trials = searched({"cosface": crossed(rng, 0.8, 0.01, 0.01, 0.01), "dynamic": rng.normal(0.8, 0.01, 5)})
    first, second = (paired_comparisons(frame, METRIC, 0.01).to_csv() for frame in (trials, trials.copy()))
    assert first == second
