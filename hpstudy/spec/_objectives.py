"""What a search follows: verification metrics, which it maximises, and costs of a trial, which it minimises."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from hpstudy.spec._names import listed, nearest
from hpstudy.spec._ranges import refuse_doubles

COSTS = ("cost/wall_s", "cost/cpu_s", "cost/gpu_s", "cost/peak_memory_mb")
"""Columns of the record that a search can minimise."""
GPU_COSTS = ("cost/gpu_s", "cost/peak_memory_mb")
"""Costs that only a GPU tells trials apart by: without one no GPU time passes, and the peak of memory is that of a
worker since it started."""
EXAMPLE = "val/tar_at_far_1e-3"
METRIC_PATTERN = r"^val/tar_at_far_[0-9.]+(e[+-]?[0-9]+)?$"
_METRIC = "val/tar_at_far_"


def is_cost(objective: str) -> bool:
    """Whether an objective is minimised: it is a cost, not a metric."""
    return objective in COSTS


def chance_of(objective: str) -> float:
    """What guessing scores: the false accept rate, since a threshold blind to identity accepts all pairs alike."""
    return float(objective.removeprefix(_METRIC))


def _objective(name: str) -> str:
    """An objective in its one spelling."""
    if "loss" in name.lower() or "cross_entropy" in name.lower():
        raise PydanticCustomError(
            "loss_objective",
            "a training loss is not comparable across s (s multiplies the logits), but got {name}; use {example}",
            {"example": EXAMPLE, "name": repr(name)},
        )
    if name.startswith("test/"):
        raise PydanticCustomError(
            "test_objective",
            "the search must not see the test identities; write {name}",
            {"name": f"val/{name.removeprefix('test/')}"},
        )
    if is_cost(name):
        return name
    if name.startswith("cost"):
        raise PydanticCustomError(
            "cost_objective",
            "no trial records {name}{hint} (costs: {costs})",
            {"name": repr(name), "hint": nearest(name, COSTS), "costs": listed(COSTS)},
        )
    match = re.fullmatch(r"val/tar_at_far_(\d+\.?\d*(?:e[+-]?\d{1,3})?)", name)
    if match is None:
        raise PydanticCustomError(
            "objective",
            "no protocol gives {name}; an objective is val/tar_at_far_<far>, e.g. {example}, or in a list after one, a "
            "cost: {costs}",
            {"name": repr(name), "example": EXAMPLE, "costs": listed(COSTS)},
        )
    far = Decimal(match[1])
    if not 0 < far < 1:
        raise PydanticCustomError(
            "far",
            "a false accept rate lies in (0, 1), but got {far}; e.g. {example}",
            {"far": match[1], "example": EXAMPLE},
        )
    return _METRIC + _far_text(far)


def _far_text(far: Decimal) -> str:
    sign, digits, exponent = far.normalize().as_tuple()
    assert not sign
    assert isinstance(exponent, int)
    mantissa = str(digits[0]) + ("." + "".join(map(str, digits[1:])) if len(digits) > 1 else "")
    return f"{mantissa}e{exponent + len(digits) - 1}"


def _first(name: str) -> str:
    """An objective that may stand alone or first."""
    if is_cost(name):
        raise PydanticCustomError(
            "cost_first",
            "{name} alone is least where nothing is learned; a list begins with a metric, which chooses the point to "
            "confirm, e.g. [{example}, {name}]",
            {"name": name, "example": EXAMPLE},
        )
    return name


def _several(names: tuple[str, ...]) -> str | tuple[str, ...]:
    """A list of one is that one."""
    _first(names[0])
    refuse_doubles(names)
    return names if len(names) > 1 else names[0]


def _kind(value: Any) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


Objectives = Annotated[
    Annotated[str, AfterValidator(_objective), AfterValidator(_first), Tag("one")]
    | Annotated[
        tuple[Annotated[str, AfterValidator(_objective)], ...],
        Field(min_length=1),
        AfterValidator(_several),
        Tag("several"),
    ],
    Discriminator(_kind),
]
"""One objective, or several of which the first is a metric."""
