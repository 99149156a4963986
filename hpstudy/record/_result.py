"""The row that a finished trial leaves."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

import pyarrow as pa

STATUSES = ("completed", "pruned", "diverged", "failed")
"""How a trial can end: ran its budget; stopped early by the search; turned non-finite; raised an error."""

_FLOAT_GROUPS = ("param", "data", "val", "test", "geometry", "cost")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialResult:
    """What one trial was and what came of it: one row of `trials.parquet`.

    Raises:
        ValueError: the status is none of `STATUSES`.
    """

    study: str
    trial_id: str
    arm: str
    condition: str
    phase: str
    """`search`, `grid` or `confirm`."""
    search_seed: int
    """Seed of the search that the trial belongs to, or whose chosen point it confirms."""
    number: int
    """Position in its search; for a confirm trial its training seed."""
    seed: int
    """Training seed: initial weights, order of the batches, augmentation."""
    loss: str
    num_classes: int
    embedding_dim: int
    s: float
    """Configured scale; NaN where the arm adapts it."""
    m: float
    """Configured margin in the loss's own unit; NaN where it has none."""
    status: str
    cause: str = ""
    diverged_step: int = -1
    epochs: int = 0
    steps: int = 0
    objective: float = math.nan
    """The value told to the search, of several the primary one; chance level for a trial that diverged or failed; NaN
    in a study that holds nothing out."""
    samples_per_s: float = math.nan
    attempt: int = 1
    device: str = ""
    started_at: float = math.nan
    ended_at: float = math.nan
    groups: Mapping[str, float] = field(default_factory=dict)
    """Values with grouped names: `param/…`, `data/…`, `val/…`, `test/…`, `geometry/…`, `cost/…`."""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}, but got {self.status!r}")
        for name in self.groups:
            if name.split("/", 1)[0] not in _FLOAT_GROUPS or "/" not in name:
                raise ValueError(f"a grouped value is named <group>/<name> with group in {_FLOAT_GROUPS}, got {name!r}")

    def as_row(self) -> dict[str, Any]:
        """The row, grouped values beside the others."""
        return {**{name: getattr(self, name) for name in self._own_types()}, **self.groups}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "TrialResult":
        """The inverse of `as_row`; absent grouped values (null in a table of many trials) are left out."""
        own = cls._own_types()
        groups = {name: value for name, value in row.items() if name not in own and value is not None}
        return cls(**{name: row[name] for name in own if name in row}, groups=groups)

    @classmethod
    def table_of(cls, results: Iterable["TrialResult"]) -> pa.Table:
        """A table of these trials, typed the same for all; a grouped value that a trial lacks is null."""
        rows = [result.as_row() for result in results]
        types = {name: pa.float64() for row in rows for name in row} | cls._own_types()
        return pa.Table.from_pylist(rows, schema=pa.schema(list(types.items())))

    @classmethod
    def no_rows(cls) -> pa.Table:
        """The table of a study without a finished trial: the columns that every trial has."""
        return pa.schema(list(cls._own_types().items())).empty_table()

    @classmethod
    def in_order(cls, table: pa.Table) -> pa.Table:
        """Many trials' rows sorted by id; the columns that every trial has, then the groups, each by its names."""
        own = list(cls._own_types())
        grouped = sorted(
            set(table.column_names) - set(own), key=lambda name: (_FLOAT_GROUPS.index(name.split("/")[0]), name)
        )
        return table.select([*own, *grouped]).sort_by("trial_id")

    @classmethod
    @cache
    def _own_types(cls) -> dict[str, pa.DataType]:
        types: dict[object, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64()}
        return {entry.name: types[entry.type] for entry in fields(cls) if entry.type in types}
