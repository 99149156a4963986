"""Tables of the first page and of what stands behind the means: spread, divergence, crossings."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from hpstudy.analysis import MetricName, interval_text, scale_text, wilson_interval
from hpstudy.reporting._style import ArmStyle
from hpstudy.reporting._tables import (
    DASH,
    Align,
    Cell,
    Table,
    arm_cell,
    bare_difference,
    finding_cell,
    number,
    p_cell,
)

_LONG = 28
_PARTS: tuple[tuple[str, Align], ...] = (
    ("search_std", "right"), ("seed_std", "right"), ("rest_std", "right"), ("evaluation_std", "right"),
)  # fmt: skip


def price_note(price: Mapping[str, object] | None, *, interval: bool = True) -> str:
    """n* in few letters, e.g. `3 (2 to 6)`, `> 8`; empty where there is none.

    Args:
        price: Row of `break_even`.
        interval: Whether its interval is told.
    """
    if price is None:
        return ""
    n, trials = float(str(price["n_star"])), int(str(price["trials"]))
    count = f"{n:.0f}" if math.isfinite(n) else f"> {trials}"
    ends = interval_text(float(str(price["low"])), float(str(price["high"])), trials)
    return f"{count} ({ends})" if ends and interval and ends != f"more than {trials}" else count


def with_prices(duels: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """The duels with what their budgets broke even at: `n_star`, `n_low`, `n_high`, `n_trials`, `n_hours`."""
    keys = ["condition", "arm", "adaptive"]
    names = {"low": "n_low", "high": "n_high", "trials": "n_trials", "hours": "n_hours"}
    return duels.merge(prices[[*keys, "n_star", *names]].rename(columns=names), on=keys, how="left")


def verdict_table(found: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName, *, several: bool) -> Table:
    """The best arm with (s, m) against the best adaptive one, a row a condition.

    Args:
        found: `with_prices` of the duels.
        styles: Style of every arm.
        name: The metric.
        several: Whether the study has several conditions, so that each is named.
    """
    condition: list[tuple[str, Align]] = [("condition", "left")] if several else []
    priced = bool(found["n_star"].notna().any()) if len(found) else False
    price: list[tuple[str, Align]] = [("n_star", "right"), ("n_range", "center")] if priced else []
    table = Table(
        [
            *condition, ("best_tuned", "left"), ("best_adaptive", "left"), ("gain", "right"),
            ("interval", "center"), ("p_holm", "right"), ("p_equivalence", "right"), *price, ("finding", "left"),
        ]
    )  # fmt: skip
    for row in found.to_dict("records"):
        count, ends = DASH, DASH
        if np.isfinite(row["n_star"]) or row["n_star"] == np.inf:
            trials = int(row["n_trials"])
            count = f"{row['n_star']:.0f}" if math.isfinite(row["n_star"]) else f"> {trials}"
            ends = interval_text(row["n_low"], row["n_high"], trials) or DASH
        budget: list[Cell] = [{"text": count, "weight": "bold"}, ends] if priced else []
        table.row(
            *([{"text": row["condition"]}] if several else []),
            arm_cell(row["arm"], styles),
            arm_cell(row["adaptive"], styles),
            bare_difference(row["difference"], name),
            name.interval(row["low"], row["high"], sign=True) if np.isfinite(row["low"]) else DASH,
            p_cell(row["p_holm"]),
            p_cell(row["equivalence_p_holm"]),
            *budget,
            finding_cell(row),
        )
    return table


def variance_table(variance: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName) -> Table:
    """How far search, training seed and the rest move the score of each arm, as standard deviations.

    Args:
        variance: `variance_components`; a component that no row knows has no column.
        styles: Style of every arm.
        name: The metric.
    """
    parts = [(part, align) for part, align in _PARTS if variance[part].notna().any()]
    table = Table([("arm", "left"), ("searches", "right"), ("seeds", "right"), ("test", "right"), *parts])
    several = variance["condition"].nunique() > 1
    for condition, rows in variance.groupby("condition", sort=False):
        if several:
            table.group(str(condition))
        for row in rows.to_dict("records"):
            digits = 2 if name.is_rate else 4
            table.row(
                arm_cell(row["arm"], styles),
                f"{row['searches']}",
                f"{row['seeds']}",
                name.value(row["mean"]).split("\N{NO-BREAK SPACE}")[0],
                *(number(row[part] * name.factor, digits) for part, _ in parts),
            )
    return table


def identities_table(found: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName) -> Table:
    """Differences with the interval that speaks of new seeds, and the one that speaks of new test identities as well.

    Args:
        found: `identity_intervals`, with `seed_low` and `seed_high` of the same comparisons.
        styles: Style of every arm.
        name: The metric.
    """
    table = Table(
        [
            ("tuned", "left"), ("adaptive", "left"), ("difference", "right"), ("seeds_interval", "center"),
            ("both_interval", "center"), ("shared", "right"),
        ],
        headings={
            "seeds_interval": "95 %, new seeds", "both_interval": "95 %, new seeds and identities",
            "shared": "identities’ part{points}",
        },
    )  # fmt: skip
    several = found["condition"].nunique() > 1
    for condition, rows in found.groupby("condition", sort=False):
        if several:
            table.group(str(condition))
        previous = ""
        for row in rows.to_dict("records"):
            ends = ((row["seed_low"], row["seed_high"]), (row["low"], row["high"]))
            table.row(
                arm_cell(row["arm"], styles) if row["arm"] != previous else "",
                arm_cell(row["adaptive"], styles),
                bare_difference(row["difference"], name),
                *(name.interval(*pair, sign=True) if np.isfinite(pair[0]) else DASH for pair in ends),
                number(row["shared_error"] * name.factor, 2 if name.is_rate else 4),
            )
            previous = row["arm"]
    return table


def protocol_table(found: pd.DataFrame) -> Table:
    """The rules of the protocol and what the record says of each.

    Args:
        found: `protocol_checks`.
    """
    table = Table(
        [("rule", "text"), ("held", "left"), ("evidence", "text")],
        headings={"rule": "rule", "held": "held", "evidence": "evidence"},
    )
    for row in found.to_dict("records"):
        held = str(row["held"])
        table.row(str(row["rule"]), {"text": held, "alarm": "yes"} if held == "no" else held, str(row["evidence"]))
    return table


def listed_table(found: pd.DataFrame) -> Table:
    """A frame of words as it is: a column each, the last ones as running text."""
    names = [str(name) for name in found.columns]
    longest = {name: int(found[name].astype(str).str.len().max()) for name in names}
    columns: list[tuple[str, Align]] = [(name, "text" if longest[name] > _LONG else "left") for name in names]
    table = Table(columns, headings={name: name.replace("_", " ") for name in names})
    for row in found.to_dict("records"):
        table.row(*(str(row[name]) for name in names))
    return table


def rates_table(rates: pd.DataFrame, arms: Sequence[str], styles: Mapping[str, ArmStyle]) -> Table:
    """How often each arm diverged, over all conditions, with Wilson intervals.

    Args:
        rates: `divergence_rates`.
        arms: The arms in their order.
        styles: Style of every arm.
    """
    stages: list[tuple[str, Align]] = [
        (f"{phase}_{what}", "center" if what == "interval" else "right")
        for phase in ("search", "confirm")
        for what in ("diverged", "rate", "interval")
    ]
    table = Table(
        [("arm", "left"), *stages],
        headings={
            **{f"{phase}_diverged": f"{phase}: diverged" for phase in ("search", "confirm")},
            **{f"{phase}_rate": "rate, %" for phase in ("search", "confirm")},
            **{f"{phase}_interval": "95 % interval" for phase in ("search", "confirm")},
        },
    )
    for arm in arms:
        cells = []
        for phase in ("search", "confirm"):
            rows = rates[(rates["arm"] == arm) & (rates["phase"] == phase)]
            count, total = int(rows["diverged"].sum()), int(rows["trials"].sum())
            independent = int(rows["independent"].sum())
            low, high = wilson_interval(count / total * independent, independent) if total else (np.nan, np.nan)
            cells += (
                [f"{count} of {total}", number(100 * count / total, 1), f"{100 * low:.1f} to {100 * high:.1f}"]
                if total
                else [DASH] * 3
            )
        table.row(arm_cell(arm, styles), *cells)
    return table


def crossing_table(crossings: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """Where each adaptive scale that moves first met the scales chosen for each other arm, one row a pair of arms."""
    table = Table(
        [
            ("adaptive", "left"), ("from_s", "right"), ("to_s", "right"), ("tuned", "left"), ("crossed_s", "left"),
            ("crossing", "left"), ("crossing_share", "left"),
        ],
        headings={"from_s": "$s$ from", "to_s": "to"},
    )  # fmt: skip
    several = crossings["condition"].nunique() > 1
    for condition, of_condition in crossings.groupby("condition", sort=False):
        if several:
            table.group(str(condition))
        previous = ""
        for (rival, arm), rows in of_condition.groupby(["adaptive", "arm"], sort=False):
            new = rival != previous
            met = rows["step"].notna().any()
            steps = [f"{step:,.0f}" if np.isfinite(step) else "never" for step in rows["step"]]
            table.row(
                arm_cell(str(rival), styles) if new else "",
                scale_text(rows["first"].iloc[0]) if new else "",
                scale_text(rows["last"].iloc[0]) if new else "",
                arm_cell(str(arm), styles),
                "; ".join(scale_text(s) for s in rows["s"]),
                "; ".join(steps) if met else "never",
                "; ".join(number(100 * share, 0) for share in rows["share"]) if met else DASH,
            )
            previous = str(rival)
    return table


def pooled_cost(cost: pd.DataFrame) -> pd.DataFrame:
    """`cost_table` summed over the conditions, with one empty condition; memory is the largest."""
    sums = dict.fromkeys(cost.select_dtypes("number").columns, "sum") | {"peak_memory_mb": "max"}
    pooled = cost.groupby(["arm", "kind", "phase"], sort=False, as_index=False).agg(sums)
    return pooled.assign(condition="")
