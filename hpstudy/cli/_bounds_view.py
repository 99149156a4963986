"""The bounds for one C and K: computed as one object, then shown as tables."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hpstudy import theory

_SCALES = (1, 2, 4, 8, 16, 20, 30, 32, 64)
_ANGLES_DEG = (45, 30)


def compute(classes: int, dim: int, posteriors: Sequence[float], margins: Sequence[float]) -> dict[str, Any]:
    """The numbers of `hpstudy bounds`; None where no finite number answers.

    Raises:
        InputError: If an argument is outside its range.
    """
    optimum = theory.margin_optimum(classes, dim)
    neighbour = _angle(optimum.upper)
    fixed = theory.adacos_fixed_scale(classes)
    points = {degrees: theory.adacos_fixed_points(classes, dim, math.radians(degrees)) for degrees in _ANGLES_DEG}
    return {
        "num_classes": classes,
        "dim": dim,
        "normface": [
            {
                "s": s,
                "loss_bound": theory.normface_loss_bound(classes, s),
                "implied_posterior": theory.implied_posterior(classes, s),
            }
            for s in _SCALES
        ],
        "scale": [_scale_bounds(classes, dim, posterior, margins) for posterior in posteriors],
        "margin": {
            "paper": theory.cosface_margin_bound(classes, dim),
            **asdict(optimum),
            "neighbour_angle": neighbour,
            "cosface_lower": theory.cosface_lower_margin(neighbour),
            "arcface_lower": theory.arcface_lower_margin(neighbour),
            "sphereface_lower": theory.sphereface_lower_margin(classes),
        },
        "adacos": {
            "fixed_scale": fixed,
            "implied_posterior": theory.implied_posterior(classes, fixed),
            "collapse_limit": theory.adacos_collapse_limit(classes),
            "fixed_points": [{"theta_deg": degrees, **point._asdict()} for degrees, point in points.items()],
        },
    }


def _scale_bounds(classes: int, dim: int, posterior: float, margins: Sequence[float]) -> dict[str, Any]:
    return {
        "posterior": posterior,
        "cosface": theory.cosface_scale_bound(classes, posterior),
        "dimension_aware": theory.dimension_aware_scale_bound(classes, dim, posterior),
        "joint": [
            {
                "margin": margin,
                "cosface": _finite(theory.joint_scale_bound(classes, posterior, margin, "cosine")),
                "arcface": _finite(theory.joint_scale_bound(classes, posterior, margin, "angle")),
            }
            for margin in margins
        ],
    }


def _angle(separation: float) -> float:
    """The angle of an ArcFace margin that asks as much as a cosine margin of `separation`."""
    return math.acos(max(-1.0, 1 - separation))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def show(report: dict[str, Any]) -> None:
    """Prints `compute`'s numbers and the files of `plots`."""
    console = Console(highlight=False)
    classes, dim = report["num_classes"], report["dim"]
    regime = "C ≤ K + 1" if classes <= dim + 1 else "C > K + 1"
    console.print(Text(f"C = {classes} classes in K = {dim} dimensions ({regime})", style="bold"))
    console.print(_loss_table(report["normface"]))
    console.print(_scale_table(report["scale"]))
    console.print(_margin_table(report["margin"], classes, dim))
    console.print(_adacos_table(report["adacos"], classes <= dim + 1))
    for path in report["plots"]:
        console.print(Text(path, style="bold"), soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _loss_table(rows: list[dict[str, float]]) -> Table:
    table = _table("The loss can't be below (NormFace, Proposition 2)", "s", "loss (nats)", "P_W granted")
    for row in rows:
        table.add_row(f"{row['s']:g}", _number(row["loss_bound"]), _number(row["implied_posterior"]))
    return table


def _scale_table(rows: list[dict[str, Any]]) -> Table:
    joint = [
        f"{name}\nm = {cell['margin']:g}{unit}"
        for cell in rows[0]["joint"]
        for name, unit in (("CosFace", ""), ("ArcFace", " rad"))
    ]
    table = _table("s must be at least", "P_W", "CosFace\neq. 6", "aware\nof K", *joint)
    for row in rows:
        cells = [_number(cell[name]) for cell in row["joint"] for name in ("cosface", "arcface")]
        table.add_row(f"{row['posterior']:g}", _number(row["cosface"]), _number(row["dimension_aware"]), *cells)
    return table


def _margin_table(row: dict[str, Any], classes: int, dim: int) -> Table:
    angle = row["neighbour_angle"]
    strict = "m ≤" if dim == 2 or classes <= dim + 1 else "m ≪"
    table = _table("m and its limits", "bound", "cosine", "rad", "factor")
    table.add_row(f"CosFace, eq. 7 ({strict})", _number(row["paper"]), "", "")
    if row["exact"]:
        table.add_row(f"most that prototypes permit ({row['source']})", _number(row["upper"]), _number(angle), "")
    else:
        table.add_row(f"no prototypes permit more ({row['upper_source']})", _number(row["upper"]), _number(angle), "")
        if row["lower"] is not None:
            reached = _number(row["lower"]), _number(_angle(row["lower"]))
            table.add_row(f"a known code permits ({row['source']})", *reached, "")
    table.add_row(
        f"least m for classes tighter than their gaps, neighbours at {math.degrees(angle):.1f}°",
        _number(row["cosface_lower"]),
        _number(row["arcface_lower"]),
        _number(row["sphereface_lower"]),
    )
    return table


def _adacos_table(row: dict[str, Any], simplex_fits: bool) -> Table:
    table = _table("AdaCos", "rule", "s", "")
    table.add_row("fixed, √2·log(C−1)", _number(row["fixed_scale"]), f"P_W {_number(row['implied_posterior'])}")
    for point in row["fixed_points"]:
        stable, unstable = point["stable"], point["unstable"]
        fate = "no fixed point: s runs away" if stable is None else f"runs away above {_number(unstable)}"
        table.add_row(f"dynamic at θ_med = {point['theta_deg']}°", _number(stable), fate)
    note = "P_W 0.5" if simplex_fits else "only if C ≤ K + 1"
    table.add_row("dynamic, collapsed", _number(row["collapse_limit"]), note)
    return table
