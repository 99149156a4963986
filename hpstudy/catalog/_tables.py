"""Tables of named rows: built without doubles, searched with a suggestion."""

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol, TypeVar

from hpstudy.exceptions import InputError


class HasName(Protocol):
    """A row that carries its own name."""

    @property
    def name(self) -> str: ...


Row = TypeVar("Row", bound=HasName)


def named(*rows: Row) -> dict[str, Row]:
    """The rows by name; a plain dict, because a mapping proxy can be neither pickled nor copied."""
    table = {row.name: row for row in rows}
    assert len(table) == len(rows), f"a name occurs twice in {[row.name for row in rows]}"
    return table


def by_name(*rows: Row) -> Mapping[str, Row]:
    """The rows by name, read-only."""
    return MappingProxyType(named(*rows))


def find(kind: str, name: str, table: Mapping[str, Row]) -> Row:
    """The row of that name.

    Raises:
        InputError: If there is none; the message carries the nearest name and all known ones.
    """
    if name in table:
        return table[name]
    nearest = difflib.get_close_matches(str(name), list(table), n=1, cutoff=0.0)
    suggestion = f", did you mean {nearest[0]!r}?" if nearest else ""
    raise InputError(f"unknown {kind} {name!r}{suggestion} (known: {', '.join(table)})")
