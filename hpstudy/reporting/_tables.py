"""Tables of text: column keys, alignments, headings and cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from hpstudy.analysis import MetricName, p_text, scale_text, sets_own_scale, value_text
from hpstudy.reporting._headings import HEADINGS, spans
from hpstudy.reporting._style import ArmStyle

Cell = str | dict[str, str]
Align = Literal["left", "right", "center", "text"]
"""`text` is left-aligned and breaks into lines."""

DASH = "–"


@dataclass(slots=True)
class Table:
    """A table of text.

    Args:
        columns: Key and alignment of each column.
        rows: Filled by `row` and `group`.
        headings: Headings of keys that `HEADINGS` lacks.
    """

    columns: Sequence[tuple[str, Align]]
    rows: list[dict[str, Any]] = field(default_factory=list)
    headings: Mapping[str, str] = field(default_factory=dict)

    def group(self, title: str) -> None:
        """Starts a group of rows under a title."""
        self.rows.append({"group": title})

    def row(self, *cells: Cell) -> None:
        """Adds a row."""
        assert len(cells) == len(self.columns), f"{len(cells)} cells for {len(self.columns)} columns"
        self.rows.append({"cells": list(cells)})

    def heading(self, key: str, words: Mapping[str, str]) -> str:
        """Heading of a column, with the study's words filled in."""
        return (self.headings.get(key) or HEADINGS[key]).format_map(words)

    def as_json(self, words: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The table for the template; with its headings if the `words` are given that the study puts into them."""
        keys, aligns = [key for key, _ in self.columns], [align for _, align in self.columns]
        content = {"keys": keys, "aligns": aligns, "rows": self.rows}
        return content if words is None else content | {"headings": [spans(self.heading(key, words)) for key in keys]}


def number(value: float, digits: int = 2) -> str:
    """A number with a true minus sign; a dash where there is none."""
    return f"{value:,.{digits}f}".replace("-", "−") if np.isfinite(value) else DASH


def significant(value: float, digits: int = 3) -> str:
    """A number to so many significant digits; a dash where there is none."""
    if not np.isfinite(value):
        return "∞" if value == np.inf else DASH
    return f"{value:.{digits}g}" if abs(value) < 1e4 else f"{value:.1e}"


def arm_cell(arm: str, styles: Mapping[str, ArmStyle]) -> Cell:
    """An arm's name with its colour."""
    return {"text": arm, "colour": styles[arm].colour} if arm in styles else arm


def p_cell(value: float) -> str:
    """A p value without its letter."""
    return p_text(value).removeprefix("p = ").replace("p < ", "< ") if np.isfinite(value) else DASH


def _groups(frame: pd.DataFrame, table: Table) -> list[tuple[str, pd.DataFrame]]:
    """Rows per condition, each to be announced by a title where there are several."""
    names = frame["condition"].drop_duplicates().to_list() if len(frame) else []
    return [(name if len(names) > 1 else "", frame[frame["condition"] == name]) for name in names]


def _optional(wanted: bool, key: str, align: Align = "left") -> list[tuple[str, Align]]:
    return [(key, align)] if wanted else []


def bare_difference(difference: float, name: MetricName) -> str:
    """A difference without its unit, which the heading has."""
    return name.difference(difference).replace(f"\N{NO-BREAK SPACE}{name.difference_unit}", "")


def finding_cell(row: Mapping[Any, Any]) -> Cell:
    """The word of a comparison; bold where something was found."""
    if row["word"] == "diverged":
        return str(row["reason"]).removesuffix(" at every confirm seed")
    plain = row["word"] in ("not shown", "not compared")
    return str(row["word"]) if plain else {"text": str(row["word"]), "weight": "bold"}


def _chance_of_improvement(row: Mapping[Any, Any]) -> str:
    """Share of pairs that the tuned arm won and its interval, in per cent."""
    if not np.isfinite(row["improvement"]):
        return DASH
    share, low, high = (f"{100 * row[key]:.0f}" for key in ("improvement", "improvement_low", "improvement_high"))
    return f"{share} ({low} to {high})"


def comparison_table(comparisons: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName) -> Table:
    """Arms with a chosen or given (s, m) against adaptive ones, one row a comparison."""
    table = Table(
        [
            ("tuned", "left"), ("adaptive", "left"), ("difference", "right"), ("interval", "center"),
            ("improvement", "center"), ("p_holm", "right"), ("p_equivalence", "right"), ("finding", "left"),
        ]
    )  # fmt: skip
    for title, rows in _groups(comparisons, table):
        if title:
            table.group(title)
        previous = ""
        for row in rows.to_dict("records"):
            table.row(
                arm_cell(row["arm"], styles) if row["arm"] != previous else "",
                arm_cell(row["adaptive"], styles),
                bare_difference(row["difference"], name),
                name.interval(row["low"], row["high"], sign=True) if np.isfinite(row["low"]) else DASH,
                _chance_of_improvement(row),
                p_cell(row["p_holm"]),
                p_cell(row["equivalence_p_holm"]),
                finding_cell(row),
            )
            previous = row["arm"]
    return table


def arms_table(
    summary: pd.DataFrame, settings: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName
) -> Table:
    """What each arm was set to, what its search promised, and what fresh seeds gave."""
    others = [c for c in settings.columns if c.startswith("param/") and settings[c].notna().any()]
    table = Table(
        [
            ("arm", "left"), ("kind", "left"), ("s", "right"), ("m", "right"),
            *_optional(bool(others), "other"),
            ("search_best", "right"), ("fresh", "right"), ("test", "right"), ("interval", "center"), ("n", "right"),
        ]
    )  # fmt: skip

    def bare(value: float) -> str:
        return name.value(value).replace(f"\N{NO-BREAK SPACE}{name.unit}", "") if np.isfinite(value) else DASH

    for title, rows in _groups(summary, table):
        if title:
            table.group(title)
        for row in rows.sort_values("mean", ascending=False, na_position="last", kind="stable").to_dict("records"):
            lanes = settings[(settings["condition"] == row["condition"]) & (settings["arm"] == row["arm"])]
            unit = {"rad": " rad", "factor": " ×"}.get(str(lanes["m_unit"].iloc[0]), "")
            by_rule = "by rule" if sets_own_scale(str(row["loss"])) else DASH
            points = [
                ", ".join(f"{c.rsplit('/')[-1]} = {value_text(lane[c])}" for c in others if pd.notna(lane[c]))
                for lane in lanes.to_dict("records")
            ]
            table.row(
                arm_cell(row["arm"], styles),
                row["kind"],
                "; ".join(scale_text(s) for s in lanes["s"] if np.isfinite(s)) or by_rule,
                "; ".join(number(m) + unit for m in lanes["m"] if np.isfinite(m)) or DASH,
                *(["; ".join(point for point in points if point) or DASH] if others else []),
                bare(row["search_best"]),
                bare(row["confirm_objective"]),
                bare(row["mean"]),
                name.interval(row["low"], row["high"]) if np.isfinite(row["low"]) else DASH,
                f"{row['n']}" + (f" ({row['diverged']} diverged)" if row["diverged"] else ""),
            )
    return table


def time_unit(cost: pd.DataFrame) -> tuple[float, str]:
    """What hours are multiplied with to be shown, and the unit: minutes where no arm and phase took five hours."""
    return (1.0, "h") if cost["wall_hours"].max() >= 5 else (60.0, "min")


def cost_rows(cost: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """Trials, epochs and hours (or minutes) of each arm's search and confirm phase."""
    factor, _ = time_unit(cost)
    gpu = bool((cost["gpu_hours"] > 0).any())
    table = Table(
        [
            ("arm", "left"), ("phase", "left"), ("trials", "right"), ("completed", "right"), ("pruned", "right"),
            ("diverged", "right"), ("failed", "right"), ("epochs", "right"), ("wall", "right"), ("cpu", "right"),
            *_optional(gpu, "gpu", "right"),
        ]
    )  # fmt: skip
    hours = ["wall_hours", "cpu_hours", *(["gpu_hours"] if gpu else [])]
    for title, rows in _groups(cost, table):
        if title:
            table.group(title)
        previous = ""
        for row in rows.to_dict("records"):
            table.row(
                arm_cell(row["arm"], styles) if row["arm"] != previous else "",
                row["phase"],
                *(
                    f"{row[key]:,}" if row[key] else DASH
                    for key in ("trials", "completed", "pruned", "diverged", "failed")
                ),
                f"{row['epochs']:,}",
                *(number(row[key] * factor, 1) for key in hours),
            )
            previous = row["arm"]
    total = cost[["trials", "completed", "pruned", "diverged", "failed", "epochs", *hours]].sum()
    table.rows.append(
        {
            "total": True,
            "cells": [
                "all arms",
                "",
                *(f"{int(v):,}" for v in total.iloc[:6]),
                *(number(v * factor, 1) for v in total.iloc[6:]),
            ],
        }
    )
    return table


def sizes_table(sizes: Sequence[Mapping[str, str]]) -> Table:
    """The bounds of theory for each number of classes and dimensions."""
    keys = ("classes", "dim", "scale", "paper", "sharp")
    columns = ("classes", "dim", "least_s", "paper_m", "most_m")
    table = Table([(column, "right") for column in columns])
    for size in sizes:
        table.row(*(size[key] for key in keys))
    return table


def bounds_table(audit: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """The audit of the bounds, summed up per arm."""
    table = Table(
        [
            ("arm", "left"), ("audited", "right"), ("final_s", "right"), ("posterior", "right"),
            ("tightness_min", "right"), ("tightness_median", "right"), ("m", "right"), ("sharp_m", "right"),
            ("permitted_m", "right"), ("violations", "right"),
        ]
    )  # fmt: skip
    for title, rows in _groups(audit, table):
        if title:
            table.group(title)
        for arm, of_arm in rows.groupby("arm", sort=True):
            violations = int(of_arm["violation"].sum())
            with_bound = of_arm.dropna(subset=["sharp_margin_bound"])
            table.row(
                arm_cell(str(arm), styles),
                str(int(of_arm["tightness"].notna().sum())),
                span(of_arm["s"], scale_text),
                span(of_arm["posterior_min"]),
                number(of_arm["tightness"].min()),
                number(of_arm["tightness"].median()),
                span(with_bound["m"], number),
                number(with_bound["sharp_margin_bound"].median(), 3) if len(with_bound) else DASH,
                number(with_bound["permitted_margin"].median()) if len(with_bound) else DASH,
                {"text": f"{violations}", "alarm": "yes"} if violations else "0",
            )
    return table


def span(values: pd.Series, shown: Callable[[float], str] = significant) -> str:
    """The smallest and the largest of some numbers; a dash where there is none."""
    finite = values[np.isfinite(values)]
    if finite.empty:
        return DASH
    low, high = shown(finite.min()), shown(finite.max())
    return low if low == high else f"{low} to {high}"


def divergence_table(diverged: pd.DataFrame, most: int) -> Table:
    """The first `most` diverged trials, whose ids name arm, condition and phase."""
    table = Table([("trial", "text"), ("s", "right"), ("m", "right"), ("step", "right"), ("cause", "text")])
    for row in diverged.head(most).to_dict("records"):
        table.row(
            {"text": row["trial_id"]},
            scale_text(row["s"]) if np.isfinite(row["s"]) else "by rule",
            number(row["m"]),
            f"{row['diverged_step']:,}" if row["diverged_step"] >= 0 else DASH,
            row["cause"],
        )
    return table
