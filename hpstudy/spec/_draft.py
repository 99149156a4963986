"""A study file on its way to a study: what is valid of it, and every mistake so far."""

import copy
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hpstudy.exceptions import Mistake
from hpstudy.spec._errors import message_of, path_of
from hpstudy.spec._study_spec import StudySpec
from hpstudy.spec._yaml import Document, Key, Node, dotted

Path = tuple[Key, ...]
_PLACEHOLDERS: dict[str, Any] = {"version": 1, "name": "unnamed", "arms": {"unnamed": {"loss": "normface"}}}
_MAX_ROUNDS = 100


class Draft:
    """The valid part of a study file as a `StudySpec`, and the mistakes of the rest.

    Invalid values are taken out, one round after another, until the remainder is valid; so the checks across sections
    can look at a whole spec, and ask with `trusted` whether what they look at is what the file says.
    """

    def __init__(self, document: Document, root: Node) -> None:
        self.root = root
        self._file = document.file
        self._mistakes = list(document.mistakes)
        self._removed: set[Path] = set()
        self.spec = self._valid_part()

    def mistakes(self) -> list[Mistake]:
        """Every mistake, each once, in the order of the file."""
        ordered = sorted(dict.fromkeys(self._mistakes), key=lambda entry: (entry[1].line, entry[0]))
        return [mistake for _, mistake in ordered]

    def report(self, path: Path, message: str, *, at: Path | None = None) -> None:
        """Note a mistake at `path`; it stands where `at` (or else `path`, or the nearest thing above) stands."""
        node = self.root.at(at or path)
        self._mistakes.append(
            (node.column, Mistake(file=self._file, line=node.line, path=dotted(path), message=message))
        )

    def has(self, *path: Key) -> bool:
        """Whether the file gives this path itself."""
        node: Node | None = self.root
        for key in path:
            node = node.child(key) if node else None
        return node is not None

    def trusted(self, *path: Key) -> bool:
        """Whether `spec` says at this path what the file says, i.e. nothing at, above or below it was taken out."""
        return not any(removed[: len(path)] == path or path[: len(removed)] == removed for removed in self._removed)

    def _valid_part(self) -> StudySpec:
        data = copy.deepcopy(self.root.plain())
        if not isinstance(data, dict):
            self.report((), "a study file is a mapping with version, name and arms")
            self._removed.add(())
            data = dict(_PLACEHOLDERS)
        for _ in range(_MAX_ROUNDS):
            try:
                return StudySpec.model_validate(data)
            except ValidationError as error:
                for details in error.errors(include_url=False):
                    self._take_out(data, details)
        raise AssertionError(f"{self._file}: taking out what is invalid does not end: {data}")

    def _take_out(self, data: dict[str, Any], error: ErrorDetails) -> None:
        path = path_of(error, self.root)
        fields = [(*path, field) for field in str(error.get("ctx", {}).get("fields", "")).split()]
        shown = (fields or [path])[0]
        follows = not all(self.trusted(*field) for field in fields) if fields else not self._is_new(path)
        if not follows:
            self.report(_parameter(shown), message_of(error, shown), at=shown)
        self._remove(data, path if error["type"] != "missing" or len(path) == 1 else path[:-1])

    def _is_new(self, path: Path) -> bool:
        return not any(removed[: len(path)] == path for removed in self._removed)

    def _remove(self, data: dict[str, Any], path: Path) -> None:
        first_index = next((index for index, key in enumerate(path) if isinstance(key, int)), len(path))
        path = _parameter(path[:first_index])
        self._removed.add(path)
        parent: Any = data
        for key in path[:-1]:
            parent = parent.get(key) if isinstance(parent, dict) else None
        if not isinstance(parent, dict):
            return
        parent.pop(path[-1], None)
        if len(path) == 1 and path[0] in _PLACEHOLDERS:
            parent[path[0]] = copy.deepcopy(_PLACEHOLDERS[str(path[0])])


def _parameter(path: Path) -> Path:
    """A searched parameter is the unit of mistakes, whatever inside its range is wrong."""
    return path[:4] if len(path) > 4 and path[0] == "arms" and path[2] in ("search", "grid") else path
