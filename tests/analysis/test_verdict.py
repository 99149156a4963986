"""The words of a verdict follow from the numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import StudyFacts, Verdict, confirm_metric, hours_text, metric_name, p_text, points_text, verdict

Confirmed = Callable[..., pd.DataFrame]
MakeTrial = Callable[..., dict[str, Any]]
METRIC = "test/tar_at_far_1e-3"
BASE = np.array([0.800, 0.806, 0.797, 0.803, 0.801])
WOBBLE = np.array([0.0004, -0.0003, 0.0002, 0.0001, -0.0004])


def study_facts(**changes: Any) -> StudyFacts:
    values = {
        "name": "demo",
        "question": "Does tuning pay?",
        "objective": "val/tar_at_far_1e-3",
        "equivalence_margin": 0.01,
    }
    return StudyFacts(**(values | changes))


def judged(trials: pd.DataFrame, **changes: Any) -> Verdict:
    return verdict(study_facts(**changes), trials)


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
    assert "these seeds would show a true difference of" in text
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
    result = judged(confirmed({"cosface": BASE + 0.05 + WOBBLE, "dynamic": BASE}, searched=["cosface"]))
    assert str(result).splitlines()[0] == "Does tuning pay?"
    assert all(len(line) <= 140 for line in result.lines)
    assert "better" in result.lines[1]


def test_metric_without_a_test_twin_is_judged_as_it_is(make_trial: MakeTrial) -> None:
    trials = pd.DataFrame([make_trial("cosface", "search", 0, 0.5)])
    assert confirm_metric(trials, "val/accuracy") == "val/accuracy"
    assert confirm_metric(trials.assign(**{METRIC: 0.5}), "val/tar_at_far_1e-3") == METRIC


@pytest.mark.parametrize(
    ("dead", "headline"),
    [
        (["dynamic"], "The best adaptive scale diverged at every confirm seed; the best tuned arm did not."),
        (["cosface"], "The best tuned arm diverged at every confirm seed; the best adaptive scale did not."),
        (["cosface", "dynamic"], "Nothing can be compared: the best tuned arm and the best adaptive scale diverged"),
    ],
)
def test_divergence_throughout_is_the_headline(confirmed: Confirmed, dead: list[str], headline: str) -> None:
    trials = confirmed({"cosface": BASE, "dynamic": BASE}, searched=["cosface"])
    trials.loc[trials["arm"].isin(dead) & (trials["phase"] == "confirm"), "status"] = "diverged"
    result = judged(trials)
    assert result.headline.startswith(headline)
    assert "diverged at every confirm seed" in " ".join(result.lines[1:])
    assert "1 comparison could not be made" in result.paragraph
    assert "nan" not in result.paragraph


def test_an_adaptive_scale_that_lives_is_preferred_to_one_that_diverged(confirmed: Confirmed) -> None:
    trials = confirmed({"cosface": BASE, "fixed": BASE * 0, "dynamic": BASE}, searched=["cosface"])
    trials.loc[trials["arm"] == "dynamic", "status"] = "diverged"
    assert judged(trials).duels["adaptive"].to_list() == ["fixed"]


def test_every_trial_diverged(confirmed: Confirmed) -> None:
    trials = confirmed({"cosface": BASE, "dynamic": BASE}, searched=["cosface"]).assign(status="diverged")
    assert judged(trials).headline == "Every trial diverged."


def test_several_searches_name_every_point_and_no_median(confirmed: Confirmed) -> None:
    first = confirmed({"cosface": BASE + 0.05 + WOBBLE, "dynamic": BASE}, searched=["cosface"])
    second = first[first["arm"] == "cosface"].assign(search_seed=1, s=64.0)
    second["objective"] = second["objective"] - 0.1
    text = judged(pd.concat([first.assign(s=first["s"].replace(30.0, 5.0)), second], ignore_index=True)).paragraph
    text = text.replace("\N{NO-BREAK SPACE}", " ")
    assert "cosface at s = 5.00 and 64.0, m = 0.30 (2 searches), reaches" in text
    assert "The searches had seen between 80.0 % and 90.0 % on the validation identities" in text
    assert "the same point" not in text
    assert "Finding those points took 4 trials" in text
    assert "Paired by seed, with searches and seeds taken as random, the difference is" in text
    assert "The score of cosface varies by 0.0 points with the search (standard deviation, from 2 searches)" in text


def test_unfinished_study_says_so(confirmed: Confirmed) -> None:
    trials = confirmed({"cosface": BASE + 0.05 + WOBBLE, "dynamic": BASE}, searched=["cosface"])
    planned = {"search": 2, "grid": 0, "confirm": 10}
    assert judged(trials, planned=planned).headline.startswith("Tuning is shown to pay")
    part = judged(trials[trials["seed"] != 105], planned=planned)
    assert part.headline.startswith("Unfinished (10 of 12 trials): tuning is shown to pay")
    assert part.paragraph.startswith(part.headline)


def test_arms_that_have_not_run_are_not_denied(confirmed: Confirmed) -> None:
    result = judged(confirmed({"cosface": [0.8, 0.9]}), planned={"confirm": 4}, arms=["cosface", "dynamic"])
    assert result.headline == "Unfinished (2 of 4 trials): no answer yet: dynamic has no trial that ended."


def test_a_search_that_only_diverged_ends_its_arm(confirmed: Confirmed, make_trial: MakeTrial) -> None:
    lost = [make_trial("arcface", "search", i, 1e-3, status="diverged") for i in range(2)]
    trials = pd.concat([confirmed({"dynamic": BASE}), pd.DataFrame(lost)], ignore_index=True)
    result = judged(trials, planned={"search": 2, "confirm": 10}, arms=["arcface", "dynamic"])
    assert result.headline == "Not compared: every search trial of arcface diverged."
    assert "Undecided" not in result.paragraph


def test_what_was_not_compared_is_not_undecided(confirmed: Confirmed, make_trial: MakeTrial) -> None:
    lost = [make_trial("arcface", "search", i, 1e-3, status="diverged") for i in range(2)]
    decided = confirmed({"cosface": BASE + 0.05 + WOBBLE, "dynamic": BASE}, searched=["cosface"])
    text = judged(pd.concat([decided, pd.DataFrame(lost)], ignore_index=True)).paragraph
    assert "The comparison is decided. 1 comparison could not be made: every search trial of arcface diverged." in text


def test_a_searched_arm_stands_for_tuning_before_a_given_point(confirmed: Confirmed) -> None:
    trials = confirmed(
        {"given": BASE + 0.1 + WOBBLE, "cosface": BASE + 0.05 + WOBBLE, "dynamic": BASE}, searched=["cosface"]
    )
    assert judged(trials).duels["arm"].to_list() == ["cosface"]
    given = judged(trials[trials["arm"] != "cosface"])
    assert given.headline == "A given point is shown to be better: the best fixed arm beats the best adaptive scale."
    assert "uning" not in given.headline


def test_two_seeds_are_a_caveat(confirmed: Confirmed) -> None:
    trials = confirmed({"cosface": [0.9001, 0.9], "dynamic": [0.8, 0.8]}, searched=["cosface"])
    assert judged(trials).headline.endswith("beats the best adaptive scale (on 2 seeds only).")


def test_every_searched_value_is_told(confirmed: Confirmed) -> None:
    trials = confirmed({"cosface": BASE, "dynamic": BASE}, searched=["cosface"])
    trials.loc[trials["arm"] == "cosface", "param/training.optimizer.lr"] = 0.05
    trials["param/model.name"] = trials["arm"].map({"cosface": "convnet"})
    result = judged(trials)
    assert "cosface at s = 30.0, m = 0.30, lr = 0.05, name = convnet, reaches" in result.paragraph
    assert "lr = 0.05" in result.lines[1]


def test_texts() -> None:
    assert metric_name("test/tar_at_far_2.5e-4").title == "TAR at FAR 2.5·10⁻⁴"
    assert metric_name("test/tar_at_far_1e-3").difference(-0.0123) == "−1.2\N{NO-BREAK SPACE}points"
    assert metric_name("test/tar_at_far_1e-3").difference(-0.0000123) == "0.0\N{NO-BREAK SPACE}points"
    assert metric_name("test/nmi").value(0.51234) == "0.512"
    one = pd.DataFrame({"s": [23.45], "m": [0.3123], "param/training.optimizer.lr": [0.1]})
    assert points_text(one, "arcface") == "s = 23.4, m = 0.31 rad, lr = 0.1"
    assert points_text(pd.DataFrame({"s": [np.nan], "m": [np.nan]}), "adacos") == ""
    assert [p_text(p) for p in (0.0004, 0.0312, 0.44)] == ["p < 0.001", "p = 0.031", "p = 0.44"]
    many = pd.DataFrame({"s": [64.0, 5.0, 20.0, 8.0], "m": [0.2, 0.2, 0.2, 0.2]})
    assert points_text(many, "cosface") == "s = 5.00 to 64.0, m = 0.20 (4 searches)"
    assert hours_text(1 / 3600, "CPU") == "1 CPU-second"
    assert [hours_text(h, "GPU") for h in (12.3, 1.25, 0.5, 0.001)] == [
        "12 GPU-hours",
        "1.2 GPU-hours",
        "30 GPU-minutes",
        "4 GPU-seconds",
    ]
