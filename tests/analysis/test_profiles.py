"""Arms over several conditions: gains over a control, interquartile means, profiles and ranks."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hpstudy.analysis import _profiles as profiles
from hpstudy.analysis import control_arm, performance_profiles, pooled_summary, rank_comparison
from hpstudy.analysis._ranks import critical_difference, friedman_p

METRIC = "test/tar_at_far_1e-3"
MakeTrial = Callable[..., dict[str, Any]]
Record = Callable[..., pd.DataFrame]


@pytest.fixture
def record(make_trial: MakeTrial) -> Record:
    """Confirm trials from scores by condition and arm: one a seed, or a row a search and a column a seed."""

    def build(scores: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
        return pd.DataFrame(
            [
                make_trial(arm, "confirm", 101 + i, value, condition=condition, search_seed=search)
                for condition, arms in scores.items()
                for arm, values in arms.items()
                for search, row in enumerate(np.atleast_2d(values))
                for i, value in enumerate(row)
                if np.isfinite(value)
            ]
        )

    return build


def levels(rng: np.random.Generator, count: int, seeds: int, gain: float, std: float = 0.01) -> dict[str, Any]:
    """Conditions from hard to easy, with a planted gain of cosface over dynamic; fixed is below."""
    found = {}
    for place, base in enumerate(np.linspace(0.3, 0.9, count)):
        shared = rng.normal(0, std, seeds)
        found[f"c{place}"] = {
            arm: base + shift + shared + rng.normal(0, std / 2, seeds)
            for arm, shift in (("cosface", gain), ("dynamic", 0.0), ("fixed", -0.05))
        }
    return found


def test_summary_finds_a_planted_gain_whatever_the_difficulty(record: Record) -> None:
    table = pooled_summary(record(levels(np.random.default_rng(0), 4, 5, 0.04)), METRIC).set_index("arm")
    assert table.index.to_list() == ["cosface", "dynamic", "fixed"]
    row = table.loc["cosface"]
    assert (row["control"], row["conditions"], row["runs"], row["kind"]) == ("dynamic", 4, 20, "fixed")
    assert row["low"] < 0.04 < row["high"] < 0.06
    assert row["mean_gain"] == pytest.approx(0.04, abs=0.01)
    assert row["improvement"] > 0.9
    assert row["improvement_low"] < row["improvement"] <= row["improvement_high"] == 1.0
    control = table.loc["dynamic"]
    assert (control["gain"], control["mean_gain"]) == (0.0, 0.0)
    assert control[["low", "high", "improvement"]].isna().all()
    assert control["iqm_low"] < control["iqm"] < control["iqm_high"]


def test_the_interquartile_mean_drops_a_quarter_at_either_end(record: Record) -> None:
    rng = np.random.default_rng(1)
    cosface, dynamic = rng.uniform(0.4, 0.6, (2, 3, 4))
    trials = record({f"c{i}": {"cosface": cosface[i], "dynamic": dynamic[i]} for i in range(3)})
    row = pooled_summary(trials, METRIC).set_index("arm").loc["cosface"]
    assert row["iqm"] == pytest.approx(stats.trim_mean(cosface.ravel(), 0.25))
    assert row["gain"] == pytest.approx(stats.trim_mean((cosface - dynamic.mean(axis=1, keepdims=True)).ravel(), 0.25))
    assert row["improvement"] == pytest.approx(np.mean(cosface > dynamic))


def test_intervals_cover(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "_RESAMPLES", 300)
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(40):
        row = pooled_summary(record(levels(rng, 3, 3, 0.02)), METRIC).set_index("arm").loc["cosface"]
        covered.append(row["low"] <= 0.02 <= row["high"])
    assert np.mean(covered) >= 0.87


def test_a_condition_in_which_an_arm_diverged_does_not_decide(record: Record) -> None:
    trials = record(levels(np.random.default_rng(3), 5, 3, 0.03))
    lost = (trials["arm"] == "cosface") & (trials["condition"] == "c4")
    trials.loc[lost, "status"] = "diverged"
    row = pooled_summary(trials, METRIC).set_index("arm").loc["cosface"]
    assert row["mean_gain"] < -0.1
    assert row["gain"] > 0.01
    assert row["improvement"] == pytest.approx(0.8)


def test_the_control_is_the_best_adaptive_arm_over_shared_conditions(record: Record) -> None:
    scores = levels(np.random.default_rng(4), 3, 3, 0.0)
    assert control_arm(record(scores), METRIC) == "dynamic"
    del scores["c0"]["fixed"]  # the hardest condition, without which its mean is the higher one
    assert control_arm(record(scores), METRIC) == "dynamic"
    assert control_arm(record({"c0": {"cosface": [0.5, 0.6]}}), METRIC) == ""


@pytest.mark.parametrize("scores", [{"c0": {"cosface": [0.5, 0.6], "dynamic": [0.5, 0.4]}}, {
    f"c{i}": {"cosface": [0.5, 0.6]} for i in range(3)}])  # fmt: skip
def test_one_condition_or_no_adaptive_arm_gives_nothing(record: Record, scores: Mapping[str, Any]) -> None:
    trials = record(scores)
    assert pooled_summary(trials, METRIC).empty
    assert performance_profiles(trials, METRIC).empty
    assert rank_comparison(trials, METRIC).empty


def test_one_seed_gives_no_interval(record: Record) -> None:
    trials = record({f"c{i}": {"cosface": [0.6 + i / 10], "dynamic": [0.5 + i / 10]} for i in range(3)})
    row = pooled_summary(trials, METRIC).set_index("arm").loc["cosface"]
    assert row["gain"] == pytest.approx(0.1)
    assert row[["low", "high", "iqm_low"]].isna().all()
    assert performance_profiles(trials, METRIC)[["low", "high"]].isna().all(axis=None)


def test_missing_seeds_and_arms_are_left_out(record: Record) -> None:
    scores = levels(np.random.default_rng(5), 4, 3, 0.05)
    scores["c1"]["cosface"][1] = np.nan
    del scores["c2"]["cosface"]
    del scores["c3"]["dynamic"]
    del scores["c3"]["fixed"]
    table = pooled_summary(record(scores), METRIC).set_index("arm")
    assert table["conditions"].to_dict() == {"cosface": 2, "dynamic": 3, "fixed": 3}
    assert table.loc["cosface", "runs"] == 5
    assert np.isfinite(table.loc["cosface", "low"])


def test_results_are_the_same_every_time(record: Record) -> None:
    trials = record(levels(np.random.default_rng(6), 3, 4, 0.02))
    pd.testing.assert_frame_equal(pooled_summary(trials, METRIC), pooled_summary(trials, METRIC))
    pd.testing.assert_frame_equal(performance_profiles(trials, METRIC), performance_profiles(trials, METRIC))


def test_several_searches_make_no_more_pairs(record: Record) -> None:
    rng = np.random.default_rng(7)
    scores = {
        f"c{i}": {"cosface": rng.normal(0.6, 0.01, (2, 4)), "dynamic": rng.normal(0.5, 0.01, 4)} for i in range(3)
    }
    row = pooled_summary(record(scores), METRIC).set_index("arm").loc["cosface"]
    assert row["runs"] == 24
    assert row["improvement_low"] == pytest.approx(stats.beta.ppf(0.025, 2, 1))  # 2 pairs, which all conditions share
    assert row["low"] < 0.1 < row["high"]


def test_profiles_are_shares_of_runs_above_tau(record: Record) -> None:
    rng = np.random.default_rng(8)
    trials = record(levels(rng, 3, 4, 0.03))
    table = performance_profiles(trials, METRIC)
    means = trials[trials["arm"] == "dynamic"].groupby("condition")[METRIC].mean()
    for arm, rows in table.groupby("arm"):
        of_arm = trials[trials["arm"] == arm]
        gains = (of_arm[METRIC] - of_arm["condition"].map(means)).to_numpy()
        for tau, share in zip(rows["tau"], rows["share"], strict=True):
            assert share == pytest.approx(np.mean(gains > tau))
        assert (rows["share"].iloc[0], rows["share"].iloc[-1]) == (1.0, 0.0)
        assert (rows["share"].diff().dropna() <= 1e-12).all()
        assert ((rows["low"] <= rows["high"]) & (rows["low"] >= 0) & (rows["high"] <= 1)).all()


def test_ranks_need_five_conditions(record: Record) -> None:
    rng = np.random.default_rng(9)
    assert rank_comparison(record(levels(rng, 4, 3, 0.05)), METRIC).empty
    table = rank_comparison(record(levels(rng, 8, 3, 0.05)), METRIC).set_index("arm")
    assert table["mean_rank"].to_list() == [1.0, 2.0, 3.0]
    assert table["word"].to_dict() == {"cosface": "not shown", "dynamic": "", "fixed": "not shown"}
    assert table.loc["cosface", "difference"] == 1.0
    assert table.loc["cosface", "critical"] == pytest.approx(2.2414 * np.sqrt(12 / 48), abs=1e-3)
    many = rank_comparison(record(levels(rng, 12, 3, 0.05)), METRIC).set_index("arm")
    assert many["word"].to_dict() == {"cosface": "better", "dynamic": "", "fixed": "worse"}
    assert (many["friedman_p"] < 0.001).all()


def test_equal_arms_keep_the_level_of_the_test_of_ranks(record: Record) -> None:
    rng = np.random.default_rng(10)
    p = [friedman_p(pd.DataFrame(rng.normal(size=(8, 5))).rank(axis=1)) for _ in range(400)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.025)


def test_friedman_agrees_with_scipy_and_demsar() -> None:
    rng = np.random.default_rng(11)
    values = rng.integers(0, 6, (9, 4)).astype(float)
    ranks = pd.DataFrame(values).rank(axis=1)
    chi2 = stats.friedmanchisquare(*values.T).statistic
    expected = stats.f.sf(8 * chi2 / (9 * 3 - chi2), 3, 24)
    assert friedman_p(ranks) == pytest.approx(expected)
    assert friedman_p(pd.DataFrame(np.ones((6, 3)) * 2)) == 1.0
    # Demšar 2006, section 3.2.2: 4 classifiers on 14 data sets, q = 2.394 at 5 %.
    assert critical_difference(4, 14) == pytest.approx(2.394 * np.sqrt(4 * 5 / (6 * 14)), abs=2e-3)
