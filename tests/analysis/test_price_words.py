"""What the price of tuning is, in words."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import StudyFacts, interval_text, price_headline
from hpstudy.analysis._price_words import price_sentence

FACTS = StudyFacts(name="demo", question="?", objective="val/tar_at_far_1e-3", equivalence_margin=0.01)
INF, NAN = float("inf"), float("nan")


def row(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "condition": "default", "arm": "cosface", "adaptive": "dynamic", "n_star": 3.0, "low": 2.0, "high": 6.0,
        "hours": 0.4, "reached": True, "n_mean": 5.0, "mean_low": 3.0, "mean_high": INF, "mean_hours": 0.6, "trials": 8,
        "search_hours": 1.2, "adaptive_hours": 0.1, "adaptive_searched": False, "searches": 3,
        "estimator": "running best", "given_first": True,
    }  # fmt: skip
    return values | changes


def sentence(**changes: Any) -> str:
    return price_sentence(row(**changes), FACTS, "CPU").replace("\N{NO-BREAK SPACE}", " ")


def test_a_break_even_in_the_search() -> None:
    assert sentence() == (
        "A search of cosface needs 3 trials (95 % interval 2 to 6; 24 CPU-minutes) to be no worse than dynamic within "
        "1.0 points, and 5 to reach its mean; one run of dynamic takes 6.0 CPU-minutes."
    )
    assert ", and as many to reach its mean; the search of dynamic takes" in sentence(
        n_mean=3.0, adaptive_searched=True
    )
    assert "and more than 8 to reach its mean" in sentence(n_mean=INF)


def test_a_break_even_at_the_first_trial() -> None:
    first = {"n_star": 1.0, "low": 1.0, "high": 1.0}
    assert sentence(**first, n_mean=1.0).startswith(
        "The published default of cosface, the first trial of its search (95 % interval 1 to 1; 24 CPU-minutes), is "
        "already no worse than dynamic within 1.0 points and reaches its mean; one run"
    )
    assert "; it takes 5 to reach its mean; one run" in sentence(**first)
    assert sentence(**first, given_first=False).startswith("A single trial of cosface (95 % interval 1 to 1; ")


def test_no_break_even_in_the_search() -> None:
    assert sentence(n_star=INF, reached=False, low=5.0, high=INF, hours=NAN, n_mean=INF) == (
        "A search of cosface needs more than the 8 trials it had (95 % interval 5 or more; 1.2 CPU-hours) to be no "
        "worse than dynamic within 1.0 points; one run of dynamic takes 6.0 CPU-minutes."
    )


@pytest.mark.parametrize("high", [NAN, INF])
def test_no_interval_is_said(high: float) -> None:
    one = sentence(low=NAN, high=high, searches=1)
    assert "(one search, hence no interval; 24 CPU-minutes)" in one
    assert "(no interval; 24" in sentence(low=NAN, high=NAN, searches=1, estimator="order statistic")


def test_intervals_as_text() -> None:
    assert interval_text(2, 6, 8) == "2 to 6"
    assert interval_text(2, INF, 8) == "2 or more"
    assert interval_text(INF, INF, 8) == "more than 8"
    assert interval_text(2, NAN, 8) == "2 or more"
    assert interval_text(1, NAN, 8) == ""
    assert interval_text(NAN, NAN, 8) == ""


def test_first_page_of_one_condition_is_its_sentence() -> None:
    prices = pd.DataFrame([row(sentence="One."), row(adaptive="fixed", sentence="Two.")])
    pairs = pd.DataFrame({"condition": ["default"], "arm": ["cosface"], "adaptive": ["fixed"]})
    assert price_headline(pairs, prices) == "Two."
    assert price_headline(pairs.assign(arm="given"), prices) == ""
    assert price_headline(pd.DataFrame(), prices) == ""


def test_first_page_of_many_conditions() -> None:
    prices = pd.DataFrame(
        [
            row(condition="a", sentence=""),
            row(condition="b", sentence="", n_star=1.0, low=NAN, high=NAN),
            row(condition="c", sentence="", n_star=np.inf, reached=False),
        ]
    )
    pairs = prices[["condition", "arm", "adaptive"]]
    start = "The best tuned arm is no worse than the best adaptive scale within the budget of its search in"
    assert (
        price_headline(pairs, prices)
        == f"{start} 2 of 3 conditions, after 1 trial in b to 3 trials in a (95 % interval 2 to 6)."
    )
    assert price_headline(pairs, prices.assign(reached=False)) == f"{start} 0 of 3 conditions."
