"""Scales against CosFace's bound: what they scored, whether and when trials converged, how tight the bound was."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from scipy.special import expit

from hpstudy.analysis import MetricName
from hpstudy.analysis.audit import LISTED, OWN_SCALE, POSTERIORS, posterior_tag, scale_bounds
from hpstudy.reporting._style import INK, MUTED, ArmStyle, legend_above, literal, new_figure, panel_title, row_title

ROWS = 4
"""Conditions in a figure."""

_BOUNDS = ("#dfc3b3", "#cd9f86", "#b5754f", "#8a4217")
"""Of the bound at each P_W, darker for more."""
_RUNAWAY = 4.0
"""A scale that set itself is drawn at this many times the largest listed one if it is larger."""
_LOG_FROM = 4.0
"""An axis whose ends are this far apart is logarithmic."""
_STEPS = [1, 2, 5, 10]
_NEVER = 0.94
"""Height in the panel of a mark for scales at which no trial converged."""


def scale_audit_figure(
    audit: pd.DataFrame, shares: pd.DataFrame, fits: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName
) -> Figure:
    """A row for each condition: score, share converged, epochs to converge and tightness, all against s.

    Panels are lettered in this order; the score is left out where no condition has one. Vertical lines are CosFace's
    bound at each P_W of `POSTERIORS`. Scales that set themselves are drawn where they ended.

    Args:
        audit: `scale_audit` of at most `ROWS` conditions, at least one row.
        shares: `convergence_shares`.
        fits: `convergence_fit`.
        styles: Style of every arm.
        name: The metric of the score.
    """
    conditions = audit["condition"].drop_duplicates().to_list()
    scored = bool(audit["score"].notna().any())
    titles = [f"{name.title}{f' ({name.unit})' if name.unit else ''}"] if scored else []
    titles += ["converged (%)", "epochs to converge", "$s$ over eq. 6"]
    pooled = _pooled_style(fits, styles)
    figure = new_figure(0.62 + 1.42 * len(conditions))
    grid = figure.subplots(len(conditions), len(titles), squeeze=False)
    for i, (panels, condition) in enumerate(zip(grid, conditions, strict=True)):
        here, share, fit = (frame[frame["condition"] == condition] for frame in (audit, shares, fits))
        limits = _limits(here, share)
        shown = here.assign(**{key: here[key].clip(upper=limits[1] / 1.1) for key in ("s", "s_low", "s_high")})
        rest = list(panels)
        if scored:
            _scores(rest.pop(0), shown, styles, name.factor)
        _converged(rest[0], shown, share, fit, styles, limits, pooled)
        _epochs(rest[1], shown, share, styles, pooled)
        _tightness(rest[2], shown, styles)
        for axes in panels:
            _scale_axis(axes, limits, int(here["num_classes"].iloc[0]))
        if len(conditions) > 1:
            row_title(panels[0], condition, above_panel_title=i == 0)
        if i == len(conditions) - 1:
            for axes in panels:
                axes.set_xlabel("scale $s$", labelpad=1)
    for axes, letter, title in zip(grid[0], "abcd", titles, strict=False):
        panel_title(axes, letter, title)
    legend_above(figure, _legend(audit, shares, styles, pooled))
    return figure


def _pooled_style(fits: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> ArmStyle:
    """The style of the arm whose scales were fitted; ink where several arms were fitted together."""
    arms = {arm for arms in fits["arms"] for arm in arms.split(", ")} if len(fits) else set()
    return styles[next(iter(arms))] if len(arms) == 1 else ArmStyle(INK, "o", "-", 0.8)


def _limits(audit: pd.DataFrame, shares: pd.DataFrame) -> tuple[float, float]:
    listed = pd.concat([audit.loc[audit["kind"] == LISTED, "s"], shares["s"] if len(shares) else audit["s"].head(0)])
    own = audit.loc[audit["kind"] == OWN_SCALE, ["s", "s_low", "s_high"]].to_numpy(dtype=float).ravel()
    own = own[np.isfinite(own)]
    largest = float(listed.max()) if len(listed) else float(np.median(own)) if own.size else 64.0
    bounds = np.array(list(scale_bounds(int(audit["num_classes"].iloc[0])).values()))
    values = np.concatenate([listed, np.minimum(own, _RUNAWAY * largest), bounds[np.isfinite(bounds)]])
    return float(values.min()) / 1.25, float(values.max()) * 1.25


def _scale_axis(axes: Axes, limits: tuple[float, float], num_classes: int) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlim(*limits)
    octaves = np.arange(np.ceil(np.log2(limits[0])), np.floor(np.log2(limits[1])) + 1)
    step = max(1, -(-len(octaves) // 4))
    axes.xaxis.set_major_locator(FixedLocator(list(2.0 ** octaves[::step])))
    axes.xaxis.set_minor_locator(FixedLocator(list(2.0**octaves)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda s, _: f"{s:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    bounds = scale_bounds(num_classes)
    for posterior, colour in zip(POSTERIORS, _BOUNDS, strict=True):
        bound = bounds[posterior_tag(posterior)]
        if np.isfinite(bound):
            axes.axvline(bound, color=colour, lw=1.0, zorder=0.5)


def _scores(axes: Axes, audit: pd.DataFrame, styles: Mapping[str, ArmStyle], factor: float) -> None:
    known = audit[audit["score"].notna()]
    for row, style in _in_order(known, styles):
        if np.isfinite(row["score_low"]):
            ends = np.array([row["score_low"], row["score_high"]]) * factor
            axes.plot([row["s"]] * 2, ends, color=style.colour, lw=1.0, zorder=2)
    _courses(axes, known, "score", styles, factor)
    if known.empty:
        _nothing(axes)
        return
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS))
    values = known["score"] * factor
    pad = 0.12 * max(float(np.ptp(values)), 0.02 * factor)
    low, high = float(values.min()) - pad, float(values.max()) + pad
    ends = known[["score_low", "score_high"]].to_numpy(dtype=float) * factor
    ends = ends[np.isfinite(ends)]
    if ends.size:
        low, high = min(low, float(ends.min())), max(high, float(ends.max()))
    span = float(np.ptp(values)) + 2 * pad
    low, high = max(low, float(values.min()) - span), min(high, float(values.max()) + span)
    axes.set_ylim(low, high)


def _converged(
    axes: Axes, audit: pd.DataFrame, shares: pd.DataFrame, fit: pd.DataFrame, styles: Mapping[str, ArmStyle],
    limits: tuple[float, float], pooled: ArmStyle,
) -> None:  # fmt: skip
    axes.set_ylim(-6, 106)
    axes.set_yticks([0, 50, 100])
    for row in fit.to_dict("records"):
        _curve(axes, row, limits)
    for row in shares.to_dict("records"):
        axes.plot([row["s"]] * 2, [100 * row["low"], 100 * row["high"]], color=pooled.colour, lw=1.0, zorder=2)
    if len(shares):
        axes.plot(
            shares["s"],
            100 * shares["share"],
            pooled.marker,
            color=pooled.colour,
            ms=3.6,
            mec="white",
            mew=0.3,
            zorder=3,
        )
    own = audit[(audit["kind"] == OWN_SCALE) & audit["share"].notna()]
    _courses(axes, own, "share", styles, 100.0)
    if shares.empty and own.empty:
        _nothing(axes)


def _curve(axes: Axes, fit: Mapping[Any, Any], limits: tuple[float, float]) -> None:
    """The fitted curve and, at one half, the interval of the scale at which half converge; arrows where it is open."""
    if fit["regime"] == "mixed":
        s = np.geomspace(*limits, 200)
        axes.plot(s, 100 * expit(fit["slope"] * np.log(s / fit["s50"])), color=INK, lw=0.9, zorder=1)
    elif fit["regime"] == "separated":
        axes.step([limits[0], fit["s50"], limits[1]], [0, 0, 100], where="pre", color=INK, lw=0.9, zorder=1)
    low, high = fit["s50_low"], fit["s50_high"]
    if low <= 0 and not np.isfinite(high):
        return
    left, right = max(low, limits[0]), min(high, limits[1])
    if left > right:
        left = right = min(max(left, limits[0]), limits[1])
    axes.plot([left, right], [50, 50], color=INK, lw=1.8, solid_capstyle="butt", zorder=2.5)
    for is_open, at, marker in ((low < limits[0], left, "<"), (high > limits[1], right, ">")):
        if is_open:
            axes.plot(at, 50, marker, color=INK, ms=4, mew=0, clip_on=False, zorder=4)


def _epochs(
    axes: Axes, audit: pd.DataFrame, shares: pd.DataFrame, styles: Mapping[str, ArmStyle], pooled: ArmStyle
) -> None:
    own = audit[audit["kind"] == OWN_SCALE]
    known, known_own = shares[shares["epoch"].notna()], own[own["epoch"].notna()]
    for row in known.to_dict("records"):
        axes.plot([row["s"]] * 2, [row["epoch_low"], row["epoch_high"]], color=pooled.colour, lw=1.0, zorder=2)
    axes.plot(
        known["s"], known["epoch"], pooled.marker, color=pooled.colour, ls="-", lw=0.8, ms=3.6, mec="white", mew=0.3,
        zorder=3,
    )  # fmt: skip
    _courses(axes, known_own, "epoch", styles, 1.0)
    never = shares[shares["converged"] == 0]
    axes.plot(
        never["s"], np.full(len(never), _NEVER), "x", color=pooled.colour, ms=3.6, mew=0.9,
        transform=axes.get_xaxis_transform(), zorder=3,
    )  # fmt: skip
    if known.empty and known_own.empty and never.empty:
        _nothing(axes)
        return
    top = pd.concat([known["epoch_high"], known_own["epoch"]]).max()
    axes.set_ylim(0, 1.2 * (float(top) if np.isfinite(top) else 1.0))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, steps=_STEPS))
    if known.empty and known_own.empty:
        axes.set_yticks([])


def _tightness(axes: Axes, audit: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> None:
    known = audit[audit["tightness"].notna()]
    axes.axhline(1.0, color=INK, lw=0.8, zorder=1)
    for row, style in _in_order(known, styles):
        ends = [row["tightness_low"], row["tightness_high"]]
        axes.plot([row["s"]] * 2, ends, color=style.colour, lw=1.0, zorder=2)
        axes.plot(
            row["s"], row["centre_tightness"], style.marker, mfc="white", mec=style.colour, mew=0.8, ms=4, zorder=2.5
        )
    _courses(axes, known, "tightness", styles, 1.0)
    if known.empty:
        _nothing(axes)
        return
    values = known[["tightness", "tightness_low", "tightness_high", "centre_tightness"]].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    low, high = min(1.0, float(values.min())), max(1.2, float(values.max()))
    if high / low > _LOG_FROM:
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_locator(LogLocator(2, numticks=6))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
        axes.set_ylim(low / 1.15, high * 1.2)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS))
        axes.set_ylim(low - 0.06 * (high - low), high + 0.08 * (high - low))


def _courses(axes: Axes, rows: pd.DataFrame, column: str, styles: Mapping[str, ArmStyle], factor: float) -> None:
    """A line through the listed scales of each arm, and a mark for each scale that set itself, with its extremes."""
    for arm, of_arm in rows[rows["kind"] == LISTED].groupby("arm", sort=False):
        style = styles[str(arm)]
        axes.plot(
            of_arm["s"], of_arm[column] * factor, style.marker, color=style.colour, ls=style.line, lw=0.9, ms=3.6,
            mec="white", mew=0.3, zorder=3,
        )  # fmt: skip
    for row, style in _in_order(rows[(rows["kind"] == OWN_SCALE) & np.isfinite(rows["s"])], styles):
        value = row[column] * factor
        axes.plot([row["s_low"], row["s_high"]], [value, value], color=style.colour, lw=1.0, zorder=3.5)
        axes.plot(row["s"], value, style.marker, color=style.colour, ms=5.2, mec="white", mew=0.5, zorder=4)


def _in_order(rows: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> list[tuple[dict[Any, Any], ArmStyle]]:
    return [(row, styles[row["arm"]]) for row in rows.to_dict("records")]


def _nothing(axes: Axes) -> None:
    axes.set_yticks([])
    axes.annotate(
        "not measured", (0.5, 0.5), xycoords="axes fraction", ha="center", va="center", fontsize=7.5, color=MUTED,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _legend(
    audit: pd.DataFrame, shares: pd.DataFrame, styles: Mapping[str, ArmStyle], pooled: ArmStyle
) -> list[Line2D]:
    shown = audit[audit["kind"] == LISTED]["arm"].to_list() + audit[audit["kind"] == OWN_SCALE]["arm"].to_list()
    handles = [
        Line2D([], [], color=styles[arm].colour, marker=styles[arm].marker, ls="none", ms=4.5, label=literal(arm))
        for arm in styles
        if arm in shown
    ]
    if pooled.colour == INK and len(shares):
        handles.append(Line2D([], [], color=INK, marker="o", ls="none", ms=3.6, label="arms with a given $s$ together"))
    if audit["centre_tightness"].notna().any():
        hollow = Line2D([], [], color=MUTED, marker="o", mfc="white", ls="none", ms=4.5, label="from class centres")
        handles.append(hollow)
    told = ", ".join(f"{posterior:g}" for posterior in POSTERIORS)
    return [*handles, Line2D([], [], color=_BOUNDS[2], lw=1.4, label=f"eq. 6 at $P_W$ = {told}, light to dark")]
