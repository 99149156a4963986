"""What the price of tuning is, in words."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from hpstudy.analysis._facts import StudyFacts
from hpstudy.analysis._metrics import metric_name
from hpstudy.analysis._searches import RUNNING_BEST
from hpstudy.analysis._words import counted, hours_text


def interval_text(low: float, high: float, trials: int) -> str:
    """The interval of n* as text: `2 to 6`, `3 or more`, `more than 8`; empty where there is none to speak of.

    Args:
        low: First end, ∞ for beyond the search, NaN if unknown.
        high: Second end, likewise.
        trials: How many trials the search had.
    """
    if math.isnan(low) or (math.isnan(high) and low == 1):
        return ""
    if math.isinf(low):
        return f"more than {trials}"
    return f"{low:.0f} to {high:.0f}" if math.isfinite(high) else f"{low:.0f} or more"


def price_sentence(row: Mapping[str, Any], facts: StudyFacts, device: str) -> str:
    """One row of `break_even` as a sentence.

    Args:
        row: The row, as yet without its sentence.
        facts: The study.
        device: `CPU` or `GPU`, whichever the hours are of.
    """
    arm, rival, trials = row["arm"], row["adaptive"], int(row["trials"])
    margin = metric_name(facts.objective).magnitude(facts.equivalence_margin)
    within = f"no worse than {rival} within {margin}"
    spent = hours_text(row["hours"] if row["reached"] else row["search_hours"], device)
    doubt = f"{_doubt(row, trials)}; {spent}"
    own = "the search" if row["adaptive_searched"] else "one run"
    once = f"{own} of {rival} takes {hours_text(row['adaptive_hours'], device)}"
    if not row["reached"]:
        had = "the one trial" if trials == 1 else f"the {trials} trials"
        return f"A search of {arm} needs more than {had} it had ({doubt}) to be {within}; {once}."
    if row["n_star"] > 1:
        mean = f"{_more(row, trials)} to reach its mean"
        return f"A search of {arm} needs {row['n_star']:.0f} trials ({doubt}) to be {within}, and {mean}; {once}."
    if row["given_first"]:
        start = f"The published default of {arm}, the first trial of its search ({doubt}), is already {within}"
    else:
        start = f"A single trial of {arm} ({doubt}) is already expected to be {within}"
    mean = "reaches its mean" if row["n_mean"] == 1 else f"it takes {_more(row, trials)} to reach its mean"
    return f"{start}{' and ' if row['n_mean'] == 1 else '; '}{mean}; {once}."


def price_headline(pairs: pd.DataFrame, prices: pd.DataFrame) -> str:
    """The price of tuning for a first page; empty where there is none to tell.

    Args:
        pairs: What the verdict is about: `condition`, `arm`, `adaptive`, at most one a condition.
        prices: `break_even`.
    """
    keys = ["condition", "arm", "adaptive"]
    found = pairs[keys].merge(prices, on=keys) if len(pairs) else prices.head(0)
    if len(found) == 1:
        return str(found["sentence"].iloc[0])
    if found.empty:
        return ""
    there = found[found["reached"]]
    several = (
        "The best tuned arm is no worse than the best adaptive scale within the budget of its search in "
        f"{len(there)} of {counted(len(found), 'condition')}"
    )
    if there.empty:
        return several + "."
    ends = there.sort_values("n_star", kind="stable").iloc[[0, -1]]
    told = [_in_condition(row) for row in ends.drop_duplicates(keys).to_dict("records")]
    return f"{several}, after {' to '.join(told)}."


def _in_condition(row: Mapping[Any, Any]) -> str:
    interval = interval_text(row["low"], row["high"], int(row["trials"]))
    n_star = counted(int(row["n_star"]), "trial")
    return f"{n_star} in {row['condition']}" + (f" (95 % interval {interval})" if interval else "")


def _doubt(row: Mapping[str, Any], trials: int) -> str:
    if interval := interval_text(row["low"], row["high"], trials):
        return f"95 % interval {interval}"
    return (
        "one search, hence no interval" if row["searches"] == 1 and row["estimator"] == RUNNING_BEST else "no interval"
    )


def _more(row: Mapping[str, Any], trials: int) -> str:
    if math.isinf(row["n_mean"]):
        return f"more than {trials}"
    return "as many" if row["n_mean"] == row["n_star"] else f"{row['n_mean']:.0f}"
