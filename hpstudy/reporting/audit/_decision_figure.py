"""Where the margins of losses hold two classes apart, in the angles to the two prototypes."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hpstudy.catalog import MARGINS
from hpstudy.reporting._style import INK, MUTED, literal, new_figure
from hpstudy.theory import decision_boundary, softmax_boundary

Decision = tuple[str, str, Mapping[str, float | str]]
"""A title, the name of a margin in `DECISION_MARGINS` or `softmax`, and the margin's parameters."""

_COLUMNS = 3
Numbers = NDArray[np.float64]
_RATIOS = ((0.5, "½", (0, (4, 2)), (4, 64)), (2.0, "2", (0, (1.5, 1.5)), (123, 166)))
"""‖W_1‖/‖W_2‖ whose boundaries stand beside that of equal norms, their names and dashes, and where the names go."""
_UNITS = {"rad": " rad"}
_SYMBOLS = {"l_m": "m"}
_SPARE = ("past_pi", "gradient")


def decision_figure(margins: Sequence[Decision]) -> Figure:
    """One panel a loss: where a feature of class 1 and one of class 2 meet the margin; white between.

    Args:
        margins: What is drawn, in this order; at least one.
    """
    rows = -(-len(margins) // _COLUMNS)
    figure = new_figure(2.4 * rows)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True).flatten()
    for i, (axes, (title, margin, values)) in enumerate(zip(panels, margins, strict=False)):
        _titles(axes, chr(ord("a") + i), title, _parameters(margin, values))
        _panel(axes, margin, values)
        if i % _COLUMNS == 0:
            axes.set_ylabel("$θ_2$ (degrees)")
        if i + _COLUMNS >= len(margins):
            axes.set_xlabel("$θ_1$ (degrees)")
            axes.tick_params(labelbottom=True)
    for axes in panels[len(margins) :]:
        axes.set_visible(False)
    return figure


def _titles(axes: Axes, letter: str, title: str, parameters: str) -> None:
    """A panel's letter and what it shows, above the values of its margin."""
    axes.set_title(letter, loc="left", pad=15)
    for text, place, size, colour in ((literal(title), (10, 15), 8.5, INK), (parameters, (0, 4), 8, MUTED)):
        axes.annotate(
            text, (0, 1), xycoords="axes fraction", xytext=place, textcoords="offset points", va="baseline",
            fontsize=size, color=colour,
        )  # fmt: skip


def _panel(axes: Axes, margin: str, values: Mapping[str, float | str]) -> None:
    first, second = sns.color_palette("colorblind").as_hex()[:2]
    if margin == "softmax":
        own, boundary = _softmax_lines(axes)
    else:
        own, boundary = _boundary(margin, values)
    axes.fill_between(own, boundary, 180, color=first, alpha=0.3, lw=0)
    axes.fill_betweenx(own, boundary, 180, color=second, alpha=0.3, lw=0)
    if np.allclose(own, boundary, atol=1e-3):
        axes.plot(own, boundary, color=INK, lw=1.1, label="both")
    else:
        axes.plot([0, 180], [0, 180], color=MUTED, lw=0.6, ls=":", label="_diagonal")
        axes.plot(own, boundary, color=first, lw=1.2, label="class 1")
        axes.plot(boundary, own, color=second, lw=1.2, label="class 2")
    axes.text(0.05, 0.95, "class 1", transform=axes.transAxes, va="top", color=first, fontsize=8)
    axes.text(0.95, 0.05, "class 2", transform=axes.transAxes, ha="right", color=second, fontsize=8)
    axes.set_xlim(0, 180)
    axes.set_ylim(0, 180)
    axes.set_aspect("equal")
    axes.set_xticks(range(0, 181, 45))
    axes.set_yticks(range(0, 181, 45))


def _boundary(margin: str, values: Mapping[str, float | str]) -> tuple[Numbers, Numbers]:
    """θ_1 and class 1's θ_2 in degrees, followed closely to where it ends."""
    angle = np.linspace(0, np.pi, 361)
    known = np.isfinite(np.asarray(decision_boundary(margin, angle, **values)))
    ends = np.flatnonzero(known[:-1] & ~known[1:])
    angle = np.unique(np.concatenate([angle, *(np.linspace(angle[i], angle[i + 1], 200) for i in ends)]))
    return np.degrees(angle), np.degrees(np.asarray(decision_boundary(margin, angle, **values)))


def _softmax_lines(axes: Axes) -> tuple[Numbers, Numbers]:
    """Draws the boundaries of unequal norms, and gives that of equal ones."""
    angle = np.linspace(0, np.pi, 361)
    own = np.degrees(angle)
    for ratio, name, dash, place in _RATIOS:
        boundary = np.degrees(np.asarray(softmax_boundary(angle, ratio)))
        axes.plot(own, boundary, color=INK, lw=0.9, ls=dash, label=name)
        axes.text(*place, name, fontsize=8, color=INK, ha="left", va="bottom")
    return own, np.degrees(np.asarray(softmax_boundary(angle, 1.0)))


def _parameters(margin: str, values: Mapping[str, float | str]) -> str:
    """The margin with its unit, e.g. `m = 0.50 rad (28.6°)`."""
    if margin == "softmax":
        return "$‖W_1‖/‖W_2‖$ = ½, 1, 2"
    texts = []
    for name, value in values.items():
        if name in _SPARE or isinstance(value, str):
            continue
        symbol = f"$m_{name[1:]}$" if name[0] == "m" and name[1:].isdigit() else f"${_SYMBOLS.get(name, name)}$"
        info = MARGINS[margin].parameters.get(name)
        unit = _UNITS.get(info.unit, "") if info else ""
        alone = f" ({np.degrees(value):.1f}°)" if unit and len(values) < 3 else ""
        texts.append(f"{symbol} = {value:.3g}{unit}{alone}")
    return ", ".join(texts) or "no margin"
