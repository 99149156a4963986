"""P(θ) as AdaCos argues from it: for scales and for margins, with the angle at which it falls fastest."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpstudy.reporting._sheet_scale import sheet_styles
from hpstudy.reporting._style import FAINT, INK, MUTED, new_figure, panel_title, row_title
from hpstudy.theory import MarginKind, adacos_fixed_scale, steepest_angle, target_posterior

SCALES = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
SCALE_OF_MARGINS = 30.0
MARGINS = {"cosface": (0.0, 0.2, 0.35, 0.5), "arcface": (0.0, 0.25, 0.5, 0.75)}
"""A cosine for CosFace, rad for ArcFace."""

_KINDS: dict[str, MarginKind] = {"cosface": "cosine", "arcface": "angle"}
_LAST = 150
_TITLES = {
    "scale": "scales, no margin",
    "cosface": f"CosFace, $s$ = {SCALE_OF_MARGINS:g}",
    "arcface": f"ArcFace, $s$ = {SCALE_OF_MARGINS:g}",
}


def posterior_curves(num_classes: int) -> pd.DataFrame:
    """P against the target angle where every other angle is right, so that log B = log(C−1).

    Returns:
        `family` (`scale`: scales without a margin, the last of them AdaCos' fixed one; `cosface`, `arcface`: margins at
        `SCALE_OF_MARGINS`), `s`, `m`, `theta` (rad), `posterior`, and of each curve `steepest`, the angle at which it
        falls fastest (rad; NaN where the margin has moved that below 0).
    """
    log_b = math.log(num_classes - 1)
    theta = np.radians(np.linspace(0, 180, 361))
    curves: list[tuple[str, float, float]] = [("scale", s, 0.0) for s in (*SCALES, adacos_fixed_scale(num_classes))]
    curves += [(loss, SCALE_OF_MARGINS, m) for loss, margins in MARGINS.items() for m in margins]
    frames = []
    for family, s, m in curves:
        kind = _KINDS.get(family, "cosine")
        # A margin on the cosine is a larger B, one on the angle moves the curve.
        steepest = steepest_angle(s, log_b) - m if kind == "angle" else steepest_angle(s, log_b + s * m)
        frames.append(
            pd.DataFrame(
                {
                    "family": family, "s": s, "m": m, "theta": theta,
                    "posterior": target_posterior(theta, s, m, log_b, kind),
                    "steepest": steepest if steepest > 0 else np.nan,
                }
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def posterior_curves_figure(sizes: Sequence[int]) -> Figure:
    """A row for each number of classes: P(θ) over scales, over CosFace's margins and over ArcFace's.

    A dot marks where a curve falls fastest; the dashed line is θ = 45°, for which AdaCos sets its fixed scale so that
    P = 1/2.

    Args:
        sizes: Numbers of classes C, at least one.
    """
    figure = new_figure(0.35 + 1.75 * len(sizes))
    grid = figure.subplots(len(sizes), len(_TITLES), squeeze=False, sharex=True, sharey=True)
    for i, (panels, classes) in enumerate(zip(grid, sizes, strict=True)):
        curves = posterior_curves(classes)
        for axes, family in zip(panels, _TITLES, strict=True):
            _panel(axes, curves[curves["family"] == family], family)
            if i == 0:
                axes.legend(
                    loc="upper right", fontsize=7, handlelength=1.2, labelspacing=0.2, borderaxespad=0.0,
                    bbox_to_anchor=(1.04, 1.03),
                )  # fmt: skip
        panels[0].set_ylabel(r"$P(θ)$")
        row_title(
            panels[0], f"C = {classes:,}; AdaCos: s = {adacos_fixed_scale(classes):.2f}", above_panel_title=i == 0
        )
    for axes, letter, title in zip(grid[0], "abc", _TITLES.values(), strict=True):
        panel_title(axes, letter, title)
    for axes in grid[-1]:
        axes.set_xlabel("target angle $θ$ (degrees)")
    return figure


def _panel(axes: Axes, curves: pd.DataFrame, family: str) -> None:
    axes.axvline(45, color=MUTED, lw=0.8, ls="--", zorder=1, label="_quarter")
    axes.axhline(0.5, color=FAINT, lw=0.7, zorder=0, label="_half")
    each = list(curves.groupby(["s", "m"], sort=False))
    for ((s, m), rows), colour in zip(each, _colours(family, len(each)), strict=True):
        fixed = family == "scale" and s == each[-1][0][0]
        name = "AdaCos, fixed" if fixed else f"$s$ = {s:g}" if family == "scale" else f"$m$ = {m:g}"
        degrees = np.degrees(rows["theta"])
        axes.plot(
            degrees, rows["posterior"], color=colour, lw=1.7 if fixed else 1.1, zorder=4 if fixed else 3, label=name
        )
        steepest = float(np.degrees(rows["steepest"].iloc[0]))
        height = float(np.interp(steepest, degrees, rows["posterior"])) if np.isfinite(steepest) else np.nan
        axes.plot(steepest, height, "o", ms=3.8, color=colour, mec=INK, mew=0.6, zorder=5, label="_steepest")
    axes.set_xlim(0, _LAST)
    axes.set_xticks(range(0, _LAST + 1, 45))
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks([0, 0.5, 1])


def _colours(family: str, count: int) -> list[str]:
    """From light to dark; AdaCos' own scale, the last one, as in every figure."""
    styles = sheet_styles()
    if family == "scale":
        return [*sns.color_palette("Greys", count + 1).as_hex()[2:], styles["fixed"].colour]
    return list(sns.light_palette(styles[family].colour, count + 2).as_hex()[2:])
