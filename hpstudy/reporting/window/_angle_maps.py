"""Angles to the own prototype and to the others, epoch by epoch."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hpstudy.reporting._style import MUTED, as_png, drawing, new_figure

_BIN = 2
"""Degrees that one row of pixels sums up."""
_MEDIAN = "#b03060"
_TITLES = {
    "theta_target_histogram": "angle to the own prototype",
    "theta_nontarget_histogram": "angle to the other prototypes",
}


def angle_maps(epochs: pd.DataFrame) -> bytes:
    """A map for each kind of angle, epochs across and degrees up, with its median; the same bytes for the same record.

    Args:
        epochs: One row an epoch, with histograms of one-degree bins.

    Returns:
        A PNG.
    """
    with drawing():
        figure = new_figure(2.6)
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (column, title) in zip(panels, _TITLES.items(), strict=True):
            _map(axes, epochs["epoch"].to_numpy(dtype=float), np.stack(epochs[column].to_list()).astype(float))
            axes.set_title(title, fontweight="normal")
            axes.set_xlabel("epoch")
        panels[0].set_ylabel("degrees")
        panels[0].set_yticks(range(0, 181, 30))
        return as_png(figure)


def _map(axes: Axes, epochs: NDArray[np.float64], counts: NDArray[np.float64]) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    coarse = shares.reshape(len(shares), -1, _BIN).sum(axis=2)
    edges = np.concatenate((epochs - 0.5, [epochs[-1] + 0.5]))
    degrees = np.arange(0, 180 + _BIN, _BIN)
    axes.pcolormesh(edges, degrees, coarse.T, cmap="Blues", norm=PowerNorm(0.6, 0.0, max(float(coarse.max()), 1e-9)))
    medians = [float(np.interp(0.5, np.cumsum(row), np.arange(1, 181))) if row.any() else np.nan for row in shares]
    axes.plot(epochs, medians, color=_MEDIAN, lw=1.3, marker="o" if len(epochs) <= 30 else None, ms=2.5)
    text = f"median {medians[0]:.0f}° → {medians[-1]:.0f}°" if len(epochs) > 1 else f"median {medians[0]:.0f}°"
    axes.set_title(text, loc="right", color=_MEDIAN, fontweight="normal")
    axes.axhline(90, color=MUTED, lw=0.5, ls=":")
    axes.set_ylim(0, 180)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
