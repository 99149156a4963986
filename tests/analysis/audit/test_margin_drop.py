"""The margin up to which trials met it: planted falls are found, and the interval holds them as often as it says."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.analysis.audit import fit_drop, isotonic_curve, margin_curve, margin_drops, margin_points

GRID = np.linspace(0.0, 1.0, 11)
KNOWN = [
    (2, 4, 1.0), (2, 8, 0.292893), (2, 10, 0.190983), (3, 4, 1.333333), (3, 6, 1.0), (3, 12, 0.552786), (4, 8, 1.0),
    (4, 24, 0.5), (8, 16, 1.0),
]  # fmt: skip


def survey(
    place: float,
    *,
    dim: int = 2,
    classes: int = 8,
    loss: str = "cosface",
    arm: str = "arm",
    condition: str = "default",
    margins: Any = None,
    s: float = 30.0,
    seeds: int = 3,
    permitted_cosine: float | None = None,
) -> pd.DataFrame:
    """Trials that meet every margin below `place` and none above, where their prototypes merge."""
    grid = place * np.array([0.0, 0.5, 0.9, 0.97, 1.03, 1.1, 1.5]) if margins is None else np.asarray(margins)
    rows = []
    for m in grid:
        for seed in range(seeds):
            met = bool(m < place)
            rows.append(
                {
                    "trial_id": f"{arm}.{condition}.{s}.{m:.6f}.{seed}", "arm": arm, "condition": condition,
                    "phase": "grid", "search_seed": seed, "loss": loss, "num_classes": classes, "embedding_dim": dim,
                    "s": s, "m": float(m), "status": "completed", "geometry/margin_satisfied_fraction": float(met),
                    "geometry/max_prototype_cosine": 0.5 if permitted_cosine is None else permitted_cosine,
                    "geometry/max_centre_cosine": 0.25, "geometry/merged_pairs": 0.0 if met else float(seed),
                    "geometry/train_accuracy": 1.0 if met else 0.75,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


@given(place=st.floats(0.001, 0.999), seeds=st.integers(1, 6), points=st.integers(3, 20))
@settings(max_examples=60, deadline=None)
def test_a_sharp_fall_lies_in_its_step_of_the_grid(place: float, seeds: int, points: int) -> None:
    grid = np.linspace(0.0, 1.0, points)
    fall = fit_drop(np.tile(grid, seeds), np.tile(grid < place, seeds).astype(float))
    assert fall.low < place <= fall.high
    assert fall.high - fall.low == pytest.approx(1 / (points - 1))
    assert (fall.before, fall.after) == (fall.low, fall.high) == (fall.met_90, fall.met_10)
    assert fall.drop == pytest.approx((fall.low + fall.high) / 2)
    assert fall.sharp
    assert fall.place == "inside"


def coverage(noise: str, scale: float, spread: float, trials: int, repeats: int = 150) -> float:
    """How often the interval holds the place of a logistic fall with noise, or that shifts, from seed to seed."""
    rng, held = np.random.default_rng([trials, repeats]), 0
    for _ in range(repeats):
        place = rng.uniform(0.3, 0.7)
        shifts = rng.normal(0, spread, (trials, 1)) if noise == "shift" else 0.0
        curves = np.broadcast_to(1 / (1 + np.exp((GRID - place - shifts) / scale)), (trials, GRID.size))
        if noise == "trial":
            curves = curves + rng.normal(0, 2 * spread, curves.shape) * np.sqrt(curves * (1 - curves))
        fall = fit_drop(np.tile(GRID, trials), np.clip(curves, 0, 1).ravel())
        held += fall.low <= place <= fall.high
    return held / repeats


@pytest.mark.parametrize("trials", [2, 3, 5])
@pytest.mark.parametrize(
    ("noise", "scale", "spread"), [("trial", 0.1, 0.2), ("trial", 0.2, 0.1), ("shift", 0.1, 0.05), ("shift", 0.05, 0.1)]
)
def test_the_interval_covers_a_sloped_and_noisy_fall(noise: str, scale: float, spread: float, trials: int) -> None:
    """95 % promised; 150 repeats of a true 96 % stay above 91 % in all but one of a thousand."""
    assert coverage(noise, scale, spread, trials) >= 0.91


def test_the_interval_of_one_trial_a_margin_is_the_whole_fall() -> None:
    fractions = [1.0, 0.95, 0.8, 0.6, 0.3, 0.08, 0.0]
    fall = fit_drop(np.arange(7.0), fractions)
    assert (fall.low, fall.high) == (1.0, 5.0) == (fall.met_90, fall.met_10)
    assert fall.drop == pytest.approx(3 + 0.1 / 0.3)
    assert fall.replicates == 1
    assert coverage("trial", 0.1, 0.1, 1) >= 0.95


def test_the_bootstrap_moves_both_ends() -> None:
    curves = np.array([[1, 1, 0.9, 0.55, 0.45, 0.1, 0], [1, 1, 0.7, 0.6, 0.3, 0, 0], [1, 0.9, 0.4, 0.3, 0.2, 0, 0]])
    fall = fit_drop(np.tile(np.arange(7.0), 3), curves.ravel())
    assert fall.low < fall.before < fall.drop < fall.after < fall.high
    assert np.isfinite([fall.low, fall.high]).all()


def test_no_order_of_trials_matters_and_the_same_data_give_the_same_interval() -> None:
    rng = np.random.default_rng(5)
    m, fractions = np.repeat(GRID, 3), np.clip(1 - np.repeat(GRID, 3) + rng.normal(0, 0.2, 33), 0, 1)
    order = rng.permutation(33)
    assert fit_drop(m, fractions) == fit_drop(m, fractions) == fit_drop(m[order], fractions[order])


def test_a_wider_level_gives_a_wider_interval() -> None:
    m = np.tile(GRID, 4)
    fractions = np.clip(1 - m + np.random.default_rng(6).normal(0, 0.15, m.size), 0, 1)
    narrow, wide = fit_drop(m, fractions, level=0.5), fit_drop(m, fractions, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_what_never_falls_has_no_upper_end() -> None:
    fall = fit_drop([0.0, 0.1, 0.2, 0.2], [1.0, 1.0, 0.9, 0.8])
    assert math.isnan(fall.drop)
    assert fall.place == "beyond"
    assert (fall.before, fall.after, fall.high) == (0.2, np.inf, np.inf)
    sure = fit_drop(np.tile([0.0, 0.1, 0.2], 3), np.ones(9))
    assert (sure.low, sure.high, sure.place) == (0.2, np.inf, "beyond")


def test_what_is_below_one_half_at_once_has_no_lower_end() -> None:
    fall = fit_drop(np.tile([0.1, 0.2, 0.3], 3), np.tile([0.2, 0.1, 0.0], 3))
    assert math.isnan(fall.drop)
    assert (fall.low, fall.high, fall.place, fall.met_90) == (-np.inf, 0.1, "before", -np.inf)


def test_a_level_stretch_at_one_half_is_in_the_interval() -> None:
    fall = fit_drop(np.tile([0.0, 1.0, 2.0, 3.0], 2), np.tile([1.0, 0.5, 0.5, 0.0], 2))
    assert fall.drop == 1.5
    assert (fall.low, fall.high) == (0.0, 3.0)


def test_what_rises_after_the_fall_is_not_used() -> None:
    """A loss that gives up some classes lets the others meet more: the fraction rises again, the fall stays sharp."""
    m = np.tile([0.0, 0.1, 0.2, 0.3, 0.4], 2)
    fall = fit_drop(m, np.tile([1.0, 1.0, 0.0, 0.75, 0.75], 2))
    assert (fall.low, fall.high) == (0.1, 0.2)
    grid, fit = isotonic_curve(m, np.tile([1.0, 1.0, 0.0, 0.75, 0.75], 2))
    assert grid.tolist() == [0.0, 0.1, 0.2]
    assert fit.tolist() == [1.0, 1.0, 0.0]


def test_one_failed_trial_does_not_end_the_fall() -> None:
    fall = fit_drop([0.0, 0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 1.0, 1.0, 0.0])
    assert fall.before >= 0.3


def test_pooling_weighs_trials() -> None:
    grid, fit = isotonic_curve([0, 1, 2, 2, 2], [0.9, 0.2, 0.6, 0.6, 0.6])
    assert grid.tolist() == [0, 1, 2]
    assert fit == pytest.approx([0.9, 0.5, 0.5])


@pytest.mark.parametrize(("dim", "classes", "best"), KNOWN)
@pytest.mark.parametrize("loss", ["cosface", "arcface"])
def test_a_fall_at_the_known_optimum_holds_the_sharp_bound(dim: int, classes: int, best: float, loss: str) -> None:
    place = best if loss == "cosface" else math.acos(1 - best)
    row = margin_drops(survey(place, dim=dim, classes=classes, loss=loss)).iloc[0]
    assert row["unit"] == ("cosine" if loss == "cosface" else "rad")
    assert row["sharp_bound"] == pytest.approx(place, abs=1e-5)
    assert row["known_code"] == pytest.approx(row["sharp_bound"])
    assert row["exact"]
    assert row["low"] < place < row["high"]
    assert row["sharp_word"] == "within"
    beyond_simplex = classes > dim + 1 and dim > 2
    assert row["paper_word"] == ("above" if beyond_simplex and row["paper_bound"] > row["high"] else "within")
    if (dim, classes) in ((3, 12), (4, 24)):
        assert row["paper_word"] == "above"


def test_a_fall_away_from_the_bound_is_told() -> None:
    assert margin_drops(survey(0.2))["sharp_word"].to_list() == ["above"]
    assert margin_drops(survey(0.4))["sharp_word"].to_list() == ["below"]


def test_a_bound_that_is_an_end_of_the_interval_is_within() -> None:
    """Margins are listed to six digits, the bound is known to sixteen."""
    trials = survey(0.35, margins=[0.0, 0.292893, 0.4])
    assert margin_drops(trials)["sharp_word"].to_list() == ["within"]
    trials = survey(0.2, margins=[0.0, 0.1, 0.292893])
    assert margin_drops(trials)["sharp_word"].to_list() == ["within"]


@pytest.mark.parametrize(("loss", "permitted"), [("cosface", 0.6), ("arcface", math.acos(0.4))])
def test_what_prototypes_permit_has_the_unit_of_m(loss: str, permitted: float) -> None:
    row = margin_drops(survey(0.6, loss=loss, permitted_cosine=0.4)).iloc[0]
    assert row["permitted_zero"] == pytest.approx(permitted)
    assert row["permitted_at_drop"] == pytest.approx(permitted)
    assert row["permitted_centres"] == pytest.approx(0.75 if loss == "cosface" else math.acos(0.25))
    assert row["permitted_word"] == ("within" if loss == "cosface" else "above")


def test_merging_and_accuracy_on_both_sides() -> None:
    row = margin_drops(survey(0.3)).iloc[0]
    assert row["merged_below"] == 0
    assert row["merged_above"] == pytest.approx(2 / 3)
    assert row["most_merged"] == 2
    assert row["merged_from"] == pytest.approx(0.3 * 1.03)
    assert (row["accuracy_below"], row["accuracy_above"]) == (1.0, 0.75)
    assert (row["trials"], row["replicates"], row["diverged"]) == (21, 3, 0)


def test_what_was_not_measured_is_nan() -> None:
    trials = survey(0.3)
    older = trials.drop(columns=[c for c in trials if c.startswith("geometry/") and "satisfied" not in c])
    row = margin_drops(older).iloc[0]
    unmeasured = [
        "permitted_zero",
        "permitted_at_drop",
        "permitted_centres",
        "merged_above",
        "most_merged",
        "merged_from",
    ]
    assert row[[*unmeasured, "accuracy_above"]].isna().all()
    assert row["permitted_word"] == ""
    assert margin_curve(older)["merged"].isna().all()
    assert margin_drops(trials.drop(columns="geometry/margin_satisfied_fraction")).empty


def test_neither_row_order_nor_names_matter() -> None:
    trials = pd.concat([survey(0.3, arm="a"), survey(0.7, arm="b", loss="arcface")], ignore_index=True)
    shuffled = trials.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(margin_drops(trials), margin_drops(shuffled))
    pd.testing.assert_frame_equal(margin_curve(trials), margin_curve(shuffled))
    renamed = margin_drops(trials.assign(arm=trials["arm"].map({"a": "z", "b": "y"})))
    for old, new in (("a", "z"), ("b", "y")):
        first, second = margin_drops(trials).set_index("arm").loc[old], renamed.set_index("arm").loc[new]
        pd.testing.assert_series_equal(first, second, check_names=False)


def test_conditions_keep_their_order() -> None:
    trials = pd.concat([survey(0.3, condition=name) for name in ("z", "a", "m")], ignore_index=True)
    assert margin_drops(trials)["condition"].to_list() == ["z", "a", "m"]
    assert margin_curve(trials)["condition"].drop_duplicates().to_list() == ["z", "a", "m"]


def test_every_listed_scale_has_its_own_fall() -> None:
    trials = pd.concat([survey(0.3, s=10.0), survey(0.2, s=30.0)], ignore_index=True)
    drops = margin_drops(trials)
    assert drops["s"].to_list() == [10.0, 30.0]
    assert drops["sharp_word"].to_list() == ["within", "above"]


def test_a_scale_that_sets_itself_has_one_fall() -> None:
    trials = survey(0.3, loss="additive_cosine+adacos_dynamic").assign(s=np.nan)
    diverged = trials.head(2).assign(status="diverged", **{"geometry/margin_satisfied_fraction": np.nan})
    drops = margin_drops(pd.concat([trials, diverged], ignore_index=True))
    assert drops["s"].isna().to_list() == [True]
    assert drops["diverged"].to_list() == [2]
    assert drops["trials"].to_list() == [21]


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "sphereface"}, {"loss": "normface"}, {"status": "pruned"}, {"m": 0.3},
        {"geometry/margin_satisfied_fraction": np.nan}, {"s": np.arange(21.0)},
    ],
    ids=["factor", "no margin", "pruned", "one margin", "unmeasured", "a scale each"],
)  # fmt: skip
def test_what_can_not_tell_has_no_row(change: dict[str, Any]) -> None:
    trials = survey(0.3).assign(**change)
    for frame in (margin_points(trials), margin_curve(trials), margin_drops(trials)):
        assert frame.empty
        assert "condition" in frame


def test_the_curve_tells_spread_merging_and_fit() -> None:
    trials = survey(0.3)
    at_110 = np.isclose(trials["m"], 0.3 * 1.1) & (trials["search_seed"] == 0)
    trials.loc[at_110, "geometry/margin_satisfied_fraction"] = 0.6
    curve = margin_curve(trials)
    assert curve["trials"].to_list() == [3] * 7
    assert curve["fit"].to_list()[:5] == [1.0] * 4 + [0.0]
    assert curve["fit"].isna().to_list()[5:] == [True, True]
    row = curve.iloc[5]
    assert (row["low"], row["high"], row["merged"]) == (0.0, 0.6, 2)
    assert row["mean"] == pytest.approx(0.2)
