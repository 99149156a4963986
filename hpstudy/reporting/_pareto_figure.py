"""What trials gave in several objectives, and the front that none of them beats."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hpstudy.analysis import margin_unit, metric_name, scale_text, value_text
from hpstudy.reporting._style import FAINT, INK, ArmStyle, legend_above, literal, new_figure, panel_title
from hpstudy.reporting._tables import DASH, Align, Cell, Table, arm_cell, number
from hpstudy.spec import is_cost

MOST = 12
"""Points of a front that a table lists."""
_COLUMNS = 2
_LOG_FROM = 10
"""A cost has a logarithmic axis where the largest is this many times the smallest."""
_Look = Mapping[str, Any]
_FRONT: _Look = {"ms": 5.5}
_OWN_FRONT: _Look = {"ms": 4.5, "mfc": "white"}
_BEATEN: _Look = {"ms": 3, "mew": 0, "alpha": 0.4}


def pareto_figure(front: pd.DataFrame, objectives: Sequence[str], styles: Mapping[str, ArmStyle]) -> Figure:
    """The primary objective against each other one: trials by arm, the front filled, confirmed points ringed.

    Args:
        front: `pareto_front` of one condition, at least one row.
        objectives: The search's objectives, at least two, the primary one first.
        styles: Style of every arm.
    """
    others = objectives[1:]
    columns = min(len(others), _COLUMNS)
    rows = -(-len(others) // columns)
    figure = new_figure(0.5 + (2.7 if rows == 1 else 2.4) * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for i, axes in enumerate(panels):
        if i >= len(others):
            axes.set_visible(False)
            continue
        _points(axes, front, objectives[0], others[i], styles)
        if len(others) == 1:
            _stairs(axes, front[front["on_front"]], objectives[0], others[i])
        else:
            panel_title(axes, "abcdefgh"[i % 8], "")
        axes.set_xlabel(f"{_title(others[i])}, {'less' if is_cost(others[i]) else 'more'} is better")
        if i % columns == 0:
            axes.set_ylabel(_title(objectives[0]))
    shown = {arm: style for arm, style in styles.items() if arm in set(front["arm"])}
    handles = [_handle(literal(arm), style.colour, style.marker, mew=0) for arm, style in shown.items()]
    legend_above(figure, [*handles, *_legend(front, stairs=len(others) == 1)])
    return figure


def _title(objective: str) -> str:
    name = metric_name(objective)
    return name.title + (f" ({name.unit})" if name.unit else "")


def _points(axes: Axes, front: pd.DataFrame, primary: str, other: str, styles: Mapping[str, ArmStyle]) -> None:
    up, across = metric_name(primary).factor, metric_name(other).factor
    for arm, rows in front.groupby("arm", sort=False):
        style = styles[str(arm)]
        leading = rows["on_front"]
        for chosen, look, layer in (
            (rows[~leading & ~rows["on_arm_front"]], _BEATEN, 2),
            (rows[~leading & rows["on_arm_front"]], _OWN_FRONT, 3),
            (rows[leading], _FRONT, 4),
        ):
            axes.plot(
                chosen[other] * across, chosen[primary] * up, ls="none", color=style.colour, marker=style.marker,
                zorder=layer, **{"mec": style.colour, "mew": 0.8, **look},
            )  # fmt: skip
    confirmed = front[front["chosen"]]
    axes.plot(
        confirmed[other] * across, confirmed[primary] * up, ls="none", marker="o", ms=9, mfc="none", mec=INK, mew=0.8,
        zorder=5,
    )  # fmt: skip
    values = front[other]
    if is_cost(other) and values.min() > 0 and values.max() >= _LOG_FROM * values.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, color=FAINT, lw=0.4, zorder=0)


def _stairs(axes: Axes, leading: pd.DataFrame, primary: str, other: str) -> None:
    """The best of the primary objective that some trial reached at so much of the other."""
    leading = leading.sort_values(other)
    where: Literal["post", "pre"] = "post" if is_cost(other) else "pre"
    x, y = leading[other] * metric_name(other).factor, leading[primary] * metric_name(primary).factor
    axes.step(x, y, where=where, color=INK, lw=0.8, zorder=1)


def _handle(label: str, colour: str, marker: str, **look: Any) -> Line2D:
    return Line2D([], [], ls="none", label=label, color=colour, marker=marker, **{"ms": 4.5, **look})


def _legend(front: pd.DataFrame, *, stairs: bool) -> list[Line2D]:
    """What fill, hollow and ring stand for."""
    line = "-" if stairs else "none"
    handles = [Line2D([], [], color=INK, ls=line, lw=0.8, marker="o", ms=4.5, mew=0, label="Pareto front")]
    if (front["on_arm_front"] & ~front["on_front"]).any():
        handles.append(_handle("front of its arm alone", INK, "o", mfc="white", mew=0.8))
    if (~front["on_arm_front"]).any():
        handles.append(_handle("beaten", INK, "o", **_BEATEN))
    if front["chosen"].any():
        handles.append(_handle("chosen to confirm", INK, "o", mfc="none", mew=0.8, ms=7))
    return handles


def pareto_table(front: pd.DataFrame, objectives: Sequence[str], styles: Mapping[str, ArmStyle]) -> Table:
    """The front of each condition from its best to its cheapest end; of a long one `MOST` points evenly spread.

    Args:
        front: `pareto_front`; points that are confirmed are in bold.
        objectives: The search's objectives, the primary one first.
        styles: Style of every arm.
    """
    leading = front[front["on_front"]]
    others = [name for name in front if str(name).startswith("param/") and leading[name].notna().any()]
    columns: list[tuple[str, Align]] = [("arm", "left"), ("s", "right"), ("m", "right")]
    columns += [("other", "left")] if others else []
    columns += [(name, "right") for name in objectives]
    table = Table(columns, headings={name: _title(name) for name in objectives})
    conditions = leading["condition"].drop_duplicates().to_list()
    for condition in conditions:
        if len(conditions) > 1:
            table.group(condition)
        rows = leading[leading["condition"] == condition]
        best_first = [is_cost(name) for name in objectives]
        rows = rows.sort_values([*objectives, "trial_id"], ascending=[*best_first, True])
        kept = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST)).round().astype(int))
        for row in rows.iloc[kept].to_dict("records"):
            unit = " rad" if margin_unit(row["loss"]) == "rad" else ""
            point = [
                f"{str(name).rsplit('/')[-1].rsplit('.', 1)[-1]} = {value_text(row[name])}"
                for name in others
                if row[name] == row[name]
            ]
            table.row(
                arm_cell(row["arm"], styles),
                scale_text(row["s"]) if np.isfinite(row["s"]) else "by rule",
                number(row["m"]) + unit if np.isfinite(row["m"]) else DASH,
                *([", ".join(point) or DASH] if others else []),
                *(_value_cell(row[name], name, bold=bool(row["chosen"])) for name in objectives),
            )
    return table


def _value_cell(value: float, objective: str, *, bold: bool) -> Cell:
    text = number(value * metric_name(objective).factor, 1)
    return {"text": text, "weight": "bold"} if bold else text
