"""What is said of dynamic AdaCos's stability follows from the map, in every case that it can be in."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import pytest

from hpstudy.analysis import clopper_pearson_interval
from hpstudy.analysis.audit import stability_agreement, stability_map
from hpstudy.analysis.audit._stability_findings import stability_findings

RUNS, STAYS = (100, 8), (100, 128)
"""(C, K) that is predicted to run away, and to rest."""
Plan = Mapping[tuple[str, int, int, float], tuple[int, int]]
LOSS = {"dynamic": "adacos", "capped": "adacos_capped", "with-margin": "additive_cosine+adacos_dynamic"}
DOUBT = "the prediction, which is about independent uniform directions and not about trained ones."


@pytest.fixture
def said(make_trial: Callable[..., dict[str, Any]]) -> Callable[..., list[str]]:
    """Sentences about planted outcomes: (arm, C, K, noise) → (diverged, trials)."""

    def build(plan: Plan, final_s: float = 7.0) -> list[str]:
        rows = []
        for (arm, classes, dim, noise), (gone, total) in plan.items():
            for i in range(total):
                rows.append(
                    make_trial(
                        arm, "grid", i, 0.5, loss=LOSS[arm], num_classes=classes, embedding_dim=dim,
                        condition=f"C{classes}-K{dim}-{noise:g}", status="diverged" if i < gone else "completed",
                    )
                    | {"geometry/final_s": math.nan if i < gone else final_s, "data/label_noise": noise}
                )  # fmt: skip
        found = stability_map(pd.DataFrame(rows))
        return stability_findings(found, stability_agreement(found))

    return build


def test_of_nothing_nothing_is_said(make_trial: Callable[..., dict[str, Any]]) -> None:
    found = stability_map(pd.DataFrame([make_trial("cosface", "grid", 0, 0.5)]))
    assert stability_findings(found, stability_agreement(found)) == []


def test_everything_as_predicted(said: Callable[..., list[str]]) -> None:
    low, high = (f"{100 * end:.0f}" for end in clopper_pearson_interval(1, 1))
    assert said({("dynamic", *RUNS, 0.0): (5, 5), ("dynamic", *STAYS, 0.0): (0, 5)}) == [
        "The published rule ran away in 5 of 10 trials (diverged, or ended beyond 10 times its start): at least once "
        "with K = 8 (C = 100), and never with K = 128 (C = 100).",
        f"Held against its fixed points at 45°: where they expect it to run away it did run away in 5 of 5 trials of 1 "
        f"cell (95 % interval {low} to {high} %, a cell counting once) and where they expect it to rest it did run "
        "away in none of 5 trials of 1 cell (95 % interval 0 to 98 %, a cell counting once).",
        f"None of 2 cells with trials enough to tell contradict {DOUBT}",
    ]


def test_a_rule_that_never_or_always_ran_away_is_not_told_by_size(said: Callable[..., list[str]]) -> None:
    end = "(diverged, or ended beyond 10 times its start)."
    assert said({("dynamic", *STAYS, 0.0): (0, 1)})[0] == f"The published rule ran away in none of 1 trial {end}"
    assert said({("dynamic", *RUNS, 0.0): (3, 3)})[0] == f"The published rule ran away in 3 of 3 trials {end}"
    by_end = said({("dynamic", *STAYS, 0.0): (0, 2)}, final_s=1e3)[0]
    assert by_end == f"The published rule ran away in 2 of 2 trials {end}"


def test_sizes_are_told_once_whatever_the_noise(said: Callable[..., list[str]]) -> None:
    """A size that ran away with wrong labels alone is not among those that never did."""
    plan = {
        ("dynamic", *STAYS, 0.0): (0, 2), ("dynamic", *STAYS, 0.2): (1, 2), ("dynamic", 1000, 128, 0.0): (0, 2),
        ("dynamic", 1000, 16, 0.0): (2, 2), ("dynamic", 1000, 8, 0.0): (1, 2),
    }  # fmt: skip
    assert said(plan)[0].endswith(
        ": at least once with K = 128 (C = 100) and K = 8, 16 (C = 1,000), and never with K = 128 (C = 1,000)."
    )


def test_wrong_labels_are_held_against_none_at_the_same_sizes(said: Callable[..., list[str]]) -> None:
    plan = {("dynamic", *STAYS, 0.0): (0, 4), ("dynamic", *STAYS, 0.2): (3, 4), ("dynamic", *RUNS, 0.0): (4, 4)}
    assert said(plan)[1] == (
        "With wrong labels the published rule ran away in 3 of 4 trials, without them at the same sizes in none of 4 "
        "trials."
    )
    apart = said({("dynamic", *STAYS, 0.2): (3, 4), ("dynamic", *RUNS, 0.0): (4, 4)})
    assert not any(text.startswith("With wrong labels") for text in apart)


def test_noise_has_regions_of_its_own(said: Callable[..., list[str]]) -> None:
    found = said({("dynamic", *STAYS, 0.0): (0, 2), ("dynamic", *STAYS, 0.4): (1, 2)})
    regions = [text for text in found if text.startswith("Held")]
    assert regions[0].startswith("Held against its fixed points at 45°: where they expect it to rest it did run away")
    assert regions[1].startswith("Held against its fixed points at 45°: with wrong labels, where they expect it to ")
    assert len(regions) == 2


def test_arms_with_the_same_rule_are_told_apart(said: Callable[..., list[str]]) -> None:
    found = said({("dynamic", *RUNS, 0.0): (2, 2), ("with-margin", *RUNS, 0.0): (0, 3)})
    assert found[0].startswith("The published rule ran away in 2 of 5 trials")
    assert any("dynamic held against its fixed points at 45°: " in text and "2 of 2 trials" in text for text in found)
    assert any("with-margin held against " in text and "none of 3 trials" in text for text in found)


def test_contradictions_are_counted(said: Callable[..., list[str]]) -> None:
    few = "No cell has the five independent trials that could contradict its prediction."
    assert said({("dynamic", *RUNS, 0.0): (0, 4)})[-1] == few
    one = {("dynamic", *RUNS, 0.0): (0, 5)}
    assert said(one)[-1] == f"The one cell with trials enough to tell contradicts {DOUBT}"
    assert said({("dynamic", *RUNS, 0.0): (5, 5)})[-1] == (
        f"The one cell with trials enough to tell does not contradict {DOUBT}"
    )
    two = said(one | {("dynamic", *STAYS, 0.0): (0, 5)})[-1]
    assert two == f"1 of 2 cells with trials enough to tell contradicts {DOUBT}"
    both = said(one | {("dynamic", *STAYS, 0.0): (5, 5)})[-1]
    assert both == f"2 of 2 cells with trials enough to tell contradict {DOUBT}"


def test_stabilised_rules_alone(said: Callable[..., list[str]]) -> None:
    low, high = (f"{100 * end:.0f}" for end in clopper_pearson_interval(0, 2))
    plan = {("capped", *RUNS, 0.0): (0, 3), ("capped", *STAYS, 0.0): (0, 3)}
    assert said(plan) == [f"capped: none of 6 trials ran away (95 % interval {low} to {high} %, a cell counting once)."]


def test_the_ceiling_is_told_where_a_trial_ended_there(said: Callable[..., list[str]]) -> None:
    trials = {("capped", *RUNS, 0.0): (0, 2), ("capped", *STAYS, 0.0): (1, 2)}
    ceiling = stability_map_ceiling()
    assert said(trials, final_s=ceiling)[0].endswith(
        "a cell counting once), and some trial ended at the ceiling in 2 of 2 cells."
    )
    assert said(trials, final_s=ceiling)[0].startswith("capped: 1 of 4 trials ran away")
    assert "ceiling" not in said(trials, final_s=0.5 * ceiling)[0]


def stability_map_ceiling() -> float:
    """Of the capped rule's default with 100 classes."""
    from hpstudy.catalog import SCALES
    from hpstudy.theory import adacos_fixed_scale

    return adacos_fixed_scale(100) * SCALES["adacos_capped"].parameters["cap"].default
