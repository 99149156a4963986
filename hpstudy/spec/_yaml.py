"""YAML text to plain data that remembers where every value stood.

The tree is composed from parser events, because libyaml's own composer overflows the C stack on deep nesting. Scalars
follow the core schema of YAML 1.2, as editors do: `1e-3` is a number, `yes` is a text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import yaml

from hpstudy.exceptions import Mistake

Key = str | int
WHOLE_FILE = "(file)"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 32
_MAX_NODES = 50_000
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A value of the file and where it stands; an entry of a mapping stands where its key does."""

    value: Any
    """A scalar, a `dict[str, Node]` or a `list[Node]`."""
    line: int
    """1-based."""
    column: int
    size: int = 1

    def plain(self) -> Any:
        """The value without positions."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, key: Key) -> "Node | None":
        """The entry of that key or index, if there is one."""
        if isinstance(self.value, dict):
            return self.value.get(str(key))
        if isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value):
            return self.value[key]
        return None

    def at(self, path: tuple[Key, ...]) -> "Node":
        """The deepest node along `path`."""
        node = self
        for key in path:
            below = node.child(key)
            if below is None:
                break
            node = below
        return node


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A parsed file: its tree, and what was wrong on the way; without a tree nothing more can be checked."""

    file: str
    root: Node | None
    mistakes: tuple[tuple[int, Mistake], ...]
    """Column and mistake."""


class _StopError(Exception):
    """The text can't be read any further."""


def read_yaml(text: str, file: str) -> Document:
    """Parse one YAML document; syntax errors, duplicate keys and custom tags become mistakes."""
    composer = _Composer(file)
    root = None
    try:
        root = composer.document(text)
    except _StopError:
        pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column) if mark else (1, 0)
        composer.refuse(line, column, (), _syntax(error, text, line, column))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        composer.refuse(line, 0, (), f"a character that YAML does not allow: {error.reason}")
    except UnicodeEncodeError as error:
        composer.refuse(text.count("\n", 0, error.start) + 1, 0, (), "a character that is not valid Unicode")
    return Document(file=file, root=root, mistakes=tuple(composer.mistakes))


def _syntax(error: yaml.MarkedYAMLError, text: str, line: int, column: int) -> str:
    lines = text.splitlines()
    if line <= len(lines) and lines[line - 1][column : column + 1] == "\t":
        return "a tab can't indent; use spaces"
    where = f" ({error.context} that begins on line {error.context_mark.line + 1})" if error.context_mark else ""
    return f"not YAML: {error.problem}{where}"


def dotted(path: tuple[Key, ...]) -> str:
    """A key path as messages write it: `arms.arcface.search.m`, `search.seeds[1]`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".") or WHOLE_FILE


class _Composer:
    def __init__(self, file: str) -> None:
        self._file = file
        self._anchors: dict[str, Node | None] = {}
        self.mistakes: list[tuple[int, Mistake]] = []

    def refuse(self, line: int, column: int, path: tuple[Key, ...], message: str) -> None:
        self.mistakes.append((column, Mistake(file=self._file, line=line, path=dotted(path), message=message)))

    def document(self, text: str) -> Node:
        events = yaml.parse(text, Loader=_LOADER)
        root = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._stop(event, (), "a study file holds one document, but a second one begins here")
                root = self._node(events, next(events), ())
        if root is None or root.value is None:
            self.refuse(1, 0, (), "the file is empty; a study needs version, name and arms")
            raise _StopError
        return root

    def _node(self, events: Iterator[Any], event: Any, path: tuple[Key, ...]) -> Node:
        if len(path) > _MAX_DEPTH:
            self._stop(event, (), f"nested deeper than {_MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = _node_at(event, self._scalar(event, path))
        else:
            node = self._collection(events, event, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _collection(self, events: Iterator[Any], event: Any, path: tuple[Key, ...]) -> Node:
        if isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(event, ("seq",), path)
            items: list[Node] = []
            while not isinstance(below := next(events), yaml.SequenceEndEvent):
                items.append(self._node(events, below, (*path, len(items))))
            return self._sized(event, items, items, path)
        self._check_tag(event, ("map",), path)
        entries: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        while not isinstance(below := next(events), yaml.MappingEndEvent):
            key = self._key(events, below, path)
            value = self._node(events, next(events), (*path, key))
            if key == "<<" and below.implicit[0]:
                self._merge(value, merged, path)
            elif key in entries:
                first = entries[key].line
                self._refuse_at(below, (*path, key), f"the key {key!r} is given twice, first on line {first}")
            else:
                entries[key] = replace(value, line=below.start_mark.line + 1, column=below.start_mark.column)
        return self._sized(event, {**merged, **entries}, [*merged.values(), *entries.values()], path)

    def _key(self, events: Iterator[Any], event: Any, path: tuple[Key, ...]) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._stop(event, path, "a key must be a plain text")
        self._check_tag(event, ("str",), path)
        key: str = event.value
        return key

    def _merge(self, value: Node, merged: dict[str, Node], path: tuple[Key, ...]) -> None:
        sources = value.value if isinstance(value.value, list) else [value]
        for source in sources:
            if isinstance(source.value, dict):
                merged.update({key: node for key, node in source.value.items() if key not in merged})
            else:
                self.refuse(value.line, value.column, (*path, "<<"), "<< takes a mapping, or a list of mappings")

    def _alias(self, event: Any, path: tuple[Key, ...]) -> Node:
        if event.anchor not in self._anchors:
            self._stop(event, path, f"no anchor &{event.anchor} stands above this alias")
        node = self._anchors[event.anchor]
        if node is None:
            self._stop(event, path, f"the alias *{event.anchor} stands inside its own anchor")
        return replace(node, line=event.start_mark.line + 1, column=event.start_mark.column)

    def _sized(self, event: Any, value: Any, below: list[Node], path: tuple[Key, ...]) -> Node:
        size = 1 + sum(node.size for node in below)
        if size > _MAX_NODES:
            self._stop(event, path, f"more than {_MAX_NODES} values (through aliases)")
        return replace(_node_at(event, value), size=size)

    def _scalar(self, event: Any, path: tuple[Key, ...]) -> Any:
        text: str = event.value
        if event.tag is not None:
            self._check_tag(event, ("str", "int", "float", "bool", "null"), path)
        if event.tag in ("!", f"{_TAG}str") or (event.tag is None and not event.implicit[0]):
            return text
        value = resolve(text)
        if event.tag is None:
            return value
        kinds = {"int": int, "float": int | float, "bool": bool, "null": type(None)}
        kind = kinds.get(event.tag.removeprefix(_TAG))
        if kind is not None and not isinstance(value, kind):
            self._refuse_at(event, path, f"{text!r} is not what its tag !!{event.tag.removeprefix(_TAG)} says")
        return value

    def _check_tag(self, event: Any, allowed: tuple[str, ...], path: tuple[Key, ...]) -> None:
        if event.tag is not None and event.tag not in ("!", *(_TAG + name for name in allowed)):
            name = event.tag.replace(_TAG, "!!")
            self._refuse_at(event, path, f"the tag {name} is not allowed; a study file holds plain values")

    def _refuse_at(self, event: Any, path: tuple[Key, ...], message: str) -> None:
        self.refuse(event.start_mark.line + 1, event.start_mark.column, path, message)

    def _stop(self, event: Any, path: tuple[Key, ...], message: str) -> NoReturn:
        self._refuse_at(event, path, message)
        raise _StopError


def _node_at(event: Any, value: Any) -> Node:
    return Node(value=value, line=event.start_mark.line + 1, column=event.start_mark.column)


def resolve(text: str) -> Any:
    """The value of a plain scalar in YAML 1.2's core schema."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    if _INT.fullmatch(text) and len(text) <= 30:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
