"""Pydantic's errors as mistakes that a person can act on."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from hpstudy.spec._fields import descriptions
from hpstudy.spec._names import given, listed, nearest
from hpstudy.spec._quick import KEY as QUICK
from hpstudy.spec._study_spec import StudySpec
from hpstudy.spec._yaml import Key, Node

_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "mapping_type": "a mapping",
}
_LIMITS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def path_of(error: ErrorDetails, root: Node) -> tuple[Key, ...]:
    """Where in the file an error is: its location without the tags that pydantic inserts."""
    path: list[Key] = []
    node: Node | None = root
    missing = error["type"] == "missing"
    for key in error["loc"][:-1] if missing else error["loc"]:
        below = node.child(key) if node else None
        if below is not None:
            path.append(key)
            node = below
    return (*path, error["loc"][-1]) if missing else tuple(path)


def message_of(error: ErrorDetails, path: tuple[Key, ...]) -> str:
    """What was given, what is allowed, and the nearest name."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return _missing(path)
    if kind == "extra_forbidden":
        owner = _annotation(path[:-1])
        known = list(owner.model_fields) if _is_model(owner) else []
        known += [QUICK] if owner is StudySpec and path[-1] != QUICK else []
        return f"unknown key {given(path[-1])}{nearest(str(path[-1]), known)} (known: {listed(known)})"
    if kind == "literal_error":
        return _not_listed(value, [str(name) for name in _literals(_annotation(path))])
    if kind in _KINDS:
        hint = "" if not isinstance(value, str) or kind == "string_type" else _unquoted(value)
        return f"must be {_KINDS[kind]}, but got {given(value)}{hint}"
    if kind in _LIMITS:
        limit, words = _LIMITS[kind]
        return f"must be {words} {context[limit]:g}, but got {given(value)}"
    if kind == "too_short":
        return f"must have at least {context['min_length']} entry, but got {given(value)}"
    if kind == "too_long":
        return f"must have {context['max_length']} entries, but got {given(value)}"
    if kind in ("scalar", "setting", "number", "range"):
        return f"{error['msg']}, but got {given(value)}"
    return error["msg"]


def _missing(path: tuple[Key, ...]) -> str:
    if isinstance(path[-1], int):
        return "a range has two ends, [low, high]"
    owner = _annotation(path[:-1])
    text = descriptions(owner).get(str(path[-1]), "") if _is_model(owner) else ""
    description = f": {text.split('. ')[0].rstrip('.')}" if text else ""
    return f"is required{description}"


def _not_listed(value: Any, known: list[str]) -> str:
    if known == ["1"]:
        return f"must be 1, the only version of the format that is read here, but got {given(value)}"
    return f"must be one of {listed(known)}, but got {given(value)}{nearest(str(value), known)}"


def _unquoted(value: str) -> str:
    try:
        float(value.replace("_", ""))
    except ValueError:
        return ""
    return " (a text; write it without quotes and underscores)"


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _literals(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _annotation(path: tuple[Key, ...]) -> Any:
    """The type that the models give to a path."""
    annotation: Any = StudySpec
    for key in path:
        annotation = _below(annotation, key)
    return annotation


def _below(annotation: Any, key: Key) -> Any:
    if _is_model(annotation):
        field = annotation.model_fields.get(key)
        return bare(field.annotation) if field else None
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return bare(arguments[1])
    if get_origin(annotation) is tuple:
        return bare(arguments[0])
    return None


def bare(annotation: Any) -> Any:
    """A type without `Annotated` and without `| None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
            if len(arguments) > 1:
                return annotation
            annotation = arguments[0]
        else:
            return annotation
