"""The words of a verdict follow from the numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import StudyFacts, Verdict, confirm_metric, hours_text, metric_name, p_text, point_text, verdict

Confirmed = Callable[..., pd.DataFrame]
MakeTrial = Callable[..., dict[str, Any]]
METRIC = "test/tar_at_far_1e-3"
BASE = np.array([0.800, 0.806, 0.797, 0.803, 0.801])
WOBBLE = np.array([0.0004, -0.0003, 0.0002, 0.0001, -0.0004])


def judged(trials: pd.DataFrame, question: str = "Does tuning pay?") -> Verdict:
    facts = StudyFacts(name="demo", question=question, objective="val/tar_at_far_1e-3", equivalence_margin=0.01)
    return verdict(facts, trials)


@pytest.mark.parametrize(
    ("tuned", "headline"),
    [
        (BASE + 0.05 + WOBBLE, "Tuning is shown to pay"),
        (BASE - 0.05 + WOBBLE, "Tuning is shown not to pay"),
        (BASE + WOBBLE, "equivalent within ±1.0\N{NO-BREAK SPACE}points"),
        (BASE + 60 * WOBBLE[::-1], "These seeds do not decide"),
    ],
)
def test_headline_follows_from_the_test(confirmed: Confirmed, tuned: np.ndarray, headline: str) -> None:
    result = judged(confirmed({"cosface": tuned, "dynamic": BASE}, searched=["cosface"]))
    assert headline in result.headline
    assert result.paragraph.startswith(result.headline)


def test_paragraph_tells_the_numbers(confirmed: Confirmed) -> None:
    trials = confirmed({"cosface": BASE + 0.05 + WOBBLE, "dynamic": BASE, "fixed": BASE - 0.1}, searched=["cosface"])
    text = judged(trials).paragraph.replace("\N{NO-BREAK SPACE}", " ")
    for part in (
        "cosface at s = 30.0, m = 0.30, reaches TAR at FAR 10⁻³ = 85.1 %",
        "mean of 5 fresh seeds",
        "the best adaptive scale, dynamic, which needs no search, reaches 80.1 % (95 % interval 79.7 to 80.6)",
        "the difference is +5.0 points",
        "The search had seen 90.0 % on the validation identities",
        "Finding that point took 2 trials and 2.0 CPU-minutes",
        "No trial diverged.",
    ):
        assert part in text


def test_undecided_comparisons_say_how_many_seeds_would_decide(confirmed: Confirmed) -> None:
    text = judged(confirmed({"cosface": BASE + 60 * WOBBLE[::-1], "dynamic": BASE})).paragraph
    assert "Undecided: the comparison shows neither a difference nor equivalence" in text
    assert "seeds would find a difference of 1.0" in text
    assert "Nothing was searched." in text


def test_divergence_is_told(confirmed: Confirmed, make_trial: MakeTrial) -> None:
    trials = confirmed({"cosface": BASE, "dynamic": BASE})
    bad = make_trial("fixed", "confirm", 101, 0.001, status="diverged") | {METRIC: np.nan}
    failed = make_trial("fixed", "confirm", 102, 0.001, status="failed") | {METRIC: np.nan}
    text = judged(pd.concat([trials, pd.DataFrame([bad, failed])])).paragraph.replace("\N{NO-BREAK SPACE}", " ")
    assert "1 of 12 trials diverged (fixed 1); those of the confirm phase count at chance (0.1 %)." in text
    assert "1 trial failed and is left out." in text


def test_one_seed(confirmed: Confirmed) -> None:
    result = judged(confirmed({"cosface": [0.9], "dynamic": [0.8]}))
    assert result.headline == "One seed cannot decide whether tuning pays."
    assert "no interval and no test" in result.paragraph


def test_conditions_are_counted(confirmed: Confirmed) -> None:
    first = confirmed({"cosface": BASE + 0.05 + WOBBLE, "dynamic": BASE}, condition="train-100")
    second = confirmed({"cosface": BASE + WOBBLE, "dynamic": BASE}, condition="train-1000")
    result = judged(pd.concat([first, second]))
    assert "shown better in 1 and equivalent in 1" in result.headline
    assert "in train-1000 (cosface" in result.paragraph
    assert any(line.startswith("train-100: cosface") for line in result.lines)


@pytest.mark.parametrize(
    ("arms", "headline"),
    [
        ({"cosface": [0.8, 0.9]}, "no arm whose scale sets itself"),
        ({"dynamic": [0.8, 0.9]}, "every arm of the study"),
        ({}, "no confirm trial has ended"),
    ],
)
def test_nothing_to_compare(
    confirmed: Confirmed, make_trial: MakeTrial, arms: dict[str, list[float]], headline: str
) -> None:
    search = [make_trial(arm, "search", 0, 0.5) for arm in arms or ("cosface", "dynamic")]
    result = judged(pd.concat([confirmed(arms), pd.DataFrame(search)]))
    assert headline in result.headline


def test_lines_fit_a_terminal(confirmed: Confirmed) -> None:
    result = judged(confirmed({"cosface": BASE + 0.05, "dynamic": BASE}, searched=["cosface"]))
    assert str(result).splitlines()[0] == "Does tuning pay?"
    assert all(len(line) <= 140 for line in result.lines)
    assert "better" in result.lines[1]


def test_metric_without_a_test_twin_is_judged_as_it_is(make_trial: MakeTrial) -> None:
    trials = pd.DataFrame([make_trial("cosface", "search", 0, 0.5)])
    assert confirm_metric(trials, "val/accuracy") == "val/accuracy"
    assert confirm_metric(trials.assign(**{METRIC: 0.5}), "val/tar_at_far_1e-3") == METRIC


def test_texts() -> None:
    assert metric_name("test/tar_at_far_2.5e-4").title == "TAR at FAR 2.5·10⁻⁴"
    assert metric_name("test/tar_at_far_1e-3").difference(-0.0123) == "−1.2\N{NO-BREAK SPACE}points"
    assert metric_name("test/tar_at_far_1e-3").difference(-0.0000123) == "0.0\N{NO-BREAK SPACE}points"
    assert metric_name("test/nmi").value(0.51234) == "0.512"
    assert point_text(23.45, 0.3123, "arcface") == "s = 23.4, m = 0.31 rad"
    assert point_text(float("nan"), float("nan"), "adacos") == ""
    assert [p_text(p) for p in (0.0004, 0.0312, 0.44)] == ["p < 0.001", "p = 0.031", "p = 0.44"]
    assert [hours_text(h, "GPU") for h in (12.3, 1.25, 0.5, 0.001)] == [
        "12 GPU-hours",
        "1.2 GPU-hours",
        "30 GPU-minutes",
        "4 GPU-seconds",
    ]
