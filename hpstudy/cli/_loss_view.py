"""One loss or regulariser on the terminal and as JSON."""

import difflib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from hpstudy.catalog import (
    CRITERIA,
    LOSSES,
    MARGINS,
    SCALES,
    CriterionInfo,
    LossInfo,
    ParameterInfo,
    installed_losses,
)
from hpstudy.cli._flow import flow, hanging
from hpstudy.cli._loss_curve import NO_CURVE, curve_lines, half_text, loss_curve
from hpstudy.exceptions import InputError

_LABEL = 13


def one(name: str) -> dict[str, Any]:
    """One row of the catalogue, with its posterior against the target angle where it has one.

    Raises:
        InputError: If there is neither a loss nor a regulariser of that name.
    """
    info = _found(name)
    if isinstance(info, str):
        return {"name": name, "installed": info, "curve": None}
    curve = loss_curve(info) if isinstance(info, LossInfo) else None
    return {**row(info), "curve": None if curve is None else asdict(curve)}


def row(info: LossInfo | CriterionInfo) -> dict[str, Any]:
    """All that the catalogue says, as JSON."""
    return {**asdict(info), "citation": str(info.paper)}


def numbers(parameter: ParameterInfo) -> tuple[str, str, str, str]:
    """Name, unit, default and plausible range."""
    low, high = parameter.plausible
    return parameter.name, parameter.unit, f"{parameter.default:.4g}", f"{low:g} … {high:g}"


def show_one(name: str) -> None:
    """Formula, parts, paper, bound, options, parameters, and the posterior against the target angle.

    Raises:
        InputError: If there is neither a loss nor a regulariser of that name.
    """
    info = _found(name)
    console = Console(highlight=False)
    if isinstance(info, str):
        console.print(Text(f"{name}: {info}, from an installed package; its class says what it takes"), soft_wrap=True)
        return
    lines = [f"  {line}" for line in flow(info.formula, console.width - 2)]
    lines += ["", *(hanging(label.ljust(_LABEL), text, console.width) for label, text in _facts(info)), ""]
    lines += [*_table(info), "", *_drawn(info, console.width)]
    console.print(Text(info.title, style="bold"), soft_wrap=True)
    console.print(Text("\n".join(lines)), soft_wrap=True)


def _found(name: str) -> LossInfo | CriterionInfo | str:
    """A row of the catalogue, or where an installed package has the loss."""
    installed = installed_losses()
    for table in (LOSSES, CRITERIA, installed):
        if name in table:
            return table[name]
    names = list(dict.fromkeys((*LOSSES, *CRITERIA, *installed)))
    (nearest,) = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    raise InputError(f"unknown loss or regulariser {name!r}, did you mean {nearest!r}? (known: {', '.join(names)})")


def _facts(info: LossInfo | CriterionInfo) -> Iterator[tuple[str, str]]:
    if isinstance(info, LossInfo):
        for label, table, part in (("margin", MARGINS, info.margin), ("scale", SCALES, info.scale)):
            if part:
                yield label, f"{part}: {table[part].formula}"
        if not info.norm_invariant:
            yield "norms", "the loss depends on the norm of the embeddings or the prototypes"
    if info.name in CRITERIA:
        _, _, default, plausible = numbers(CRITERIA[info.name].weight)
        example = f"{{loss: cosface, regularisers: {{{info.name}: {{weight: {default}}}}}}}"
        yield "regulariser", f"of any loss, times its weight (default {default}, plausible {plausible}); {example}"
    yield "paper", str(info.paper)
    if isinstance(info, LossInfo):
        yield "bound", info.bound
    for option in info.options.values():
        yield option.name, f"{' | '.join(option.allowed)}; default {option.default}"
        yield "", option.meaning


def _table(info: LossInfo | CriterionInfo) -> list[str]:
    """A line of numbers for each parameter, and one of words."""
    parameters = [*((info.weight,) if isinstance(info, CriterionInfo) else ()), *info.parameters.values()]
    if not parameters:
        return ["no parameter to tune"]
    header = ("parameter", "unit", "default", "plausible", "valid")
    rows = [(*numbers(parameter), parameter.valid_range) for parameter in parameters]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    meanings = [f"  {parameter.meaning}" for parameter in parameters]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in (header, *rows)
    ]
    return [lines[0], *(line for pair in zip(lines[1:], meanings, strict=True) for line in pair)]


def _drawn(info: LossInfo | CriterionInfo, width: int) -> list[str]:
    if not isinstance(info, LossInfo) or (curve := loss_curve(info)) is None:
        return [NO_CURVE]
    others = "whatever the other classes" if info.criterion else "every other class at a right angle"
    title = f"at {curve.given}; C = {curve.num_classes}, {others}: {half_text(curve)}"
    return [hanging("P(θ_y)  ", title, width), *curve_lines(curve)]
