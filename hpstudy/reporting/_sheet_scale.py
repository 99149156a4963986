"""The scale that a posterior needs, and that a margin needs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from hpstudy.reporting._bound_curves import MARGIN_KINDS, BoundCurves
from hpstudy.reporting._style import FAINT, INK, MUTED, ArmStyle, arm_styles, panel_title, spread_labels

LABEL_SIZE = 7.5
LABEL_GAP = 0.068
"""Of the height of a panel, between the labels of two curves."""

_TITLES = {"cosface": "CosFace", "arcface": "ArcFace"}
_UNITS = {"cosface": "", "arcface": " rad"}
Dash = str | tuple[int, tuple[float, ...]]
_DASHES: tuple[Dash, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (2.5, 1.2)),
    (0, (5, 1.2, 1, 1.2)),
    (0, (1, 1)),
    (0, (8, 1.5, 1, 1.5, 1, 1.5)),
)
_SAME = 0.01
"""Curves that differ by less are drawn and named as one."""
_HEADROOM = 3.5
_CROWDED = 10.0
"""Where the sharper bound is so many times eq. 6, the axis is logarithmic."""
_RISE = 14.0
"""How far above its value without a margin the needed scale is followed."""
_TICK_ROOM = 0.14
"""Of the width of a panel, for the label of a tick."""
_AXIS_POSTERIORS = (1e-6, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1 - 1e-6, 1 - 1e-8)


def sheet_styles() -> Mapping[str, ArmStyle]:
    """The looks that the report would give these losses and rules as arms."""
    return arm_styles({"cosface": "searched", "arcface": "searched", "fixed": "adaptive", "dynamic": "adaptive"})


@dataclass(frozen=True, slots=True)
class EdgeLabel:
    """A curve's name, written beyond the right edge at the height where it ends."""

    height: float
    text: str
    colour: str


def edge_labels(axes: Axes, labels: Sequence[EdgeLabel]) -> None:
    """Names curves at the right edge, moved apart where they would overlap; arrows lead to those above the panel."""
    to_axes, top = axes.transScale + axes.transLimits, axes.get_ylim()[1]
    places = [float(to_axes.transform((axes.get_xlim()[0], min(label.height, top)))[1]) for label in labels]
    for label, start, place in zip(labels, places, spread_labels(places, LABEL_GAP, 0.0, 1.0), strict=True):
        axes.plot(
            (1.0, 1.035), (start, place), color=label.colour, lw=0.6, transform=axes.transAxes, clip_on=False,
            label="_leader",
        )  # fmt: skip
        outside = np.isfinite(label.height) and label.height > top
        axes.annotate(
            f"{label.text} ↑" if outside else label.text, (1.035, place), xycoords="axes fraction",
            xytext=(2, 0), textcoords="offset points", va="center", ha="left", fontsize=LABEL_SIZE, color=label.colour,
        )  # fmt: skip


def plain_or_power(value: float, _: object = None) -> str:
    """The text of a tick: plain digits in the middle, a power of ten at either end."""
    if 1e-3 < value < 1e4:
        return f"{value:,g}"
    return f"$10^{{{np.log10(value):.0f}}}$" if value else "0"


def _power(value: float) -> str:
    """Four digits, or two and a power of ten for what is tiny."""
    if value >= 1e-3:
        return f"{value:.4g}"
    exponent = int(np.floor(np.log10(value)))
    return f"{value / 10.0**exponent:.1f}$\\times 10^{{{exponent}}}$"


def posterior_panel(axes: Axes, curves: BoundCurves) -> None:
    """The bounds on s against P_W, with the given posteriors as dots and AdaCos' scales as levels."""
    styles = sheet_styles()
    panel_title(axes, "a", "scale that a posterior needs")
    by_curve = {str(name): rows for name, rows in curves.scale.groupby("curve")}
    grid = by_curve["eq6"]["posterior"].to_numpy()
    paper, aware = (by_curve[name]["s"].clip(lower=0).to_numpy() for name in ("eq6", "aware"))
    bottom, top = 0.0, _top(curves, float(aware[-1]))
    axes.set_xscale("logit", one_half="0.5")
    axes.yaxis.set_major_locator(MaxNLocator(8, steps=(1, 2, 5, 10)))
    if aware[-1] > _CROWDED * max(float(paper[-1]), 1.0):
        bottom, top = 0.3 * float(paper[paper > 0][0]), 3 * top
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(plain_or_power))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlim(grid[0], grid[-1])
    axes.set_ylim(bottom, top)
    axes.fill_between(grid, bottom, np.maximum(aware, bottom), color=FAINT, alpha=0.5, lw=0)
    drawn: list[tuple[pd.DataFrame, str, Dash, str]] = [(by_curve["eq6"], INK, "-", "CosFace eq. 6")]
    if (aware - paper).max() > _SAME * max(float(aware.max()), 1.0):
        drawn.append((by_curve["aware"], INK, "--", f"sharper in K = {curves.dim:,}"))
    for loss in MARGIN_KINDS:
        for margin, dash in zip(curves.margins, _DASHES, strict=False):
            rows = by_curve[loss][by_curve[loss]["margin"] == margin]
            drawn.append((rows, styles[loss].colour, dash, f"{_TITLES[loss]} {margin:g}{_UNITS[loss]}"))
    labels = [_draw_bound(axes, *curve, curves.posteriors) for curve in drawn]
    edge_labels(axes, labels + _draw_levels(axes, curves, styles))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(FixedLocator(_posterior_ticks(grid[0], grid[-1])))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda p, _: _posterior_text(p)))
    axes.set_xlabel(r"posterior of the class centres, $P_W$")
    axes.set_ylabel("scale $s$")


def _draw_bound(
    axes: Axes, rows: pd.DataFrame, colour: str, dash: Dash, name: str, posteriors: Sequence[float]
) -> EdgeLabel:
    """One curve, with dots at the given posteriors."""
    x, s = rows["posterior"].to_numpy(), rows["s"].to_numpy()
    visible = (s >= axes.get_ylim()[0]) & np.isfinite(s)
    axes.plot(
        x[visible], s[visible], color=colour, ls=dash, lw=1.3 if colour == INK else 1.1, label=rows["curve"].iloc[0]
    )
    given = visible & np.isin(x, posteriors)
    axes.plot(x[given], s[given], "o", color=colour, ms=2.6, mew=0, label="_given")
    return EdgeLabel(float(s[-1]), name if np.isfinite(s[-1]) else f"{name}: none", colour)


def _draw_levels(axes: Axes, curves: BoundCurves, styles: Mapping[str, ArmStyle]) -> list[EdgeLabel]:
    if curves.num_classes == 2:
        return [EdgeLabel(0.0, "AdaCos stays at 0", styles["fixed"].colour)]
    labels = []
    for rule, degrees, s, _ in curves.levels.dropna(subset="s").itertuples(index=False):
        style = styles["fixed" if rule == "fixed" else "dynamic"]
        axes.axhline(s, color=style.colour, lw=0.9, ls="-" if rule == "fixed" else "--", zorder=1.5, label=rule)
        text = f"AdaCos {degrees:g}°" if rule == "dynamic" else f"AdaCos {rule}"
        labels.append(EdgeLabel(float(s), text, style.colour))
    return labels


def _top(curves: BoundCurves, bound: float) -> float:
    """Above every curve that doesn't leave the others far below it."""
    most = _HEADROOM * max(bound, 1.0)
    ends = [*curves.scale.groupby(["curve", "margin"], dropna=False)["s"].last(), *curves.levels["s"]]
    return 1.05 * max(end for end in ends if end <= most)


def _posterior_ticks(low: float, high: float) -> list[float]:
    """Posteriors to label, from 1/2 outwards, as many as have room."""

    def log_odds(posterior: float) -> float:
        return float(np.log(posterior) - np.log1p(-posterior))

    gap = _TICK_ROOM * (log_odds(high) - log_odds(low))
    kept: list[float] = []
    for tick in sorted(_AXIS_POSTERIORS, key=lambda posterior: abs(log_odds(posterior))):
        if low <= tick <= high and all(abs(log_odds(tick) - log_odds(other)) >= gap for other in kept):
            kept.append(tick)
    return sorted(kept)


def _posterior_text(posterior: float) -> str:
    if posterior < 1e-3:
        return f"$10^{{{np.log10(posterior):.0f}}}$"
    if posterior > 0.99995:
        return f"$1{{-}}10^{{{np.log10(1 - posterior):.0f}}}$"
    return f"{posterior:g}"


def needed_scale_panel(axes: Axes, curves: BoundCurves) -> None:
    """The joint bounds on s against m for each posterior; dotted beyond what prototypes permit."""
    styles = sheet_styles()
    panel_title(axes, "b", "scale that a margin needs (dotted: beyond $m^*$)")
    start = {posterior: s for posterior, s in _without_margin(curves).items() if s > 0}
    axes.set_xlabel("margin $m$ (CosFace: a cosine; ArcFace: rad)")
    axes.set_ylabel("scale $s$")
    width = float(curves.limits["asymptote"].max())
    taken = _label_share(start)
    axes.set_xlim(-taken / (1 - taken) * 1.15 * width, 1.15 * width)
    axes.set_yscale("log")
    least, most = (min(start.values()), max(start.values())) if start else (1.0, 10.0)
    axes.set_ylim(0.62 * least * (least / (_RISE * most)) ** 0.22, _RISE * most)
    for row, (loss, permitted, _, exact) in enumerate(curves.limits.itertuples(index=False)):
        style = styles[str(loss)]
        for posterior in start:
            of_loss = curves.needed[(curves.needed["loss"] == loss) & (curves.needed["posterior"] == posterior)]
            m, s = of_loss["margin"].to_numpy(), of_loss["s"].to_numpy()
            axes.plot(m[m <= permitted], s[m <= permitted], color=style.colour, lw=1.1, label=loss)
            axes.plot(m[m >= permitted], s[m >= permitted], color=style.colour, lw=0.8, ls=":", label="_beyond")
            given = np.isin(m, curves.margins)
            axes.plot(m[given], s[given], "o", color=style.colour, ms=2.6, mew=0, label="_given")
        axes.axvline(permitted, color=style.colour, lw=0.8, ls="--", zorder=1, label="_permitted")
        # Below the curves, on the side with more room.
        left = permitted > 0.35 * width
        axes.annotate(
            f"{_TITLES[str(loss)]} $m^*$ {'=' if exact else '≤'} {_power(permitted)}{_UNITS[str(loss)]}",
            (permitted, 0.02 + 0.075 * row),
            xycoords=axes.get_xaxis_transform(), xytext=(-3 if left else 3, 0), textcoords="offset points",
            va="bottom", ha="right" if left else "left", fontsize=LABEL_SIZE, color=style.colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
    if not start:
        axes.text(0.5, 0.5, "any scale will do", transform=axes.transAxes, ha="center", color=MUTED)
    _name_posteriors(axes, start, width)
    axes.xaxis.set_major_locator(FixedLocator(np.arange(0, 1.15 * width, 0.5 if width < 2.5 else 1.0).tolist()))
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(plain_or_power))
    axes.yaxis.set_minor_locator(NullLocator())


def _label_share(posteriors: Iterable[float]) -> float:
    """How much of the panel's width the names of the posteriors take."""
    return 0.24 + 0.027 * max((len(f"{posterior:.10g}") for posterior in posteriors), default=1)


def _without_margin(curves: BoundCurves) -> dict[float, float]:
    first = curves.needed[curves.needed["margin"] == 0].drop_duplicates("posterior")
    return dict(zip(first["posterior"], first["s"], strict=True))


def _name_posteriors(axes: Axes, start: Mapping[float, float], width: float) -> None:
    """Left of m = 0, where both losses need what eq. 6 says."""
    to_axes = axes.transScale + axes.transLimits
    places = [float(to_axes.transform((0.0, s))[1]) for s in start.values()]
    end = -0.06 * width
    for posterior, at, place in zip(start, places, spread_labels(places, LABEL_GAP, 0.0, 0.98), strict=True):
        axes.plot((end, 0), (place, at), color=MUTED, lw=0.5, transform=axes.get_xaxis_transform(), label="_leader")
        axes.annotate(
            f"$P_W$ = {posterior:.10g}", (end, place), xycoords=axes.get_xaxis_transform(), xytext=(-2, 0),
            textcoords="offset points", va="center", ha="right", fontsize=LABEL_SIZE, color=MUTED,
        )  # fmt: skip
