"""Search curves, costs, settings, divergences, and trajectories made small."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpstudy.analysis import (
    cost_table,
    decimate,
    divergences,
    search_curve,
    search_points,
    seed_band,
    settings_table,
)

MakeTrial = Callable[..., dict[str, Any]]


@pytest.fixture
def searched(make_trial: MakeTrial) -> pd.DataFrame:
    values = [(0.5, "completed"), (0.9, "pruned"), (0.7, "completed"), (0.001, "diverged"), (0.6, "completed")]
    rows = [
        make_trial("cosface", "search", i, value, status=status, epochs=3 if status == "pruned" else 12, s=10.0 + i)
        for i, (value, status) in enumerate(values)
    ]
    rows[3] |= {"cause": "loss is not finite", "diverged_step": 17}
    rows += [make_trial("cosface", "confirm", 101, 0.65, s=12.0), make_trial("dynamic", "confirm", 101, 0.66)]
    return pd.DataFrame(rows)


def test_only_completed_trials_can_be_the_best(searched: pd.DataFrame) -> None:
    curve = search_curve(searched)
    assert curve["best"].to_list() == [0.5, 0.5, 0.7, 0.7, 0.7]
    assert curve["trial"].to_list() == [1, 2, 3, 4, 5]
    assert curve["epochs"].to_list() == [12, 15, 27, 39, 51]
    assert curve["hours"].iloc[-1] == pytest.approx(5 / 60)


def test_a_search_without_a_completed_trial_has_no_best(make_trial: MakeTrial) -> None:
    trials = pd.DataFrame([make_trial("cosface", "search", i, 0.001, status="diverged") for i in range(2)])
    assert search_curve(trials)["best"].isna().all()
    assert not search_points(trials)["chosen"].any()


def test_chosen_point_is_the_best_completed_one(searched: pd.DataFrame) -> None:
    points = search_points(searched)
    assert points.loc[points["chosen"], "number"].to_list() == [2]


def test_gpu_time_counts_where_a_gpu_worked(searched: pd.DataFrame) -> None:
    trials = searched.assign(**{"cost/gpu_s": 3600.0})
    assert search_curve(trials)["hours"].to_list() == [1, 2, 3, 4, 5]


def test_cost_counts_every_outcome(searched: pd.DataFrame) -> None:
    search = cost_table(searched).query("arm == 'cosface' and phase == 'search'").iloc[0]
    assert search[["trials", "completed", "pruned", "diverged", "failed"]].to_list() == [5, 3, 1, 1, 0]
    assert search["cpu_hours"] == pytest.approx(5 / 60)
    assert len(cost_table(searched)) == 3


def test_divergences_carry_step_and_cause(searched: pd.DataFrame) -> None:
    row = divergences(searched).iloc[0]
    assert (row["diverged_step"], row["cause"]) == (17, "loss is not finite")
    assert divergences(searched[searched["status"] != "diverged"]).empty


def test_settings_take_the_confirmed_point(searched: pd.DataFrame) -> None:
    settings = settings_table(searched).set_index("arm")
    assert settings.loc["cosface", "s"] == 12.0
    assert settings.loc["cosface", "m_unit"] == "cosine"
    assert np.isnan(settings.loc["dynamic", "s"])
    unconfirmed = settings_table(searched[searched["phase"] == "search"]).iloc[0]
    assert (unconfirmed["confirmed"], unconfirmed["s"]) == (False, 12.0)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400),
    st.integers(6, 60),
)
def test_decimation_keeps_extremes_and_ends(values: list[float], most: int) -> None:
    frame = pd.DataFrame({"step": range(len(values)), "s": values})
    thin = decimate(frame, most)
    assert len(thin) <= max(most, 1)
    assert (thin["s"].min(), thin["s"].max()) == (min(values), max(values))
    assert (thin["step"].iloc[0], thin["step"].iloc[-1]) == (0, len(values) - 1)
    assert thin["step"].is_monotonic_increasing


def test_decimation_ignores_what_is_not_finite() -> None:
    frame = pd.DataFrame({"step": range(100), "s": [1.0] * 50 + [np.inf, np.nan, 7.0] + [1.0] * 47})
    assert 7.0 in decimate(frame, 8)["s"].to_list()


def test_decimation_says_how_many_points_it_needs() -> None:
    with pytest.raises(ValueError, match="max_points must be at least 6 for 2 columns, but got 5"):
        decimate(pd.DataFrame({"step": [0], "a": [0.0], "b": [0.0]}), 5)


def test_band_is_the_median_and_the_quartiles_of_those_still_running() -> None:
    frames = [pd.DataFrame({"step": range(n), "s": [float(i)] * n}) for i, n in ((0, 3), (1, 3), (2, 3), (10, 1))]
    frames[2].loc[2, "s"] = np.inf
    band = seed_band(frames, "s")
    assert band["n"].to_list() == [4, 3, 2]
    assert band["median"].to_list() == [1.5, 1.0, 0.5]
    assert band.loc[1, ["low", "high"]].to_list() == [0.5, 1.5]
    assert seed_band([], "s").empty
