"""What packing says of the margin, and what AdaCos' rule does of itself."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from hpstudy.analysis import scale_text
from hpstudy.reporting._bound_curves import LARGEST_SCALE, BoundCurves
from hpstudy.reporting._sheet_scale import LABEL_SIZE, EdgeLabel, edge_labels, plain_or_power, sheet_styles
from hpstudy.reporting._style import FAINT, INK, MUTED, panel_title

Floats = NDArray[np.floating[Any]]

_TELLING = 2 / 3
"""A known code that permits less than this part of the upper bound is not drawn."""
_MANY = 10**6
"""Numbers of classes up to here leave room for a tick at every power of ten."""
_TINY = 0.05
"""Margins below it are shown on a logarithmic axis."""
CLAMP_DEG, _WIDEST_DEG = 45.0, 60.0
"""The rule takes no θ_med above 45°."""
_ARROWS_DEG = (7.5, 22.5, 37.5, 52.5)
_ARROW_ROOM, _LABELLED_ROOM = 0.45, 0.9
"""Decades of s that an arrow needs, alone and under a label."""
_RUNAWAY = "#b02a37"


def margin_limits_panel(axes: Axes, curves: BoundCurves) -> None:
    """Upper and lower limits of m against C; the left axis is CosFace's cosine, the right one ArcFace's angle."""
    styles = sheet_styles()
    panel_title(axes, "c", f"limits of the margin (dots: C = {curves.num_classes:,})")
    table = curves.packing
    count = table["num_classes"].to_numpy()
    here = table["num_classes"] == curves.num_classes
    cosface, arcface = styles["cosface"].colour, styles["arcface"].colour
    strict = table["strict"]
    axes.set_xscale("log")
    if curves.dim > 2:
        axes.axvspan(curves.dim + 2, 2 * curves.dim, ymax=0.6, color=FAINT, lw=0, alpha=0.7)
    axes.plot(count[strict], table["paper"][strict], color=cosface, lw=2.6, alpha=0.45, label="paper")
    loose = ~strict | ~strict.shift(-1, fill_value=True)
    axes.plot(count[loose], table["paper"][loose], color=cosface, lw=1.1, ls=":", label="paper_loose")
    known = table["known"].where(table["known"] >= _TELLING * table["upper"])
    axes.fill_between(count, known, table["upper"], color=INK, alpha=0.15, lw=0)
    axes.plot(count, known, color=INK, lw=0.7, ls=":", label="known")
    for column, colour, dash in (
        ("upper", INK, "-"),
        ("cosface_lower", cosface, "--"),
        ("arcface_lower", arcface, "--"),
    ):
        axes.plot(count, table[column], color=colour, lw=1.1, ls=dash, label=column)
        axes.plot(count[here], table[column][here], "o", color=colour, ms=3.6, mew=0, clip_on=False, label="_given")
    axes.set_xlim(2, count[-1])
    axes.set_xlabel(f"number of classes C in K = {curves.dim:,} dimensions")
    axes.set_ylabel("CosFace’s $m$ (cosine)")
    axes.xaxis.set_major_locator(FixedLocator([2, *(10.0 ** np.arange(1, 10, 1 if count[-1] < _MANY else 2))]))
    axes.xaxis.set_major_formatter(FuncFormatter(plain_or_power))
    axes.xaxis.set_minor_locator(NullLocator())
    if float(table["upper"][here].iloc[0]) < _TINY:
        axes.set_yscale("log")
        low = 0.5 * float(table["arcface_lower"].min())
        # The upper part is for the legend.
        axes.set_ylim(low, 2.0 * (2.0 / low) ** 0.7)
        decades = int(-np.log10(low))
        angles = 10.0 ** -np.arange(0, decades / 2, 1 + decades // 12)
        axes.yaxis.set_major_locator(FixedLocator(list(10.0 ** -np.arange(0, decades + 1, 1 + decades // 6))))
        axes.yaxis.set_major_formatter(FuncFormatter(plain_or_power))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, 2.1)
        angles = np.array([0.5, 1.0, 1.5, 2.0, 3.0])
    # Ticks at 1 − cos(m): the same heights, read as angles.
    right = axes.secondary_yaxis("right")
    right.set_ylabel("ArcFace’s $m$ (rad)")
    right.set_yticks(2 * np.sin(angles / 2) ** 2, [plain_or_power(angle) for angle in angles])
    right.yaxis.set_minor_locator(NullLocator())
    loosely = "" if strict.all() else " (dotted: ≪)"
    handles = [
        Line2D([], [], color=INK, lw=1.1, label="most in K dimensions, $m^*$"),
        Line2D([], [], color=cosface, lw=2.6, alpha=0.45, label=f"most, CosFace eq. 7{loosely}"),
        Line2D([], [], color=cosface, lw=1.1, ls="--", label="least, CosFace"),
        Line2D([], [], color=arcface, lw=1.1, ls="--", label="least, ArcFace"),
    ]
    if (known < table["upper"]).any():
        handles.insert(1, Line2D([], [], color=INK, lw=0.7, ls=":", label="reached by a known code"))
    axes.legend(handles=handles, loc="upper right", fontsize=LABEL_SIZE, labelspacing=0.25, borderaxespad=0.1)


def rule_panel(axes: Axes, curves: BoundCurves) -> None:
    """Fixed points of dynamic AdaCos against θ_med: stable solid, unstable dashed, shaded where s runs away."""
    styles = sheet_styles()
    fixed, dynamic = styles["fixed"].colour, styles["dynamic"].colour
    panel_title(axes, "d", "where dynamic AdaCos takes $s$")
    start = float(curves.levels["s"].iloc[0])
    branches = {stable: rule_branch(curves, stable=stable) for stable in (True, False)}
    lowest = [value for value in (start, *branches[True][1][:1]) if value > 0]
    axes.set_xlim(0, _WIDEST_DEG)
    axes.set_yscale("log")
    axes.set_ylim(0.3 * min(lowest, default=0.3), LARGEST_SCALE)
    bottom, top = axes.get_ylim()
    theta = np.linspace(0, _WIDEST_DEG, 481)
    edge = np.clip(runaway_edge(curves, theta), bottom, top)
    axes.fill_between(theta, edge, top, color=_RUNAWAY, alpha=0.12, lw=0)
    axes.axhline(start, color=fixed, lw=0.9, label="fixed")
    labels = [EdgeLabel(start, f"fixed {scale_text(start)}", fixed)] if start > 0 else []
    for stable, (angles, s) in branches.items():
        name, dash = ("stable", "-") if stable else ("unstable", "--")
        axes.plot(angles, s, color=dynamic, ls=dash, lw=1.5, label=name)
        if len(s) and angles[-1] == _WIDEST_DEG:
            labels.append(EdgeLabel(float(s[-1]), f"{name} {scale_text(float(s[-1]))}", dynamic))
    edge_labels(axes, labels)
    for angle in _ARROWS_DEG:
        _arrows(axes, branches[True], angle, float(np.interp(angle, theta, edge)))
    if edge[-1] < top / 4:
        axes.text(0.97, 0.965, "$s$ runs away", transform=axes.transAxes, ha="right", va="top",
                  fontsize=LABEL_SIZE, color=_RUNAWAY)  # fmt: skip
    if curves.num_classes == 2:
        axes.text(
            0.03, 0.035, "starts and stays at $s$ = 0", transform=axes.transAxes, fontsize=LABEL_SIZE, color=fixed
        )
    axes.set_xlabel(r"median target angle $\theta_{\mathrm{med}}$ (degrees)")
    axes.set_ylabel("scale $s$")
    axes.xaxis.set_major_locator(FixedLocator([0, 15, 30, 45, 60]))
    axes.yaxis.set_major_formatter(FuncFormatter(plain_or_power))
    axes.yaxis.set_minor_locator(NullLocator())


def rule_branch(curves: BoundCurves, *, stable: bool) -> tuple[Floats, Floats]:
    """θ_med (degrees, rising) and s of one branch; beyond 45° the rule takes 45°, so that the branch goes on level."""
    rows = curves.rule[(curves.rule["stable"] == stable) & (curves.rule["theta_deg"] <= CLAMP_DEG + 1e-9)]
    rows = rows.sort_values("theta_deg")
    theta, s = rows["theta_deg"].to_numpy(dtype=float), rows["s"].to_numpy(dtype=float)
    if curves.rule["theta_deg"].max() > CLAMP_DEG and len(s):
        return np.append(theta, _WIDEST_DEG), np.append(s, s[-1])
    return theta, s


def runaway_edge(curves: BoundCurves, theta: Floats) -> Floats:
    """The scale above which the rule runs away at each θ_med (degrees); 0 where it does from any start."""
    if curves.rule.empty:
        return np.zeros_like(theta)
    angles, s = rule_branch(curves, stable=False)
    edge = np.interp(theta, angles, s, left=np.inf) if len(s) else np.full_like(theta, np.inf)
    nose = float(curves.rule["theta_deg"].max())
    return np.where(np.minimum(theta, CLAMP_DEG) > nose, 0.0, edge)


def _arrows(axes: Axes, stable: tuple[Floats, Floats], angle: float, edge: float) -> None:
    """Which way s moves at one θ_med: up to the stable point, down to it, and up beyond the unstable one."""
    bottom, top = axes.get_ylim()
    settles = edge > bottom
    rest = float(np.interp(angle, *stable)) if settles and len(stable[0]) else bottom
    for low, high, up in ((bottom, rest, True), (rest, edge, False), (edge, top, True)):
        room = float(np.log10(high / low))
        if room < (_LABELLED_ROOM if low == edge else _ARROW_ROOM):
            continue
        half = 10 ** min(0.25, room / 5)
        middle = low * (high / low) ** (0.38 if low == edge else 0.5)
        tail, head = (middle / half, middle * half) if up else (middle * half, middle / half)
        axes.annotate(
            "", (angle, head), (angle, tail),
            arrowprops={"arrowstyle": "-|>", "lw": 0.7, "color": MUTED, "mutation_scale": 6, "shrinkA": 0,
                        "shrinkB": 0},
        )  # fmt: skip
