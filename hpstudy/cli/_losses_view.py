"""The loss family on the terminal and as JSON."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hpstudy.catalog import LOSSES, MARGINS, SCALES, LossInfo, ParameterInfo, loss_info
from hpstudy.cli._curve import braille_curve
from hpstudy.theory import MarginKind, adacos_fixed_scale, target_posterior

_CURVE_CLASSES = 1000
_CURVE_COLUMNS = 60
_CURVE_HEIGHT = 10
_FINER = 25
_KINDS: Mapping[str, MarginKind] = {
    "none": "cosine",
    "additive_cosine": "cosine",
    "additive_angle": "angle",
    "multiplicative_angle": "factor",
}


def family() -> dict[str, Any]:
    """Every row of the catalogue."""
    return {"losses": [_row(info) for info in LOSSES.values()]}


def one(name: str) -> dict[str, Any]:
    """One row of the catalogue, with its posterior against the target angle where it can be drawn."""
    info = loss_info(name)
    return {**_row(info), "curve": _curve(info)}


def show_family() -> None:
    """Two tables: parameters with units and ranges, and papers with bounds."""
    console = Console(highlight=False)
    parameters = Table("Loss", "Margin × scale", "", "Unit", "Default", "Plausible", box=SIMPLE_HEAD, pad_edge=False)
    for info in LOSSES.values():
        parts = [info.margin, f"× {info.scale}"]
        rows = list(info.parameters.values())
        for index in range(max(len(parts), len(rows))):
            parameters.add_row(
                Text(info.name if index == 0 else ""),
                Text(parts[index] if index < len(parts) else ""),
                *(_cells(rows[index]) if index < len(rows) else ("", "none", "", "") if index == 0 else [""] * 4),
            )
    console.print(parameters)
    for info in LOSSES.values():
        console.print(Text.assemble((info.name, "bold"), f"  {info.paper}"))
        console.print(Padding(Text(info.bound), (0, 0, 0, 2)))


def show_one(name: str) -> None:
    """Formula, parameters, options, reference, bound, and the posterior against the target angle."""
    info = loss_info(name)
    console = Console(highlight=False)
    margin, scale = MARGINS[info.margin], SCALES[info.scale]
    console.print(Text(info.title, style="bold"))
    console.print(Padding(Text(info.formula), (0, 0, 1, 2)))
    facts = Table.grid(padding=(0, 2))
    facts.add_row("margin", Text(f"{margin.name}: {margin.formula}"))
    facts.add_row("scale", Text(f"{scale.name}: {scale.formula}"))
    facts.add_row("paper", Text(str(info.paper)))
    facts.add_row("bound", Text(info.bound))
    for option in info.options.values():
        facts.add_row(option.name, Text(f"{' | '.join(option.allowed)} (default {option.default}). {option.meaning}"))
    console.print(facts)
    if info.parameters:
        table = Table("", "Unit", "Default", "Plausible", "Valid", "Meaning", box=SIMPLE_HEAD, pad_edge=False)
        for parameter in info.parameters.values():
            table.add_row(*_cells(parameter), Text(parameter.valid_range), Text(parameter.meaning))
        console.print(table)
    else:
        console.print(Padding("no parameter to tune", (1, 0)))
    for line in _drawn(info):
        console.print(Text(line, no_wrap=True))


def _row(info: LossInfo) -> dict[str, Any]:
    return {**asdict(info), "citation": str(info.paper)}


def _cells(parameter: ParameterInfo) -> tuple[str, str, str, str]:
    low, high = parameter.plausible
    return parameter.name, parameter.unit, f"{parameter.default:g}", f"{low:g} … {high:g}"


def _curve(info: LossInfo) -> dict[str, Any]:
    """P(θ) at the defaults, with every other class at a right angle (B = C − 1)."""
    parameters = info.parameters
    # An adaptive scale is drawn where it starts.
    scale = parameters["s"].default if "s" in parameters else adacos_fixed_scale(_CURVE_CLASSES)
    margin = parameters["m"].default if "m" in parameters else 0.0
    theta = np.linspace(0, math.pi, 2 * _CURVE_COLUMNS * _FINER)
    posterior = target_posterior(theta, scale, margin, math.log(_CURVE_CLASSES - 1), _KINDS[info.margin])
    above = np.flatnonzero(posterior >= 0.5)
    half = float(np.degrees(theta[above[-1]])) if above.size else None
    theta, posterior = theta[::_FINER], posterior[::_FINER]
    return {
        "num_classes": _CURVE_CLASSES,
        "s": scale,
        "m": margin if "m" in parameters else None,
        "half_at_deg": half,
        "theta_deg": np.degrees(theta).tolist(),
        "posterior": posterior.tolist(),
    }


def _drawn(info: LossInfo) -> list[str]:
    curve = _curve(info)
    margin = "" if curve["m"] is None else f", m = {curve['m']:g} {info.parameters['m'].unit}"
    half = "never reaches 1/2" if curve["half_at_deg"] is None else f"1/2 at {curve['half_at_deg']:.0f}°"
    title = f"P(θ_y) at s = {curve['s']:.4g}{margin}, C = {curve['num_classes']}, B = C − 1: {half}"
    axis = {0: "1.0", _CURVE_HEIGHT // 2: "0.5", _CURVE_HEIGHT - 1: "0.0"}
    rows = braille_curve(curve["posterior"], _CURVE_HEIGHT)
    ticks = "".join(f"{degrees}°".ljust(_CURVE_COLUMNS // 4) for degrees in (0, 45, 90, 135)) + "180°"
    return [title, *(f"{axis.get(i, ''):>4} ┤{row}" for i, row in enumerate(rows)), " " * 6 + ticks]
