"""Convergence of trials, and the scale above which they converge: planted thresholds, every regime, coverage."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from hpstudy.analysis.audit import (
    CONVERGED,
    POSTERIORS,
    below_bound,
    convergence,
    convergence_fit,
    convergence_shares,
    has_plain_scale,
    posterior_tag,
    scale_bounds,
    threshold,
)
from hpstudy.theory import cosface_scale_bound

OCTAVE = math.log(2)


def curve(accuracies: list[float]) -> pd.DataFrame:
    epochs = np.arange(1, len(accuracies) + 1)
    return pd.DataFrame({"epoch": epochs, "step": 10 * epochs, "train_accuracy": accuracies})


@pytest.mark.parametrize(
    ("accuracies", "epoch"),
    [
        ([0.2, 0.96, 0.97, 0.99], 2),
        ([0.2, 0.96, 0.9, 0.95], 4),
        ([0.99, 0.99], 1),
        ([0.2, 0.96, 0.9], 3),
        ([0.96, math.nan, 0.96], 3),
        ([], math.nan),
    ],
)
def test_epoch_is_the_first_from_which_the_accuracy_stays(planted: Any, accuracies: list[float], epoch: float) -> None:
    trials = planted.survey(scales=(4.0, 8.0), seeds=1, adaptive=()).trials.head(1)
    found = convergence(trials, lambda trial_id: curve(accuracies)).iloc[0]
    assert found["converged"]
    expected = (epoch, 10 * epoch, epoch / len(accuracies) if accuracies else math.nan)
    got = found[["epoch_converged", "step_converged", "fraction_of_training"]].astype(float)
    np.testing.assert_allclose(got, expected)


def test_criterion_is_the_accuracy_at_the_end(planted: Any) -> None:
    trials = planted.survey(scales=(4.0, 8.0), seeds=2, adaptive=()).trials
    trials["geometry/train_accuracy"] = [CONVERGED, CONVERGED - 1e-6, np.nan, 1.0]
    trials.loc[3, "status"] = "diverged"

    def gone(trial_id: str) -> pd.DataFrame:
        raise FileNotFoundError(trial_id)

    found = convergence(trials, gone)
    assert found["trial_id"].to_list() == trials["trial_id"].drop(2).to_list()
    assert found["converged"].to_list() == [True, False, False]
    assert found["epoch_converged"].isna().all()
    assert np.isnan(found["accuracy"].iloc[2])


def test_nothing_is_judged_without_an_accuracy_or_with_wrong_labels(planted: Any) -> None:
    trials = planted.survey(scales=(4.0, 8.0), seeds=2, adaptive=(), diverging=(4.0,)).trials
    assert convergence(trials.drop(columns="geometry/train_accuracy"), lambda _: pd.DataFrame()).empty
    noisy = trials.assign(**{"data/label_noise": [0.2, np.nan, 0.0, 0.2]})
    assert convergence(noisy, lambda _: pd.DataFrame())["trial_id"].to_list() == trials["trial_id"][1:3].to_list()
    nothing = convergence(trials.head(0), lambda _: pd.DataFrame())
    assert convergence_fit(nothing).empty
    assert convergence_shares(nothing).empty
    assert below_bound(nothing).empty


def test_plain_scales_are_given_and_have_no_margin() -> None:
    rows = pd.DataFrame(
        [
            ("normface", 8.0, math.nan, True),
            ("none+fixed", 8.0, math.nan, True),
            ("cosface", 8.0, 0.0, True),
            ("arcface", 8.0, 0.3, False),
            ("sphereface", 8.0, 1.0, False),
            ("adacos", math.nan, math.nan, False),
            ("adacos_fixed", math.nan, math.nan, False),
            ("additive_cosine+adacos_dynamic", math.nan, 0.0, False),
            ("softmax", math.nan, math.nan, False),
        ],
        columns=["loss", "s", "m", "plain"],
    )
    assert has_plain_scale(rows).to_list() == rows["plain"].to_list()


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_planted_threshold_is_recovered(planted: Any, factor: float) -> None:
    made = planted.survey(
        sizes=((10, 16), (100, 16)), seeds=40, adaptive=(), sharpness=3.0, seed_of_all=8,
        threshold=lambda classes: factor * cosface_scale_bound(classes, 0.9),
    )  # fmt: skip
    fits = convergence_fit(convergence(made.trials, made.epochs))
    assert fits["regime"].to_list() == ["mixed", "mixed"]
    for fit in fits.to_dict("records"):
        assert fit["s50_p90"] == pytest.approx(factor, rel=0.12)
        assert fit["s50_p90_low"] < factor < fit["s50_p90_high"]
        assert fit["slope"] * OCTAVE == pytest.approx(3.0, rel=0.35)
        assert fit["s95_low"] < factor * fit["bound_p90"] * 2 ** (math.log(19) / 3) < fit["s95_high"]
        for posterior in POSTERIORS:
            bound = cosface_scale_bound(int(fit["num_classes"]), posterior)
            tag = posterior_tag(posterior)
            assert fit[f"bound_{tag}"] == pytest.approx(bound)
            assert fit[f"s50_{tag}_high"] == pytest.approx(fit["s50_high"] / bound)


def test_clean_cut_is_bracketed(planted: Any) -> None:
    made = planted.survey(adaptive=(), threshold=lambda _: 3.0)
    fit = convergence_fit(convergence(made.trials, made.epochs)).iloc[0]
    assert fit["regime"] == "separated"
    assert fit["s50"] == pytest.approx(math.sqrt(8))
    assert fit["s50_low"] == pytest.approx(2.0, rel=0.01)
    assert fit["s50_high"] == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize(("at", "regime"), [(0.0, "all"), (1e9, "none")])
def test_one_sided_regimes_have_one_limit(planted: Any, at: float, regime: str) -> None:
    made = planted.survey(adaptive=(), threshold=lambda _: at)
    fit = convergence_fit(convergence(made.trials, made.epochs)).iloc[0]
    assert fit["regime"] == regime
    assert np.isnan(fit["s50"])
    low, high = fit["s50_low"], fit["s50_high"]
    if regime == "all":
        assert low == 0.0
        assert high == pytest.approx(1.0, rel=0.02)
    else:
        assert low == pytest.approx(128.0, rel=0.02)
        assert high == math.inf


def test_share_that_falls_has_no_threshold() -> None:
    found = threshold([0.0, 1.0, 2.0, 3.0], [5, 5, 2, 0], [5, 5, 5, 5])
    assert found.regime == "flat"
    assert np.isnan(found.at)
    assert found.slope == 0.0
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_most_of_many_without_a_rise_bounds_one_side() -> None:
    found = threshold([0.0, 1.0, 2.0], [36, 36, 36], [40, 40, 40])
    assert found.regime == "flat"
    assert found.low == -math.inf
    assert found.high < 0.0


def test_threshold_needs_two_places() -> None:
    with pytest.raises(ValueError, match="two different places"):
        threshold([1.0, 1.0], [0, 1], [2, 2])


def test_estimate_is_the_maximum_of_the_likelihood() -> None:
    x, k, n = np.arange(5.0), np.array([1, 2, 5, 7, 9]), np.full(5, 10)
    found = threshold(x, k, n)

    def likelihood(at: float, slope: float) -> float:
        chances = expit(slope * (x - at))
        return float((k * np.log(chances) + (n - k) * np.log1p(-chances)).sum())

    best = likelihood(found.at, found.slope)
    for shift in (-0.05, 0.05):
        assert likelihood(found.at + shift, found.slope) < best
        assert likelihood(found.at, found.slope * (1 + shift)) < best


def test_threshold_moves_with_its_places() -> None:
    k, n = [0, 1, 3, 4, 5], [5] * 5
    first, second = threshold(np.arange(5.0), k, n), threshold(3.0 + 2.0 * np.arange(5.0), k, n)
    assert second.at == pytest.approx(3 + 2 * first.at, abs=1e-4)
    assert second.low == pytest.approx(3 + 2 * first.low, abs=1e-4)
    assert second.high == pytest.approx(3 + 2 * first.high, abs=1e-4)


@pytest.mark.parametrize("share", [0.5, 0.95])
@pytest.mark.parametrize(("slope", "at"), [(1.0, 2.4), (3.0, 3.0), (10.0, 3.0)])
def test_interval_covers(share: float, slope: float, at: float) -> None:
    """Seven scales an octave apart, three trials each; the curve's middle between places and on one."""
    rng = np.random.default_rng(11)
    x, runs = np.arange(7.0), 120
    chances = expit(slope * (x - at))
    truth = at + math.log(share / (1 - share)) / slope
    outcomes = rng.binomial(3, chances, size=(runs, 7))
    distinct, repeats = np.unique(outcomes, axis=0, return_counts=True)
    inside = 0
    for k, count in zip(distinct, repeats, strict=True):
        found = threshold(x, k, np.full(7, 3), share)
        inside += int(count) * (found.low <= truth <= found.high)
    assert inside / runs >= 0.87


def test_shares_suppose_no_curve(planted: Any) -> None:
    made = planted.survey(adaptive=("adacos",), seeds=5, threshold=lambda _: 3.0, diverging=(128.0,))
    rows = convergence(made.trials, made.epochs)
    shares = convergence_shares(rows).set_index("s")
    assert shares["trials"].to_list() == [5] * 8
    assert shares["converged"].to_list() == [0, 0, 5, 5, 5, 5, 5, 4]
    assert (shares["low"] <= shares["share"]).all()
    assert (shares["share"] <= shares["high"]).all()
    assert shares["epoch"].isna().to_list() == [True, True, *[False] * 6]
    assert convergence_fit(rows).iloc[0][["share_at_max", "share_most"]].to_list() == [0.8, 1.0]


def test_curve_that_must_rise_is_not_held_against_scales_at_which_it_falls(planted: Any) -> None:
    made = planted.survey(adaptive=(), seeds=5, threshold=lambda _: 3.0)
    rows = convergence(made.trials, made.epochs)
    whole = convergence_fit(rows).iloc[0]
    assert whole["s_fitted"] == whole["s_max"] == 128.0
    rows.loc[(rows["s"] == 128.0) & (rows["seed"] > 0), "converged"] = False
    rows.loc[(rows["s"] == 64.0) & (rows["seed"] == 0), "converged"] = False
    fallen = convergence_fit(rows).iloc[0]
    assert (fallen["s_fitted"], fallen["s_max"], fallen["share_at_max"]) == (32.0, 128.0, 0.2)
    assert fallen[["s50", "s50_low", "s50_high"]].to_list() == pytest.approx(
        whole[["s50", "s50_low", "s50_high"]].to_list(), rel=1e-3
    )
    rows.loc[rows["s"] <= 16.0, "converged"] = True
    assert convergence_fit(rows).iloc[0][["regime", "s_fitted"]].to_list() == ["all", 32.0]


def test_later_is_told_by_ranks_where_medians_are_alike(planted: Any) -> None:
    made = planted.survey(adaptive=(), seeds=5)
    rows = convergence(made.trials, made.epochs)
    low = rows["s"] < cosface_scale_bound(10, 0.9)
    rows["converged"], rows["epoch_converged"] = False, np.nan
    rows.loc[~low & (rows["seed"] < 2), ["converged", "epoch_converged"]] = [True, 3.0]
    found = below_bound(rows).set_index("posterior").loc[0.9]
    assert found["epoch_below"] == found["epoch_above"] == math.inf
    assert found["later"] == pytest.approx(0.5 + 0.4 / 2)
    assert found["p_holm"] < 0.05


def test_two_classes_have_no_bound_at_one_half() -> None:
    bounds = scale_bounds(2)
    assert np.isnan(bounds["p50"])
    assert bounds["p90"] == pytest.approx(cosface_scale_bound(2, 0.9))
    assert list(bounds) == ["p50", "p90", "p99", "p999"]


def test_trials_below_the_bound_are_counted_and_timed(planted: Any) -> None:
    bound = cosface_scale_bound(10, 0.9)
    slow = planted.survey(seeds=5, slow_below=bound)
    found = below_bound(convergence(slow.trials, slow.epochs)).set_index("posterior")
    assert found[["below", "below_converged", "above", "above_converged"]].to_numpy().tolist() == [
        [5, 5, 35, 35],
        [10, 10, 30, 30],
    ]
    assert found.loc[0.9, "epoch_below"] >= 8
    assert found.loc[0.9, "epoch_above"] <= 4
    assert found.loc[0.9, "p_holm"] < 0.001
    assert found.loc[0.9, "least_all"] == 1.0

    never = planted.survey(seeds=5, threshold=lambda _: bound)
    found = below_bound(convergence(never.trials, never.epochs)).set_index("posterior")
    assert found.loc[0.9, "below_converged"] == 0
    assert found.loc[0.9, "epoch_below"] == math.inf
    assert found.loc[0.9, ["least_all", "least_most"]].to_list() == [4.0, 4.0]

    nowhere = planted.survey(scales=(8.0, 16.0), seeds=3)
    found = below_bound(convergence(nowhere.trials, nowhere.epochs))
    assert (found["below"] == 0).all()
    assert found[["low", "p_holm", "epoch_below"]].isna().all(axis=None)
