"""What a verdict says of studies whose truth is known (`synthetic_study.py`): levels, power, and the words themselves.

A share of N simulated studies may be off by three binomial standard errors, `miss(share, N)`.
"""

from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import (
    detectable_difference,
    paired_comparisons,
    seeds_for_equivalence,
    seeds_needed,
    verdict,
)

pytestmark = pytest.mark.usefixtures("brief_bootstrap")
InParts = Callable[[pd.DataFrame], Iterator[pd.DataFrame]]
MARGIN = 0.01
NEVER = 1e-6
"""A margin within which nothing is shown to be."""


def given(
    synthetic: ModuleType, worths: list[float], seeds: int, adaptive: int = 1, rest: float = 0.005, **noise: float
):
    """Arms with given points of those worths, and adaptive scales worth 0.8."""
    arms = [synthetic.Arm(name=f"given{i}", top=worth, trials=0) for i, worth in enumerate(worths)]
    arms += [synthetic.Arm(name=name, loss="adacos", trials=0) for name in ("dynamic", "other")[:adaptive]]
    return synthetic.StudyModel(arms=tuple(arms), confirm_seeds=seeds, rest_std=rest, **noise)


def share(synthetic: ModuleType, study, studies: int, margin: float, words: set[str], seed: int = 0) -> float:
    """Share of studies in which some comparison has one of these words."""
    drawn = study.draw(np.random.default_rng(seed), studies)
    tables = [paired_comparisons(trials, synthetic.METRIC, margin) for trials in drawn.studies()]
    return float(np.mean([table["word"].isin(words).any() for table in tables]))


@pytest.mark.parametrize("seeds", [3, 10])
def test_a_null_family_is_claimed_in_one_study_of_twenty(synthetic: ModuleType, seeds: int) -> None:
    study = given(synthetic, [0.8] * 4, seeds, arm_seed_std=0.003)
    claimed = share(synthetic, study, 100, NEVER, {"better", "worse"})
    assert claimed <= 0.05 + synthetic.miss(0.05, 100)


def test_a_null_family_of_repeated_searches_is_claimed_as_rarely(synthetic: ModuleType) -> None:
    arms = [
        synthetic.Arm(name=f"arm{i}", trials=3, searches=3, top=0.83, foot=0.74, widths=(0.5, 0.5)) for i in range(3)
    ]
    level = synthetic.StudyModel(arms=tuple(arms)).level(arms[0])
    rival = synthetic.Arm(name="dynamic", loss="adacos", trials=0, top=level)
    study = synthetic.StudyModel(arms=(*arms, rival))
    claimed = share(synthetic, study, 60, NEVER, {"better", "worse"})
    assert claimed <= 0.05 + synthetic.miss(0.05, 60)


def test_equivalence_at_the_margin_is_claimed_in_one_comparison_of_twenty(
    synthetic: ModuleType, in_parts: InParts
) -> None:
    for worth in (0.8 - MARGIN, 0.8 + MARGIN):
        drawn = given(synthetic, [worth], 5).draw(np.random.default_rng(1), 150)
        table = pd.concat([paired_comparisons(part, synthetic.METRIC, MARGIN) for part in in_parts(drawn.trials)])
        assert (table["equivalence_p"] < 0.05).mean() <= 0.05 + synthetic.miss(0.05, 150)


def test_equivalence_at_the_margin_is_claimed_in_one_family_of_twenty(synthetic: ModuleType) -> None:
    study = given(synthetic, [0.8 - MARGIN] * 4, 5, adaptive=2)
    claimed = share(synthetic, study, 60, MARGIN, {"equivalent"})
    assert claimed <= 0.05 + synthetic.miss(0.05, 60)


@pytest.mark.parametrize("seeds", [3, 10])
def test_what_is_detectable_is_found_four_times_in_five(synthetic: ModuleType, seeds: int) -> None:
    family, studies = 3, 60
    spread = given(synthetic, [0.8], seeds).pair_std
    effect = detectable_difference(spread, seeds, level=0.05 / family)
    study = given(synthetic, [0.8 + effect, 0.8, 0.8], seeds)
    tables = [
        paired_comparisons(trials, synthetic.METRIC, NEVER).set_index("arm").loc["given0"]
        for trials in study.draw(np.random.default_rng(2), studies).studies()
    ]
    found = np.mean([row["word"] == "better" for row in tables])
    assert found >= 0.75 - synthetic.miss(0.75, studies)  # the permutation test costs up to five points
    told = np.array([row["detectable"] for row in tables])
    assert np.sqrt((told**2).mean()) == pytest.approx(effect, rel=0.25 if seeds == 3 else 0.12)


def test_the_power_note_keeps_its_promise(synthetic: ModuleType, in_parts: InParts) -> None:
    spread, studies = given(synthetic, [0.8], 2).pair_std, 150
    for seeds, worth, column in (
        (seeds_needed(spread, MARGIN), 0.8 + MARGIN, "p"),
        (seeds_for_equivalence(MARGIN / spread), 0.8, "equivalence_p"),
    ):
        assert 3 < seeds < 12
        drawn = given(synthetic, [worth], seeds).draw(np.random.default_rng(3), studies)
        table = pd.concat([paired_comparisons(part, synthetic.METRIC, MARGIN) for part in in_parts(drawn.trials)])
        assert (table[column] < 0.05).mean() >= 0.8 - synthetic.miss(0.8, studies)


@pytest.mark.parametrize(
    ("worth", "rest", "said"),
    [
        (0.85, 0.005, "Tuning is shown to pay"),
        (0.75, 0.005, "Tuning is shown not to pay"),
        (0.80, 0.002, "equivalent within ±1.0\N{NO-BREAK SPACE}points"),
        (0.80, 0.030, "These seeds do not decide"),
    ],
)
def test_the_headline_says_what_is_true(synthetic: ModuleType, worth: float, rest: float, said: str) -> None:
    searched = synthetic.Arm(name="cosface", top=worth, trials=3)
    study = synthetic.StudyModel(arms=(searched, synthetic.ADAPTIVE), confirm_seeds=5, rest_std=rest)
    drawn = study.draw(np.random.default_rng(4), 6)
    found = [said in verdict(study.facts(MARGIN), trials).headline for trials in drawn.studies()]
    assert np.mean(found) > 0.8


def one_search(synthetic: ModuleType):
    """Searching is worth the adaptive scale on average, but one search may find much or little."""
    hill = synthetic.Arm(name="cosface", widths=(0.45, 0.6), trials=4)
    level = synthetic.StudyModel(arms=(hill,)).level(hill)
    rival = synthetic.Arm(name="dynamic", loss="adacos", trials=0, top=level)
    return synthetic.StudyModel(arms=(hill, rival), confirm_seeds=5)


def test_a_claim_from_one_search_says_so(synthetic: ModuleType) -> None:
    study = one_search(synthetic)
    verdicts = [verdict(study.facts(), trials) for trials in study.draw(np.random.default_rng(5), 4).studies()]
    claims = [one for one in verdicts if one.duels["word"].isin(["better", "worse"]).all()]
    assert len(claims) >= 3  # of a difference that is none between searching and not searching
    assert all("another search" in one.paragraph for one in claims)


def test_an_arm_without_a_score_beside_repeated_searches(synthetic: ModuleType) -> None:
    searched = synthetic.Arm(name="cosface", trials=2, searches=2)
    study = synthetic.StudyModel(arms=(searched, synthetic.ADAPTIVE), confirm_seeds=3)
    trials = study.draw(np.random.default_rng(6), 1).trials
    trials.loc[(trials["arm"] == "dynamic"), ["status", synthetic.METRIC]] = ["failed", np.nan]
    row = paired_comparisons(trials, synthetic.METRIC, MARGIN).iloc[0]
    assert (row["word"], row["reason"]) == ("not compared", "every confirm trial of dynamic failed")
