"""The words about several studies."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import NO_TRIAL, ComparedStudy, across, break_even, verdict

Make = Callable[..., ComparedStudy]
PAYS = {"cosface": 0.9, "dynamic": 0.7}
PAYS_NOT = {"cosface": 0.6, "dynamic": 0.8}
OPEN = {"cosface": 0.8, "dynamic": 0.8}
ONLY_TUNED = {"cosface": 0.8, "arcface": 0.8}
SAME = "the best tuned arm is shown better than the best adaptive scale"


def study(make: Make, label: str, worth: dict[str, float], **given: object) -> ComparedStudy:
    return make(label, worth, data=label, **given)


@pytest.mark.parametrize(
    ("worths", "headline"),
    [
        ([PAYS, PAYS], f"The verdict is the same in both studies: {SAME}."),
        ([PAYS, PAYS, PAYS], f"The verdict is the same in all 3 studies: {SAME}."),
        ([OPEN, OPEN], "Neither study decides whether the best tuned arm or the best adaptive scale is better."),
        (
            [PAYS, OPEN, PAYS],
            "In 2 of 3 studies the best tuned arm was shown better than the best adaptive scale; in 1 it stays open.",
        ),
        (
            [PAYS_NOT, PAYS],
            "The studies contradict each other: in 1 of 2 studies the best tuned arm was shown better than the best "
            "adaptive scale; in 1 it was shown worse.",
        ),
        (
            [OPEN, ONLY_TUNED],
            "In 1 of 2 studies it stays open whether the best tuned arm or the best adaptive scale is better; in 1 "
            "nothing could be compared.",
        ),
        ([ONLY_TUNED, ONLY_TUNED], "Neither study compares a tuned arm with an adaptive scale."),
    ],
)
def test_the_headline_counts_what_was_shown(make_compared: Make, worths: list[dict[str, float]], headline: str) -> None:
    studies = [study(make_compared, f"study-{i}", worth) for i, worth in enumerate(worths)]
    assert across(studies).headline == headline


def test_equivalence_is_said_within_each_margin(make_compared: Make) -> None:
    studies = [study(make_compared, name, OPEN, spread=1e-4, margin=0.05) for name in "ab"]
    assert across(studies).headline.endswith("are equivalent within each study’s margin.")


def test_what_is_missing_comes_first(make_compared: Make) -> None:
    done = study(make_compared, "done", PAYS)
    partial = study(make_compared, "partial", PAYS, missing=3)
    waiting = dataclasses.replace(done, label="waiting", trials=pd.DataFrame())
    found = across([done, partial, waiting])
    assert found.headline == (
        "Unfinished (partial: 10 of 13 trials): in 2 of 3 studies the best tuned arm was shown better than the best "
        "adaptive scale; in 1 no trial has ended yet."
    )
    assert found.findings == {"done": "better", "partial": "better", "waiting": NO_TRIAL}
    assert found.table["word"].to_list() == ["better", "better", NO_TRIAL]
    assert set(found.comparisons["study"]) == {"done", "partial"}


def test_two_seeds_are_told(make_compared: Make) -> None:
    few = {name: study(make_compared, name, PAYS, seeds=2, spread=1e-4) for name in "ab"}
    assert across(list(few.values())).headline.endswith("(on 2 seeds only).")
    more = study(make_compared, "c", PAYS)
    assert across([few["a"], more]).headline.endswith("(some of it on 2 seeds only).")


def test_conditions_that_disagree_make_no_verdict_of_their_study(make_compared: Make) -> None:
    sizes = {"train-100": (100, 64), "train-300": (300, 64)}
    mixed = study(make_compared, "mixed", PAYS, conditions=sizes)
    worse = (mixed.trials["condition"] == "train-300") & (mixed.trials["arm"] == "cosface")
    column = "test/tar_at_far_1e-3"
    mixed = dataclasses.replace(
        mixed, trials=mixed.trials.assign(**{column: mixed.trials[column] - np.where(worse, 0.2, 0.0)})
    )
    found = across([mixed, study(make_compared, "plain", PAYS)])
    assert found.findings["mixed"] == "depends on the condition"
    assert found.headline == (
        "In 1 of 2 studies the best tuned arm was shown better than the best adaptive scale; in 1 the answer depends "
        "on the condition."
    )
    assert "Over all 3 conditions: better 2 and undecided 1." in found.paragraph
    assert "in mixed (train-300)" in found.paragraph


def test_rows_are_those_of_each_verdict_with_its_budget(make_compared: Make) -> None:
    studies = [study(make_compared, "one", PAYS), study(make_compared, "two", OPEN, conditions={"default": (1000, 64)})]
    found = across(studies)
    for row, one in zip(found.table.to_dict("records"), studies, strict=True):
        duel = verdict(one.facts, one.trials).duels.iloc[0]
        assert (row["arm"], row["adaptive"], row["word"]) == (duel["arm"], duel["adaptive"], duel["word"])
        assert row["difference"] == duel["difference"]
        price = break_even(one.facts, one.trials).iloc[0]
        assert (row["n_star"], row["n_had"]) == (price["n_star"], 4)
    assert found.table[["num_classes", "embedding_dim"]].to_numpy().tolist() == [[300, 256], [1000, 64]]
    assert len(found.prices) == 2


def test_metrics_are_told_apart_and_not_pooled(make_compared: Make) -> None:
    found = across([study(make_compared, "three", PAYS), study(make_compared, "four", PAYS, far="1e-4")])
    assert "The difference in TAR at FAR 10⁻³ is" in found.paragraph
    assert "The difference in TAR at FAR 10⁻⁴ is" in found.paragraph
    assert "Pooled" not in found.paragraph


def test_what_is_pooled_is_told_with_its_doubt(make_compared: Make) -> None:
    text = across([study(make_compared, name, PAYS) for name in "abc"]).paragraph
    assert "Pooled over 3 independent studies, with arms picked by other seeds than they are judged by, it is +" in text
    assert text.endswith("which flatters whichever was picked.")


def test_a_given_point_is_no_tuned_arm(make_compared: Make) -> None:
    given = study(make_compared, "given", PAYS, trials=0)
    assert "the best arm with (s, m)" in across([given, study(make_compared, "other", PAYS)]).headline
