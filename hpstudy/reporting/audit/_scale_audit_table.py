"""Tables of the audit of CosFace's bound on s."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis import MetricName, scale_text
from hpstudy.analysis.audit import BEST_LISTED, OWN_SCALE, posterior_text
from hpstudy.reporting._style import ArmStyle
from hpstudy.reporting._tables import DASH, Align, Cell, Table, arm_cell, bare_difference, number, p_cell

_HEADINGS = {
    "arm": "arm",
    "s": "$s$",
    "over": "over eq. 6",
    "allowed": "$P_W$ allowed",
    "realised": "realised",
    "tightness": "tightness",
    "converged": "converged",
    "epoch": "epochs",
    "score": "score",
    "interval": "95 % interval",
    "diverged": "diverged",
    "which": "scale",
    "alike": "not told from it",
    "over_p50": "at 0.5",
    "over_p90": "at 0.9",
    "over_p99": "at 0.99",
    "over_p999": "at 0.999",
    "difference": "to the best",
    "condition": "condition",
    "trials": "trials",
    "scales": "$s$ tried",
    "half": "half at $s$",
    "half_interval": "95 % interval",
    "half_over": "over eq. 6 at 0.9",
    "most": "95 % at $s$",
    "most_interval": "95 % interval",
    "posterior": "$P_W$",
    "bound": "eq. 6",
    "below": "converged below",
    "above": "above",
    "epochs_both": "epochs below, above",
    "p_holm": "$p$ (Holm)",
    "least_all": "least $s$, all",
}


def scale_audit_table(audit: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName) -> Table:
    """Every listed scale, and every scale that set itself, against eq. 6, one row each.

    Args:
        audit: `scale_audit`; columns that no row knows are left out.
        styles: Style of every arm.
        name: The metric of the score.
    """
    wanted: list[tuple[str, Align, bool]] = [
        ("arm", "left", True), ("s", "right", True), ("over", "right", True), ("allowed", "right", True),
        ("realised", "right", _any(audit, "prototype_log_odds")),
        ("tightness", "right", _any(audit, "tightness")), ("converged", "right", _any(audit, "share")),
        ("epoch", "right", _any(audit, "epoch")), ("score", "right", _any(audit, "score")),
        ("diverged", "right", len(audit) > 0 and bool((audit["diverged"] > 0).any())),
    ]  # fmt: skip
    kept = [(key, align) for key, align, there in wanted if there]
    table = Table(kept, headings=_HEADINGS)
    for condition, rows in audit.groupby("condition", sort=False):
        if audit["condition"].nunique() > 1:
            table.group(str(condition))
        previous = ""
        for row in rows.to_dict("records"):
            cells = _audit_cells(row, styles, name) | ({"arm": ""} if row["arm"] == previous else {})
            table.row(*(cells[key] for key, _ in kept))
            previous = row["arm"]
    return table


def _audit_cells(row: Mapping[Any, Any], styles: Mapping[str, ArmStyle], name: MetricName) -> dict[str, Cell]:
    tightness: Cell = number(row["tightness"])
    if row["violations"]:
        tightness = {"text": number(row["tightness_low"], 4), "alarm": "yes"}
    return {
        "arm": arm_cell(row["arm"], styles),
        "s": _scales(row),
        "over": number(row["ratio_p90"]),
        "allowed": posterior_text(row["implied_log_odds"]),
        "realised": posterior_text(row["prototype_log_odds"]),
        "tightness": tightness,
        "converged": f"{row['converged']} of {row['judged']}" if row["judged"] else DASH,
        "epoch": f"{row['epoch']:g}" if np.isfinite(row["epoch"]) else DASH,
        "score": _score(row, name),
        "diverged": f"{row['diverged']}" if row["diverged"] else DASH,
    }


def best_scales_table(best: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName) -> Table:
    """The best listed scale of each condition, and the scales that set themselves.

    Args:
        best: `best_scales`.
        styles: Style of every arm.
        name: The metric of the score.
    """
    tags = ("p50", "p90", "p99", "p999")
    table = Table(
        [
            ("which", "left"), ("s", "right"), ("alike", "right"),
            *((f"over_{tag}", "right") for tag in tags),
            ("allowed", "right"), ("score", "right"), ("difference", "right"),
        ],
        headings=_HEADINGS,
    )  # fmt: skip
    for condition, rows in best.groupby("condition", sort=False):
        if best["condition"].nunique() > 1:
            table.group(str(condition))
        for row in rows.to_dict("records"):
            table.row(
                _which(row, styles),
                _scales(row) + {"lowest": " (lowest)", "highest": " (highest)"}.get(row["edge"], ""),
                _alike(row),
                *(number(row[f"ratio_{tag}"]) for tag in tags),
                posterior_text(row["implied_log_odds"]),
                _score(row, name),
                bare_difference(row["difference"], name)
                if np.isfinite(row.get("difference", np.nan))
                else DASH,
            )  # fmt: skip
    return table


def _which(row: Mapping[Any, Any], styles: Mapping[str, ArmStyle]) -> Cell:
    if row["kind"] == OWN_SCALE:
        return arm_cell(row["arm"], styles)
    return {"text": f"best\N{NO-BREAK SPACE}{row['arm']}", "colour": styles[row["arm"]].colour}


def _alike(row: Mapping[Any, Any]) -> str:
    if row["kind"] != BEST_LISTED or not np.isfinite(row["alike"]):
        return DASH
    if row["alike"] == 0:
        return "none"
    return f"{scale_text(row['alike_low'])} to {scale_text(row['alike_high'])}"


def convergence_table(fits: pd.DataFrame) -> Table:
    """From which scale trials converge, a row a condition.

    Args:
        fits: `convergence_fit`.
    """
    table = Table(
        [
            ("condition", "left"), ("scales", "center"), ("converged", "right"), ("half", "right"),
            ("half_interval", "center"), ("half_over", "center"), ("most", "right"), ("most_interval", "center"),
        ],
        headings=_HEADINGS,
    )  # fmt: skip
    for row in fits.to_dict("records"):
        table.row(
            row["condition"],
            f"{scale_text(row['s_min'])} to {scale_text(row['s_max'])}",
            f"{row['converged']} of {row['trials']}",
            _scale(row["s50"]),
            _ends(row["s50_low"], row["s50_high"]),
            _ends(row["s50_p90_low"], row["s50_p90_high"]),
            _scale(row["s95"]),
            _ends(row["s95_low"], row["s95_high"]),
        )
    return table


def below_bound_table(below: pd.DataFrame) -> Table:
    """What converged below eq. 6 and above it, a row per condition and P_W.

    Args:
        below: `below_bound`.
    """
    table = Table(
        [
            ("condition", "left"), ("posterior", "right"), ("bound", "right"), ("below", "right"),
            ("interval", "center"), ("above", "right"), ("epochs_both", "center"), ("p_holm", "right"),
            ("least_all", "right"),
        ],
        headings=_HEADINGS,
    )  # fmt: skip
    previous = ""
    for row in below.to_dict("records"):
        new = row["condition"] != previous
        table.row(
            row["condition"] if new else "",
            f"{row['posterior']:g}",
            scale_text(row["bound"]),
            f"{row['below_converged']} of {row['below']}" if row["below"] else DASH,
            f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %" if row["below"] else DASH,
            f"{row['above_converged']} of {row['above']}" if row["above"] else DASH,
            f"{_epoch(row['epoch_below'])}, {_epoch(row['epoch_above'])}",
            p_cell(row["p_holm"]),
            _scale(row["least_all"]) if new else "",
        )
        previous = row["condition"]
    return table


def _score(row: Mapping[Any, Any], name: MetricName) -> str:
    """A mean and half its 95 % interval, without the unit."""
    if not np.isfinite(row["score"]):
        return DASH
    mean, half = (
        name.magnitude(value).replace(f"\N{NO-BREAK SPACE}{name.difference_unit}", "")
        for value in (row["score"], 0.5 * (row["score_high"] - row["score_low"]))
    )
    return mean if half == DASH else f"{mean}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{half}"


def _scales(row: Mapping[Any, Any]) -> str:
    """A scale, or the span of those that trials ended at."""
    if not np.isfinite(row["s"]):
        return DASH
    ends = scale_text(row["s_low"]), scale_text(row["s_high"])
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _scale(s: float) -> str:
    return scale_text(s) if np.isfinite(s) else DASH


def _ends(low: float, high: float) -> str:
    """An interval of scales, or the one end that it has."""
    closed = scale_text(low) != scale_text(0.0)
    if closed and np.isfinite(high):
        return f"{scale_text(low)} to {scale_text(high)}"
    return f"> {scale_text(low)}" if closed else f"< {scale_text(high)}" if np.isfinite(high) else DASH


def _epoch(epoch: float) -> str:
    return "never" if epoch == np.inf else f"{epoch:g}" if np.isfinite(epoch) else DASH


def _any(frame: pd.DataFrame, column: str) -> bool:
    return column in frame and bool(frame[column].notna().any())
