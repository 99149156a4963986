"""θ_med, log B_avg, s and the implied P_W against the step."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hpstudy.analysis import decimate, scale_text, seed_band
from hpstudy.reporting._style import ArmStyle, arm_legend, new_figure, panel_title, spread_labels

_POINTS = 240
_RUNAWAY = 20.0
_LEAST, _MOST = 1e-3, 1 - 1e-6

Numbers = NDArray[np.floating[Any]]


def trajectory_figure(
    trajectories: Mapping[str, Sequence[pd.DataFrame]],
    chosen_s: Mapping[str, float],
    styles: Mapping[str, ArmStyle],
) -> Figure:
    """Median and quartiles over the confirm seeds of each arm in one condition.

    Args:
        trajectories: Arm → one trajectory per confirm trial; one that stops early is marked where it stops.
        chosen_s: Arm → s* of tuned arms, labelled at the scale's axis.
        styles: Style of every arm.
    """
    figure = new_figure(3.75)
    (angle, log_b), (scale, implied) = figure.subplots(2, 2, sharex=True)
    last = max((int(frame["step"].max()) for frames in trajectories.values() for frame in frames), default=0)
    for arm, frames in trajectories.items():
        _band(angle, frames, "theta_med", styles[arm], last, np.degrees)
        _band(log_b, frames, "log_b_avg", styles[arm], last)
        _band(scale, frames, "s", styles[arm], last)
        _band(implied, frames, "implied_p_w", styles[arm], last, lambda p: np.clip(p, _LEAST, _MOST))
    for axes in (log_b, scale):
        low, high = axes.dataLim.intervaly
        if 0 < low < high / _RUNAWAY:
            axes.set_yscale("log")
    if implied.lines:
        implied.set_yscale("logit", one_half="0.5")
        implied.minorticks_off()
    angle.set_ylim(bottom=0)
    angle.set_xlim(0, max(last, 1))
    panel_title(angle, "a", r"median target angle $\theta_{\mathrm{med}}$ (degrees)")
    panel_title(log_b, "b", r"$\log\,B_{\mathrm{avg}}$ (nats)")
    panel_title(scale, "c", "scale $s$")
    panel_title(implied, "d", "$P_W$ that CosFace’s bound grants this $s$")
    for axes in (scale, implied):
        axes.set_xlabel("step")
    _label_chosen(scale, chosen_s, styles)
    arm_legend(figure, {arm: styles[arm] for arm in styles if arm in trajectories})
    return figure


def _band(
    axes: Axes,
    frames: Sequence[pd.DataFrame],
    column: str,
    style: ArmStyle,
    last: int,
    shown: Callable[[Numbers], Numbers] = np.asarray,
) -> None:
    band = seed_band(frames, column)
    if band.empty:
        return
    thin = decimate(band, _POINTS, ["median", "low", "high"])
    steps = thin["step"].to_numpy(dtype=float)
    if len(frames) > 1:
        low, high = shown(thin["low"].to_numpy()), shown(thin["high"].to_numpy())
        axes.fill_between(steps, low, high, color=style.colour, alpha=0.22, lw=0)
    axes.plot(steps, shown(thin["median"].to_numpy()), color=style.colour, lw=style.width, ls=style.line)
    for frame in frames:
        sound = frame[np.isfinite(frame[column].to_numpy(dtype=float))]
        if len(sound) and int(sound["step"].iloc[-1]) < 0.95 * last:
            step, value = sound["step"].to_numpy()[-1:], sound[column].to_numpy()[-1:]
            axes.plot(step, shown(value), "x", color=style.colour, ms=5, mew=1.2)


def _label_chosen(axes: Axes, chosen_s: Mapping[str, float], styles: Mapping[str, ArmStyle]) -> None:
    """Writes each s* at the right edge of the axis, moved apart where they would overlap."""
    arms = [arm for arm, s in chosen_s.items() if np.isfinite(s)]
    to_axes = axes.transScale + axes.transLimits
    heights = [float(to_axes.transform((0.0, chosen_s[arm]))[1]) for arm in arms]
    for arm, height in zip(arms, spread_labels(heights, 0.09, 0.0, 1.0), strict=True):
        axes.annotate(
            f"s* = {scale_text(chosen_s[arm])}", (1, height), xycoords="axes fraction", xytext=(3, 0),
            textcoords="offset points", va="center", ha="left", fontsize=7.5, color=styles[arm].colour,
        )  # fmt: skip
