"""Pooling over studies: what is pooled, what counts as one study, and that luck in picking does not add up."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import BEST, ComparedStudy, merged_studies, pooled_differences, random_effects
from hpstudy.analysis._pooled import cross_fitted

Make = Callable[..., ComparedStudy]
EQUAL = {"cosface": 0.8, "arcface": 0.8, "fixed": 0.8, "dynamic": 0.8}
BETTER = {"cosface": 0.86, "arcface": 0.84, "fixed": 0.78, "dynamic": 0.8}


def test_cross_fitting_takes_the_arms_that_the_other_seeds_pick() -> None:
    tuned = pd.DataFrame({101: [1.0, 0.0], 102: [0.0, 0.4], 103: [0.0, 0.5]}, index=["a", "b"])
    adaptive = pd.DataFrame({101: [0.1], 102: [0.2], 103: [0.3]}, index=["z"])
    # Without 101, b is ahead; without 102 or 103, a is.
    assert cross_fitted(tuned, adaptive).to_list() == pytest.approx([0.0 - 0.1, 0.0 - 0.2, 0.0 - 0.3])
    clear = tuned + np.array([[5.0], [0.0]])
    assert cross_fitted(clear, adaptive).to_list() == pytest.approx((clear.loc["a"] - adaptive.loc["z"]).to_list())
    assert cross_fitted(tuned[[101]], adaptive[[101]]).empty
    assert cross_fitted(tuned, adaptive.head(0)).empty


def test_luck_in_picking_does_not_add_up_over_studies() -> None:
    rng = np.random.default_rng(4)
    count, claims, naive = 150, 0, 0
    for _ in range(count):
        studies = [(rng.normal(size=(8, 4)), rng.normal(size=(1, 4))) for _ in range(5)]
        fitted = [cross_fitted(pd.DataFrame(tuned), pd.DataFrame(own)) for tuned, own in studies]
        claims += random_effects(fitted).p() < 0.05
        picked = [tuned[tuned.mean(axis=1).argmax()] - own[0] for tuned, own in studies]
        naive += random_effects(picked).p() < 0.05
    assert claims / count <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / count)
    assert naive / count > 0.3


def studies(make: Make, worth: dict[str, float], count: int, **given: object) -> list[ComparedStudy]:
    return [make(f"study-{i}", worth, data=f"data {i}", **given) for i in range(count)]


def test_a_planted_effect_is_found_and_a_null_is_not_claimed(make_compared: Make) -> None:
    found = pooled_differences(studies(make_compared, BETTER, 4))
    best = found.iloc[0]
    assert (best["arm"], best["k"], best["word"]) == (BEST, 4, "better")
    assert best["low"] < 0.06 < best["high"]
    assert list(zip(found["arm"][1:], found["adaptive"][1:], strict=True)) == [
        ("arcface", "dynamic"), ("arcface", "fixed"), ("cosface", "dynamic"), ("cosface", "fixed"),
    ]  # fmt: skip
    null = pooled_differences(studies(make_compared, EQUAL, 4))
    assert not {"better", "worse"} & set(null["word"])
    small = pooled_differences(studies(make_compared, EQUAL, 5, spread=0.002, margin=0.02))
    assert small.iloc[0]["word"] == "equivalent"


def test_pairs_of_arms_are_adjusted_together_and_the_best_by_itself(make_compared: Make) -> None:
    found = pooled_differences(studies(make_compared, BETTER, 3))
    assert found.iloc[0]["p_holm"] == found.iloc[0]["p"]
    pairs = found.iloc[1:]
    assert (pairs["p_holm"] >= pairs["p"]).all()
    assert pairs["p_holm"].min() == pytest.approx(4 * pairs["p"].min())


def test_only_studies_that_share_metric_and_margin_are_pooled(make_compared: Make) -> None:
    three = studies(make_compared, BETTER, 3)
    other = make_compared("far", BETTER, far="1e-4", data="other")
    wide = make_compared("wide", BETTER, margin=0.02, data="more")
    found = pooled_differences([*three, other, wide])
    assert set(found["k"]) == {3}
    assert pooled_differences([three[0], other, wide]).empty


def test_the_conditions_of_a_study_are_one_estimate(make_compared: Make) -> None:
    sizes = {"train-100": (100, 64), "train-200": (200, 64), "train-300": (300, 64)}
    many = make_compared("many", BETTER, conditions=sizes, data="a")
    single = make_compared("single", BETTER, data="b")
    best = pooled_differences([many, single]).iloc[0]
    assert best["k"] == 2
    per_seed = [scores.loc["cosface"] - scores.loc["dynamic"] for scores in many.by_seed().values()]
    other = single.by_seed()["default"]
    expected = [
        pd.concat(per_seed, axis=1).mean(axis=1).to_numpy(),
        (other.loc["cosface"] - other.loc["dynamic"]).to_numpy(),
    ]
    pair = pooled_differences([many, single]).set_index(["arm", "adaptive"]).loc[("cosface", "dynamic")]
    assert pair["difference"] == pytest.approx(random_effects(expected).mean)
    assert pair["low"] == pytest.approx(random_effects(expected).interval()[0])


def test_studies_with_the_same_trials_count_as_one(make_compared: Make) -> None:
    first = make_compared("first", BETTER)
    again = make_compared("again", BETTER)
    other = make_compared("other", BETTER, data="elsewhere")
    assert [[study.label for study in group] for group in merged_studies([first, again, other])] == [["first", "again"]]
    assert pooled_differences([first, again]).empty
    found = pooled_differences([first, again, other]).iloc[0]
    assert (found["k"], found["studies"]) == (2, "first and again; other")
    unknown = [dataclasses.replace(study, places={}) for study in (first, again)]
    assert merged_studies(unknown) == []
    wider = make_compared("wider", BETTER, changes={"model": {"name": "convnet", "width": 16}})
    assert merged_studies([first, wider]) == []


def test_what_cannot_be_pooled_is_left_out(make_compared: Make) -> None:
    first, second, third = studies(make_compared, BETTER, 3)
    dead = first.trials["arm"].isin(["fixed", "dynamic"]) & (first.trials["phase"] == "confirm")
    runaway = first.trials.assign(status=first.trials["status"].mask(dead, "diverged"))
    found = pooled_differences([dataclasses.replace(first, trials=runaway), second, third])
    assert set(found["k"]) == {2}
    assert not found["studies"].str.contains("study-0").any()
    one_seed = make_compared("one", BETTER, seeds=1, data="one")
    assert set(pooled_differences([one_seed, second, third])["k"]) == {2}
    empty = dataclasses.replace(first, trials=pd.DataFrame())
    assert pooled_differences([empty, second]).empty
    no_adaptive = make_compared("tuned", {"cosface": 0.8}, data="only")
    assert pooled_differences([no_adaptive, second]).empty


def test_arms_of_one_name_and_two_losses_are_no_pair(make_compared: Make) -> None:
    first, second = studies(make_compared, BETTER, 2)
    changed = second.trials.assign(loss=second.trials["loss"].mask(second.trials["arm"] == "arcface", "sphereface"))
    found = pooled_differences([first, dataclasses.replace(second, trials=changed)])
    assert set(found["arm"]) == {BEST, "cosface"}
