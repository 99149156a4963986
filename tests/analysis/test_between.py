"""The same arm in two studies: paired where the trials are the same but for the search, else unpaired or not."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hpstudy.analysis import (
    IDENTICAL,
    PAIRED,
    ComparedStudy,
    Place,
    arms_across,
    between_studies,
    paired_test,
    settings_words,
)
from hpstudy.theory import adacos_fixed_scale, cosface_scale_bound

Make = Callable[..., ComparedStudy]
WORTH = {"cosface": 0.8, "arcface": 0.8, "fixed": 0.74, "dynamic": 0.77}
BUDGET = {"search": {"objective": "val/tar_at_far_1e-3", "sampler": "tpe", "trials": 16, "seeds": [0]}}


def scores(study: ComparedStudy, arm: str) -> pd.Series:
    return pd.Series(study.by_seed()["default"].loc[arm])


def test_search_settings_are_compared_in_pairs(make_compared: Make) -> None:
    short = make_compared("short", WORTH, noise="same", seeds=5)
    long = make_compared("long", WORTH | {"cosface": 0.86}, noise="same", seeds=5, changes=BUDGET)
    found = between_studies([short, long]).set_index("arm")
    assert set(found["how"]) == {PAIRED}
    assert set(zip(found["study"], found["reference"], strict=True)) == {("long", "short")}
    assert found["differs"].iloc[0] == "search.sampler, search.trials"
    cosface = found.loc["cosface"]
    test = paired_test((scores(long, "cosface") - scores(short, "cosface")).to_numpy(), 0.01)
    assert cosface["difference"] == pytest.approx(test.estimate.mean)
    assert (cosface["low"], cosface["high"]) == pytest.approx((test.interval.low, test.interval.high))
    assert cosface["p_holm"] == pytest.approx(2 * test.p)  # two searched arms; the others are checks
    assert cosface["word"] == "better"
    assert found.loc["arcface", "word"] == "not shown"
    checks = found[found["check"]]
    assert set(checks.index) == {"fixed", "dynamic"}
    assert set(checks["word"]) == {IDENTICAL}
    assert settings_words(between_studies([short, long]))[0].startswith("The arms that nothing was searched for scored")


def test_a_check_that_fails_is_told(make_compared: Make) -> None:
    first, second = make_compared("first", WORTH), make_compared("second", WORTH, changes=BUDGET)
    found = between_studies([first, second])
    assert IDENTICAL not in set(found["word"])
    assert settings_words(found)[0].startswith("Of 2 arms that nothing was searched for, 2 did not score the same")


def test_an_arm_that_is_set_otherwise_is_no_check(make_compared: Make) -> None:
    arms = {arm: {"loss": arm} for arm in WORTH}
    first = make_compared("first", WORTH, noise="same", changes={"arms": arms})
    second = make_compared("second", WORTH, changes={"arms": arms | {"dynamic": {"loss": "dynamic", "momentum": 0.9}}})
    found = between_studies([first, second]).set_index("arm")
    assert not found.loc["dynamic", "check"]
    assert found.loc["dynamic", "differs"] == "arms.dynamic.momentum"
    assert found.loc["fixed", "check"]


def test_another_network_is_compared_without_pairs(make_compared: Make) -> None:
    narrow = make_compared("narrow", WORTH, seeds=4)
    wide = make_compared("wide", WORTH, seeds=5, changes={"model": {"name": "convnet", "width": 16}})
    found = between_studies([narrow, wide]).set_index("arm")
    assert set(found["how"]) == {"Welch"}
    assert set(found["n"]) == {4}
    assert not found["check"].any()
    oracle = stats.ttest_ind(scores(wide, "cosface"), scores(narrow, "cosface"), equal_var=False)
    assert found.loc["cosface", "p"] == pytest.approx(oracle.pvalue)
    interval = oracle.confidence_interval()
    assert (found.loc["cosface", "low"], found.loc["cosface", "high"]) == pytest.approx((interval.low, interval.high))
    assert "model.width" in found.loc["cosface", "differs"]


def test_other_identities_or_another_metric_are_not_compared(make_compared: Make) -> None:
    first = make_compared("first", WORTH)
    assert between_studies([first, make_compared("data", WORTH, data="other")]).empty
    assert between_studies([first, make_compared("far", WORTH, far="1e-4")]).empty
    assert between_studies([first, make_compared("none", WORTH, data="")]).empty
    assert between_studies([first, dataclasses.replace(first, label="empty", trials=pd.DataFrame())]).empty
    assert settings_words(between_studies([])) == []


def test_conditions_meet_where_their_trials_are_the_same(make_compared: Make) -> None:
    place = Place(data_hash="a", judged="b", setting="K 256")
    other = dataclasses.replace(place, setting="K 64")
    plain = dataclasses.replace(make_compared("plain", WORTH), places={"default": place})
    sizes = {"embedding_dim-64": (300, 64), "embedding_dim-256": (300, 256)}
    blocked = make_compared("blocked", WORTH, conditions=sizes)
    blocked = dataclasses.replace(blocked, places={"embedding_dim-64": other, "embedding_dim-256": place})
    found = between_studies([plain, blocked])
    assert set(zip(found["condition"], found["reference_condition"], strict=True)) == {("embedding_dim-256", "default")}


def test_one_shared_seed_and_diverged_arms(make_compared: Make) -> None:
    first, second = make_compared("first", WORTH), make_compared("second", WORTH, changes=BUDGET)
    moved = second.trials.assign(seed=second.trials["seed"] + 2)
    found = between_studies([first, dataclasses.replace(second, trials=moved)])
    assert set(found["how"]) == {"Welch"}
    dead = (second.trials["arm"] == "cosface") & (second.trials["phase"] == "confirm")
    gone = second.trials.assign(status=second.trials["status"].mask(dead, "diverged"))
    row = between_studies([first, dataclasses.replace(second, trials=gone)]).set_index("arm").loc["cosface"]
    assert row["word"] == "diverged"
    assert np.isnan(row["difference"])


def test_different_margins_allow_no_equivalence(make_compared: Make) -> None:
    first = make_compared("first", WORTH, spread=1e-4)
    second = make_compared("second", WORTH, spread=1e-4, margin=0.02, changes=BUDGET)
    found = between_studies([first, second])
    assert found["equivalence_p"].isna().all()
    assert "equivalent" not in set(found["word"])


def test_an_interval_of_rates_ends_where_rates_do(make_compared: Make) -> None:
    first = make_compared("first", {"cosface": 0.2}, seeds=2, spread=0.15)
    second = make_compared("second", {"cosface": 0.8}, seeds=2, spread=0.15, changes=BUDGET)
    row = between_studies([first, second]).iloc[0]
    assert row["high"] <= 1.0


def test_what_an_arm_chose_stands_beside_the_bounds(make_compared: Make) -> None:
    small = make_compared("small", WORTH)
    large = make_compared("large", {"cosface": 0.7, "dynamic": 0.7}, conditions={"default": (10575, 512)}, trials=2)
    found = arms_across([small, large])
    assert set(found["arm"]) == {"cosface", "dynamic"}
    row = found[(found["arm"] == "cosface") & (found["study"] == "large")].iloc[0]
    assert row["s"] == 16.0
    assert row["least_s"] == pytest.approx(cosface_scale_bound(10575, 0.9))
    assert row["adacos_s"] == pytest.approx(adacos_fixed_scale(10575))
    assert row["mean"] == pytest.approx(scores(large, "cosface").mean())
    assert found.loc[found["arm"] == "dynamic", "final_s"].to_list() == [9.0, 9.0]
    assert arms_across([small]).empty
    assert arms_across([dataclasses.replace(small, trials=pd.DataFrame())]).empty
