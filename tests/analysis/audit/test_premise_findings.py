"""What is said of AdaCos's premises follows from the frame, in every case that it can be in."""

import math
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from hpstudy.analysis.audit import adacos_premises
from hpstudy.analysis.audit._premise_findings import premise_findings


def premise(**changes: Any) -> dict[str, Any]:
    """A row of `adacos_premises`, angles in degrees: averages near 90°, log B_avg calm, P steepest past θ_med."""
    row = {
        "condition": "default", "arm": "adacos", "nontarget_start": 90.0, "nontarget_end": 91.0,
        "nontarget_spread_end": 12.0, "log_b_excess_start": 0.01, "log_b_excess_end": 0.3, "steepest_gap": 20.0,
        "posterior_end": 0.5,
    } | changes  # fmt: skip
    angles = ("nontarget_start", "nontarget_end", "nontarget_spread_end", "steepest_gap")
    return row | {name: math.radians(row[name]) for name in angles}


def told(*rows: dict[str, Any]) -> list[str]:
    return premise_findings(pd.DataFrame(rows))


def test_of_nothing_nothing_is_said() -> None:
    assert premise_findings(pd.DataFrame(columns=list(premise()))) == []
    assert told(premise(nontarget_end=math.nan, log_b_excess_end=math.nan, posterior_end=math.nan)) == []


def test_one_arm() -> None:
    assert told(premise()) == [
        "Non-target angles end within 5° of 90° on average: the angle of their mean cosine is 90° at the first step "
        "and 91° at the end, and one standard deviation of the cosine spreads them by 12° either way.",
        "log B_avg begins within 0.01 nats of log(C − 1) and ends +0.30 nats from it, at 1.3 times the C − 1 that the "
        "fixed scale supposes.",
        "At the end P(θ) is steepest 20° above θ_med, and P is 0.50 at θ_med; AdaCos supposes 0° and 1/2.",
    ]


@pytest.mark.parametrize(
    ("ends", "places", "words"),
    [
        ((91, 94), ("a", "a"), "Non-target angles end within 5° of 90° on average in all 2 arms: "),
        ((80, 101), ("a", "a"), "Non-target angles end more than 5° from 90° on average in all 2 arms: "),
        ((91, 101), ("a", "a"), "Non-target angles end within 5° of 90° on average in 1 of 2 arms: "),
        ((91, 101), ("a", "b"), "Non-target angles end within 5° of 90° on average in 1 of 2 pairs of arm and condi"),
        ((101,), ("a",), "Non-target angles end more than 5° from 90° on average: "),
    ],
)
def test_averages_near_and_far_from_90_degrees(ends: tuple[int, ...], places: tuple[str, ...], words: str) -> None:
    rows = [premise(nontarget_end=end, condition=place) for end, place in zip(ends, places, strict=True)]
    assert told(*rows)[0].startswith(words)


def test_an_arm_that_is_far_above_is_told_apart_and_not_averaged() -> None:
    far = premise(log_b_excess_end=1234.0)
    assert told(premise(log_b_excess_end=-0.5), premise(), far)[1] == (
        "log B_avg begins within 0.01 nats of log(C − 1) and ends −0.50 to +0.30 nats from it, at 0.61 to 1.3 times "
        "the C − 1 that the fixed scale supposes in 2 of 3 arms, and in the rest ends 1,234 nats above it."
    )
    assert told(far)[1] == "log B_avg begins within 0.01 nats of log(C − 1) and ends 1,234 nats above it."
    assert told(far, premise(log_b_excess_end=3e27))[1].endswith("and ends 1,234 to 10²⁷ nats above it.")


def test_what_begins_far_above_did_not_run_away() -> None:
    still = told(premise(log_b_excess_start=13.9, log_b_excess_end=11.8))[1]
    assert still == "log B_avg begins within 14 nats of log(C − 1) and ends 12 nats above it."


@pytest.mark.parametrize(
    ("excess", "ends"),
    [
        (-0.001, "ends 0.00 nats from it, at 1 times"),
        (10.0, "ends +10.00 nats from it, at 22,026 times"),
        (-9.0, "ends −9.00 nats from it, at less than 0.001 times"),
        (4.6, "ends +4.60 nats from it, at 99 times"),
    ],
)
def test_the_crowd_is_told_in_plain_numbers(excess: float, ends: str) -> None:
    assert ends in told(premise(log_b_excess_end=excess))[1]


def test_the_steepest_point_is_above_or_below() -> None:
    above, below = premise(steepest_gap=20.0, posterior_end=0.001), premise(steepest_gap=-3.0, posterior_end=0.9999)
    assert told(above, below)[2] == (
        "At the end P(θ) is steepest 20° above θ_med in 1 and 3° below θ_med in 1, and P is below 0.01 to above 0.99 "
        "at θ_med; AdaCos supposes 0° and 1/2."
    )
    assert "is steepest 1° to 3° below θ_med, and" in told(below, premise(steepest_gap=-1.0))[2]
    assert "is steepest 0° above θ_med, and" in told(premise(steepest_gap=-0.0))[2]


def test_each_premise_is_told_of_the_arms_that_recorded_it() -> None:
    found = told(premise(nontarget_end=math.nan), premise(log_b_excess_start=math.nan, steepest_gap=math.nan))
    assert len(found) == 3
    assert "arms" not in " ".join(found)


def test_of_true_trajectories(audited: ModuleType) -> None:
    trials = audited.stability(arms={"fixed": "adacos_fixed", "rule": "adacos"}, noise=(0.0,), gone=()).trials
    courses = {100: audited.trajectory(100, 7.0), 300: audited.trajectory(300, 7.0, excess=50.0, theta=1.2)}
    sizes = trials.set_index("trial_id")["num_classes"]
    found = premise_findings(adacos_premises(trials, lambda trial_id: courses[sizes[trial_id]]))
    assert found[0].startswith("Non-target angles end within 5° of 90° on average in all 8 pairs of arm and condition")
    assert found[1].endswith("supposes in 4 of 8 pairs of arm and condition, and in the rest ends 50 nats above it.")
    assert " above θ_med" in found[2]
