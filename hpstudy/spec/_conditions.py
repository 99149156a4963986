"""Conditions: the combinations of the blocking factors."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hpstudy.spec._data import DataSpec, ModelSpec
from hpstudy.spec._paths import Trained
from hpstudy.spec._training import TrainingSpec

DEFAULT = "default"


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One value of every blocking factor; every arm runs in it."""

    id: str
    """`default` without factors, else e.g. `train-100_embedding_dim-64`."""
    values: Mapping[str, bool | float | str]
    """Value of each factor, by its dotted path."""
    data: DataSpec
    """The data of the condition."""
    model: ModelSpec
    """The model of the condition."""
    training: TrainingSpec
    """The training of the condition."""


def make_conditions(trained: Trained, factors: Mapping[str, tuple[Any, ...]]) -> tuple[Condition, ...]:
    """All combinations, the last factor varying fastest."""
    conditions = []
    for combination in itertools.product(*factors.values()):
        values = dict(zip(factors, combination, strict=True))
        having = trained.having(values)
        conditions.append(
            Condition(
                id=condition_id(values),
                values=values,
                data=having.data,
                model=having.model,
                training=having.training,
            )
        )
    return tuple(conditions)


def condition_id(values: Mapping[str, Any]) -> str:
    """A combination's name, fit for trial ids and file names: the last key and the value of each factor."""
    if not values:
        return DEFAULT
    keys = [path.rpartition(".")[2] for path in values]
    if len(set(keys)) < len(keys):
        keys = ["-".join(path.split(".")[-2:]) for path in values]
    return "_".join(f"{key}-{_value_text(value)}" for key, value in zip(keys, values.values(), strict=True))


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return _number_text(value)
    return re.sub(r"[^A-Za-z0-9]+", "-", str(value).rstrip("/").rpartition("/")[2]).strip("-")


def _number_text(value: float) -> str:
    """Without a dot, which separates the parts of a trial's id: 0.25 is `25e-2`."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    return f"{'-' if sign else ''}{''.join(map(str, digits))}e{exponent}"
