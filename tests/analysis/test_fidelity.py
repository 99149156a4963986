"""Rank correlations that were planted, and stops whose outcome is known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hpstudy.analysis import ALL, CONFIRM, SURVIVORS, fidelity, stopping_rungs, tau_interval
from hpstudy.search._early_stopping import make_early_stopping
from hpstudy.spec import EarlyStoppingSpec

METRIC = "val/tar_at_far_1e-3"


def study(curves: Any, phase: str = "search", status: Sequence[str] | None = None, arm: str = "cosface") -> Any:
    """Trials and their per-epoch record from (trials, epochs) values."""
    ids = [f"{arm}.default.{phase}.s0.{i:03d}" for i in range(len(curves))]
    trials = pd.DataFrame(
        {
            "trial_id": ids, "arm": arm, "condition": "default", "phase": phase, "search_seed": 0,
            "status": list(status) if status is not None else "completed",
        }
    )  # fmt: skip
    records = {
        name: pd.DataFrame({"epoch": range(1, len(values) + 1), METRIC: values})
        for name, values in zip(ids, curves, strict=True)
    }
    return trials, records


def planted(rng: np.random.Generator, count: int, correlations: Sequence[float]) -> np.ndarray:
    """Final values with, before them, epochs of given correlations with them."""
    final = rng.standard_normal(count)
    early = [r * final + np.sqrt(1 - r * r) * rng.standard_normal(count) for r in correlations]
    return np.column_stack([*early, final])


def test_a_planted_correlation_is_found() -> None:
    correlations = (0.0, 0.5, 0.95)
    trials, records = study(planted(np.random.default_rng(0), 140, correlations))
    found = fidelity(trials, records.__getitem__, METRIC)
    truth = 2 / np.pi * np.arcsin(correlations)
    assert found["epoch"].to_list() == [1, 2, 3]
    assert found["tau"].to_numpy() == pytest.approx(truth, abs=0.1)
    assert (found["low"] <= truth).all()
    assert (truth <= found["high"]).all()
    assert found["low"].iloc[0] < 0 < found["high"].iloc[0]
    assert (found["subset"] == ALL).all()
    assert found["kept"].iloc[0] == pytest.approx(1 / 3, abs=0.2)
    assert found["kept"].iloc[2] > 0.7


@pytest.mark.parametrize(("count", "correlation"), [(5, 0.0), (8, 0.8), (20, 0.5), (60, 0.95)])
def test_intervals_cover_the_truth(count: int, correlation: float) -> None:
    rng = np.random.default_rng(1)
    truth = 2 / np.pi * np.arcsin(correlation)
    covered = 0
    for _ in range(200):
        early, final = planted(rng, count, [correlation]).T
        _, low, high = tau_interval(early, final)
        covered += low <= truth <= high
    assert covered >= 184


def test_few_trials_give_wide_intervals() -> None:
    ranks = np.arange(10.0)
    widths = [np.diff(tau_interval(ranks[:n], ranks[:n])[1:])[0] for n in (3, 4, 5, 7, 10)]
    assert widths[:2] == [2.0, 2.0]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] > 0.3


@given(
    arrays.arrays(float, st.integers(3, 25), elements=st.integers(-5, 5).map(float)),
    st.randoms(use_true_random=False),
)
def test_tau_and_its_interval_follow_the_ranks_alone(early: np.ndarray, random: Any) -> None:
    final = np.array([random.choice([-2.0, 0.0, 1.0, 3.0]) for _ in early])
    tau, low, high = tau_interval(early, final)
    if np.isnan(tau):
        assert np.isnan(low)
        assert np.isnan(high)
        return
    assert -1 <= low <= tau + 1e-12
    assert tau - 1e-12 <= high <= 1
    assert tau_interval(np.exp(early), final) == pytest.approx((tau, low, high))
    assert tau_interval(final, early) == pytest.approx((tau, low, high))
    assert tau_interval(-early, final) == pytest.approx((-tau, -high, -low), abs=1e-9)
    order = np.array(random.sample(range(len(early)), len(early)))
    assert tau_interval(early[order], final[order]) == pytest.approx((tau, low, high))


def test_what_a_stop_keeps_and_loses() -> None:
    curves = np.array([[6.0, 9.0], [5.0, 1.0], [4.0, 2.0], [3.0, 3.0], [2.0, 10.0], [1.0, 4.0]])
    trials, records = study(curves)
    row = fidelity(trials, records.__getitem__, METRIC, keep=1 / 3).iloc[0]
    assert (row["n"], row["top"]) == (6, 2)
    assert row["kept"] == 0.5
    assert row["regret"] == pytest.approx(1.0)
    assert row["kept_low"] < 0.5 < row["kept_high"]
    everything = fidelity(trials, records.__getitem__, METRIC, keep=1.0).iloc[0]
    assert (everything["kept"], everything["regret"]) == (1.0, 0.0)


def test_survivors_are_named_and_their_tau_is_lower() -> None:
    rng = np.random.default_rng(2)
    lower = 0
    for _ in range(10):
        curves = planted(rng, 90, [0.8])
        status = np.where(curves[:, 0] >= np.quantile(curves[:, 0], 0.6), "completed", "pruned")
        trials, records = study(curves, status=status)
        records |= {name: records[name].head(1) for name in trials.loc[status == "pruned", "trial_id"]}
        some = fidelity(trials, records.__getitem__, METRIC, rungs=[1]).iloc[0]
        whole, everything = study(curves)
        lower += some["tau"] < fidelity(whole, everything.__getitem__, METRIC).iloc[0]["tau"]
        assert some["subset"] == SURVIVORS
        assert (some["n"], some["stopped"]) == (int((status == "completed").sum()), int((status == "pruned").sum()))
        assert some["rung"]
    assert lower >= 9


def test_confirm_trials_rank_arms_by_their_means() -> None:
    rng = np.random.default_rng(3)
    parts = [study(level + 0.001 * rng.standard_normal((3, 4)), "confirm", arm=f"arm{level}") for level in range(6)]
    trials = pd.concat([part for part, _ in parts], ignore_index=True)
    records = {name: frame for _, part in parts for name, frame in part.items()}
    found = fidelity(trials, records.__getitem__, METRIC)
    assert (found["subset"] == CONFIRM).all()
    assert (found["arm"] == "").all()
    assert (found["n"] == 6).all()
    assert (found["tau"] == 1.0).all()
    assert (found["low"] < 0.5).all()


def test_trials_without_a_record_are_left_out() -> None:
    trials, records = study(planted(np.random.default_rng(4), 6, [0.9]))
    del records[trials["trial_id"][0]]
    records[trials["trial_id"][1]] = pd.DataFrame()
    records[trials["trial_id"][2]].loc[0, METRIC] = np.nan
    found = fidelity(trials, records.__getitem__, METRIC)
    assert found["n"].to_list() == [3]
    assert len(fidelity(trials.head(3), records.__getitem__, METRIC)) == 0
    assert fidelity(trials.head(0), records.__getitem__, METRIC).empty


def test_many_trials_and_epochs_are_thinned() -> None:
    trials, records = study(np.cumsum(np.random.default_rng(5).standard_normal((400, 200)), axis=1))
    found = fidelity(trials, records.__getitem__, METRIC, rungs=[7])
    assert (found["n"] == 150).all()
    assert len(found) <= 41
    assert found.loc[found["rung"], "epoch"].to_list() == [7]
    assert found["tau"].iloc[-1] > 0.9


@pytest.mark.parametrize(("grace", "factor"), [(1, 2), (3, 3), (2, 4)])
def test_rungs_are_where_successive_halving_stops(grace: int, factor: int) -> None:
    spec = EarlyStoppingSpec(kind="asha", grace_epochs=grace, reduction_factor=factor)
    rule = make_early_stopping(spec)
    others = [dict.fromkeys(range(1, 40), 1.0)] * 10
    stops = [epoch for epoch in range(1, 30) if rule.stops(epoch, {epoch: 0.0}, others)]
    rungs, keep = stopping_rungs(spec, 30)
    assert list(rungs) == stops
    assert keep == 1 / factor


def test_other_rules_have_no_rungs() -> None:
    assert stopping_rungs(EarlyStoppingSpec(kind="median"), 12) == ((), 0.5)
    assert stopping_rungs(EarlyStoppingSpec(kind="none"), 12) == ((), 1 / 3)
