"""Confirm summaries and comparisons: what is said, and what is not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import arm_kinds, chance_level, confirm_summary, margin_unit, paired_comparisons, scores
from hpstudy.catalog import LOSSES, SCALES

METRIC = "test/tar_at_far_1e-3"
Confirmed = Callable[..., pd.DataFrame]
MakeTrial = Callable[..., dict[str, Any]]


def test_both_forms_of_adacos_count_as_adaptive(confirmed: Confirmed) -> None:
    trials = confirmed({"cosface": [0.8], "fixed": [0.8], "dynamic": [0.8]}, searched=["cosface"])
    assert arm_kinds(trials) == {"cosface": "searched", "dynamic": "adaptive", "fixed": "adaptive"}


def test_kind_follows_the_catalogue_for_every_loss(make_trial: MakeTrial) -> None:
    for name, info in LOSSES.items():
        kind = arm_kinds(pd.DataFrame([make_trial("arm", "confirm", 1, 0.5, loss=name)]))["arm"]
        assert kind == ("adaptive" if info.scale in SCALES and SCALES[info.scale].sets_itself else "fixed")
        assert margin_unit(name) == (info.parameters["m"].unit if "m" in info.parameters else "")


def test_adaptive_scale_with_a_searched_margin_is_a_tuned_arm(make_trial: MakeTrial) -> None:
    row = make_trial("arc-ada", "search", 0, 0.5, loss="additive_angle+adacos_dynamic") | {"param/m": 0.3}
    assert arm_kinds(pd.DataFrame([row])) == {"arc-ada": "searched"}
    assert margin_unit("additive_angle+adacos_dynamic") == "rad"
    row = make_trial("arc-ada", "confirm", 0, 0.5, loss="additive_angle+adacos_dynamic")
    assert arm_kinds(pd.DataFrame([row])) == {"arc-ada": "adaptive"}


@pytest.mark.parametrize(
    ("metric", "chance"),
    [("test/tar_at_far_1e-3", 1e-3), ("val/tar_at_far_2.5e-4", 2.5e-4), ("test/accuracy", 0.5), ("test/eer", np.nan)],
)
def test_chance_level(metric: str, chance: float) -> None:
    assert chance_level(metric) == pytest.approx(chance, nan_ok=True)


def test_diverged_trials_score_at_chance_and_failed_ones_not_at_all(make_trial: MakeTrial) -> None:
    rows = [make_trial("cosface", "confirm", i, 0.8) for i in range(3)]
    rows[1] |= {"status": "diverged", METRIC: np.nan}
    rows[2] |= {"status": "failed", METRIC: np.nan, "objective": 1e-3}
    trials = pd.DataFrame(rows)
    assert scores(trials, METRIC).to_list() == pytest.approx([0.8, 1e-3, np.nan], nan_ok=True)
    summary = confirm_summary(trials, METRIC).iloc[0]
    assert (summary["n"], summary["diverged"], summary["failed"]) == (2, 1, 1)
    assert summary["mean"] == pytest.approx(0.4005)


def test_summary_puts_the_optimistic_value_beside_the_fresh_one(confirmed: Confirmed) -> None:
    summary = confirm_summary(confirmed({"cosface": [0.80, 0.82, 0.84]}, searched=["cosface"]), METRIC).iloc[0]
    assert summary["search_best"] == 0.9
    assert summary["confirm_objective"] == pytest.approx(0.82)
    assert (summary["s"], summary["m"]) == (30.0, 0.3)


def test_several_searches_are_averaged_at_each_seed(make_trial: MakeTrial) -> None:
    rows = [
        make_trial("cosface", "confirm", seed, value, search_seed=lane, trial_id=f"{lane}.{seed}")
        for lane, values in enumerate(([0.80, 0.82], [0.90, 0.92]))
        for seed, value in enumerate(values)
    ]
    summary = confirm_summary(pd.DataFrame(rows), METRIC).iloc[0]
    assert summary["n"] == 2
    assert summary["mean"] == pytest.approx(0.86)
    assert summary["std"] == pytest.approx(np.std([0.85, 0.87], ddof=1))


def test_pairs_are_matched_by_seed(make_trial: MakeTrial) -> None:
    rows = [make_trial("cosface", "confirm", seed, 0.8 + seed / 100) for seed in (1, 2, 3)]
    rows += [make_trial("dynamic", "confirm", seed, 0.79 + seed / 100) for seed in (3, 2, 4)]
    row = paired_comparisons(pd.DataFrame(rows), METRIC, 0.001).iloc[0]
    assert (row["n"], row["wins"]) == (2, 2)
    assert row["difference"] == pytest.approx(0.01)


def test_words_follow_from_the_tests(confirmed: Confirmed) -> None:
    base = np.array([0.800, 0.806, 0.797, 0.803, 0.801])
    wobble = np.array([0.0004, -0.0003, 0.0002, 0.0001, -0.0004])
    noise = np.array([0.03, -0.03, 0.02, -0.01, 0.0])
    arms = {"better": base + 0.05 + wobble, "worse": base - 0.05 + wobble, "equal": base + wobble, "open": base + noise}
    trials = confirmed({**arms, "dynamic": base})
    table = paired_comparisons(trials, METRIC, 0.01).set_index("arm")
    assert table["word"].to_dict() == {
        "better": "better",
        "worse": "worse",
        "equal": "equivalent",
        "open": "not shown",
    }
    assert table["p_holm"].ge(table["p"]).all()


def test_one_seed_gives_no_test(confirmed: Confirmed) -> None:
    row = paired_comparisons(confirmed({"cosface": [0.9], "dynamic": [0.1]}), METRIC, 0.01).iloc[0]
    assert (row["n"], row["word"]) == (1, "not shown")
    assert np.isnan(row["p"])


def test_no_confirm_phase_gives_rows_without_numbers(make_trial: MakeTrial) -> None:
    trials = pd.DataFrame([make_trial("cosface", "search", 0, 0.9), make_trial("dynamic", "search", 0, 0.9)])
    row = paired_comparisons(trials, METRIC, 0.01).iloc[0]
    assert (row["n"], row["word"], row["reason"]) == (0, "not compared", "cosface has no confirm score")
    assert confirm_summary(trials, METRIC)["mean"].isna().all()


def test_two_arms_that_always_diverged_are_not_equivalent(make_trial: MakeTrial) -> None:
    rows = [
        make_trial(arm, "confirm", seed, 1e-3, status="diverged") | {METRIC: np.nan}
        for arm in ("cosface", "dynamic")
        for seed in range(3)
    ]
    row = paired_comparisons(pd.DataFrame(rows), METRIC, 0.01).iloc[0]
    assert (row["word"], row["reason"]) == ("diverged", "both diverged at every confirm seed")
    assert np.isnan(row["equivalence_p"])


@pytest.mark.parametrize("dead", ["cosface", "dynamic"])
def test_imputed_constants_judge_nobody(confirmed: Confirmed, dead: str) -> None:
    trials = confirmed({"cosface": [0.005, 0.006, 0.005], "dynamic": [0.005, 0.005, 0.006]})
    trials.loc[trials["arm"] == dead, "status"] = "diverged"
    row = paired_comparisons(trials, METRIC, 0.1).iloc[0]
    assert (row["word"], row["reason"]) == ("diverged", f"{dead} diverged at every confirm seed")
    assert row[["difference", "p", "p_holm", "equivalence_p"]].isna().all()


def test_two_equal_differences_are_not_tested(confirmed: Confirmed) -> None:
    row = paired_comparisons(confirmed({"cosface": [0.75, 0.75], "dynamic": [0.5, 0.5]}), METRIC, 0.5).iloc[0]
    assert (row["n"], row["word"]) == (2, "not shown")
    assert row[["p", "equivalence_p"]].isna().all()


def test_an_arm_without_confirm_trials_is_not_compared(confirmed: Confirmed, make_trial: MakeTrial) -> None:
    lost = [make_trial("arcface", "search", i, 1e-3, status="diverged") for i in range(2)]
    trials = pd.concat([confirmed({"cosface": [0.80, 0.82], "dynamic": [0.80, 0.81]}), pd.DataFrame(lost)])
    row = paired_comparisons(trials, METRIC, 0.01).set_index("arm").loc["arcface"]
    assert (row["word"], row["reason"]) == ("not compared", "every search trial of arcface diverged")


def test_holm_counts_every_condition(confirmed: Confirmed) -> None:
    one = confirmed({"cosface": [0.81, 0.83, 0.82], "dynamic": [0.80, 0.81, 0.80]})
    table = paired_comparisons(pd.concat([one, one.assign(condition="other")]), METRIC, 1e-4)
    assert table["p_holm"].to_list() == pytest.approx([2 * table["p"].iloc[0]] * 2)


def test_planted_difference_is_found_and_a_null_is_not(confirmed: Confirmed) -> None:
    rng = np.random.default_rng(5)
    words: dict[str, list[str]] = {"planted": [], "null": []}
    for _ in range(30):
        base = rng.normal(0.8, 0.01, 10)
        arms = {"planted": base + rng.normal(0.02, 0.008, 10), "null": base + rng.normal(0.0, 0.008, 10)}
        table = paired_comparisons(confirmed({**arms, "dynamic": base}), METRIC, 1e-4).set_index("arm")
        for arm, found in words.items():
            found.append(str(table.loc[arm, "word"]))
    assert words["planted"].count("better") >= 27
    assert words["null"].count("not shown") >= 27
