"""What a survey answers: what it listed, whether the laws held, what was found, how far it is."""

from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from hpstudy.analysis import Audit, StudyFacts, self_check_line, survey_verdict, verdict

METRIC = "test/tar_at_far_1e-3"
PACKED = "No prototypes are packed better than C directions in K dimensions can be"


def facts(**changes: Any) -> StudyFacts:
    values: dict[str, Any] = {"name": "survey", "question": "Whose bound?", "objective": METRIC}
    return StudyFacts(**(values | {"equivalence_margin": 0.01} | changes))


@pytest.fixture(scope="module")
def trials(audited: ModuleType) -> pd.DataFrame:
    return audited.margins(((8, 2),), arms={"cosface": "cosface"}).trials


@pytest.fixture
def broken(trials: pd.DataFrame) -> pd.DataFrame:
    """One trial whose prototypes are packed better than any can be."""
    planted = trials.copy()
    planted.loc[3, "geometry/max_prototype_cosine"] = -0.9
    return planted


def test_a_survey_says_what_it_listed_and_found(trials: pd.DataFrame) -> None:
    audit = Audit(trials, METRIC)
    laws = int((audit.checks["held"] == "yes").sum())
    found = survey_verdict(facts(), audit)
    assert found.question == "Whose bound?"
    assert found.headline == (
        f"20 trials at 10 listed points, none of them chosen; no trial breaks any of the {laws} laws that bound s, m "
        "and the loss."
    )
    assert found.paragraph.startswith(f"{found.headline} CosFace’s bound on m: Where the largest possible margin is ")
    assert found.lines[:2] == (found.headline, "CosFace’s bound on m")
    assert found.lines[2].startswith("  Where the largest")
    assert found.table.empty
    assert found.duels.empty


def test_a_broken_law_is_the_headline(broken: pd.DataFrame) -> None:
    audit = Audit(broken, METRIC)
    assert PACKED in audit.broken
    found = survey_verdict(facts(), audit)
    assert found.headline.startswith("The self-check failed, so that something was measured wrongly: “")
    assert f"“{PACKED}”" in found.headline
    assert "none of them chosen" not in found.paragraph
    assert found.paragraph.startswith(found.headline)
    unfinished = survey_verdict(facts(planned={"grid": 40}), audit)
    assert unfinished.headline.startswith("Unfinished (20 of 40 trials): the self-check failed, so that ")


def test_an_unfinished_survey_says_so(trials: pd.DataFrame) -> None:
    found = survey_verdict(facts(planned={"search": 0, "grid": 30, "confirm": 0}), Audit(trials, METRIC))
    assert found.headline.startswith(
        "Unfinished (20 of 30 trials): 20 trials at 10 listed points, none of them chosen;"
    )
    done = survey_verdict(facts(planned={"search": 0, "grid": 20, "confirm": 0}), Audit(trials, METRIC))
    assert done.headline.startswith("20 trials")


@pytest.mark.parametrize(("count", "words"), [(1, "1 trial failed and is left out."), (3, "3 trials failed and are l")])
def test_failed_trials_are_counted(trials: pd.DataFrame, count: int, words: str) -> None:
    lost = trials.copy()
    lost.loc[: count - 1, "status"] = "failed"
    assert words in survey_verdict(facts(), Audit(lost, METRIC)).paragraph
    assert "failed" not in survey_verdict(facts(), Audit(trials, METRIC)).paragraph


def test_nothing_measured_breaks_nothing(trials: pd.DataFrame) -> None:
    bare = trials.loc[:, ~trials.columns.str.startswith("geometry/")]
    found = survey_verdict(facts(), Audit(bare, METRIC))
    assert found.headline == found.paragraph == "20 trials at 10 listed points, none of them chosen."
    assert found.lines == (found.headline,)
    one = survey_verdict(facts(), Audit(bare.head(1), METRIC))
    assert one.headline == "1 trial at 1 listed point, none of them chosen."


def test_one_law_alone_is_one(trials: pd.DataFrame) -> None:
    audit = Audit(trials, METRIC)
    audit.checks = audit.checks[audit.checks["held"] == "yes"].head(1)
    assert survey_verdict(facts(), audit).headline.endswith(
        "; no trial breaks the one law that bounds s, m and the loss."
    )


def test_before_the_first_trial(trials: pd.DataFrame) -> None:
    found = survey_verdict(facts(planned={"grid": 20}), Audit(trials.head(0), METRIC))
    assert found.headline == found.paragraph == "Unfinished (0 of 20 trials): no trial has ended yet."
    study = verdict(facts(planned={"confirm": 4}, arms=["tuned"]), trials.head(0))
    assert study.headline == "Unfinished (0 of 4 trials): no answer yet: tuned has no trial that ended."
    assert study.lines == (study.headline,)


def test_the_self_check_is_one_line(trials: pd.DataFrame, broken: pd.DataFrame) -> None:
    checks, wrong = Audit(trials, METRIC).checks, Audit(broken, METRIC).checks
    laws = int((checks["held"] != "not applicable").sum())
    assert self_check_line(checks) == f"Self-check passed: {laws} laws held"
    lost = int((wrong["held"] == "no").sum())
    line = self_check_line(wrong)
    assert line.startswith(f"Self-check FAILED: {lost} of {laws} laws broken (")
    assert PACKED in line
    assert line.endswith(")")
    assert self_check_line(checks[checks["held"] == "yes"].head(1)) == "Self-check passed: 1 law held"
    assert self_check_line(checks.head(0)) == "Self-check: nothing was measured"
    bare = trials.loc[:, ~trials.columns.str.startswith("geometry/")]
    assert self_check_line(Audit(bare, METRIC).checks) == "Self-check: nothing was measured"
