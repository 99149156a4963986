"""Values against the hard range of a parameter, with its unit."""

import math

from hpstudy.catalog import ParameterInfo


def out_of_range(info: ParameterInfo, value: float) -> str:
    """What is wrong with a value of a parameter; empty if nothing."""
    if not math.isfinite(value):
        return f"{info.name} must be finite"
    if value > info.maximum:
        return _above(info, value)
    if value < info.minimum or (value == info.minimum and not info.minimum_included):
        relation = "less than" if value < info.minimum else "not more than"
        return f"{_quantity(info, value)} is {relation} {_bound(info.minimum)}; {_allowed(info)}"
    return ""


def _above(info: ParameterInfo, value: float) -> str:
    said = f"{_quantity(info, value)} is more than {_bound(info.maximum)}"
    if info.unit == "rad" and math.radians(value) <= info.maximum:
        return f"{said}; as degrees it is {math.radians(value):.3g} rad"
    return f"{said}; {_allowed(info)}"


def _quantity(info: ParameterInfo, value: float) -> str:
    return f"{value:g} rad" if info.unit == "rad" else f"{value:g}"


def _allowed(info: ParameterInfo) -> str:
    bracket = "[" if info.minimum_included else "("
    unit = "" if info.unit == "dimensionless" else f" ({info.unit})"
    return f"{info.name} lies in {bracket}{_bound(info.minimum)}, {_bound(info.maximum)}]{unit}: {info.meaning}"


def _bound(value: float) -> str:
    for name, known in (("π/2", math.pi / 2), ("π", math.pi)):
        if math.isclose(value, known):
            return name
    return f"{value:g}"
