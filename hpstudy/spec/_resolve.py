"""The canonical form of a study: every default filled in, numbers of one type, one spelling."""

import difflib
import hashlib
from typing import Any

import yaml

from hpstudy.spec._arms import ArmSpec, PartSpec, TermSpec
from hpstudy.spec._data import absolute
from hpstudy.spec._heads import filled_parts, head_table
from hpstudy.spec._paths import SEARCHABLE, Trained
from hpstudy.spec._ranges import Choice, SearchRange
from hpstudy.spec._study_spec import StudySpec
from hpstudy.spec._yaml import resolve as plain_scalar

_PATHS = ("data.path", "data.fonts")


def resolved(spec: StudySpec, root: str) -> StudySpec:
    """The study with absolute paths and every parameter of every arm written out.

    Args:
        spec: A study without mistakes.
        root: The folder that relative paths start from.
    """
    paths = {name: absolute(path, root) for name in ("path", "fonts") if (path := getattr(spec.data, name)) is not None}
    data = spec.data.model_copy(update=paths)
    trained = Trained(data=data, model=spec.model, training=spec.training)
    conditions = {
        path: tuple(absolute(str(value), root) if path in _PATHS else _typed(trained, path, value) for value in values)
        for path, values in spec.conditions.items()
    }
    arms = {name: _resolved_arm(arm) for name, arm in spec.arms.items()}
    return StudySpec.model_validate(
        spec.model_copy(update={"data": data, "conditions": conditions, "arms": arms}).model_dump()
    )


def _typed(trained: Trained, path: str, value: Any) -> Any:
    """The value as its field holds it: 1 for a real field is 1.0."""
    return float(value) if isinstance(trained.get(path), float) and not isinstance(value, str) else value


def _resolved_arm(arm: ArmSpec) -> ArmSpec:
    table = head_table(arm)
    chosen = {**(arm.search or {}), **(arm.grid or {})}
    update: dict[str, Any] = {
        "search": {name: _resolved_range(entry, _kind(name, table is not None)) for name, entry in arm.search.items()}
        if arm.search
        else None,
        "grid": {name: _numbers(values, _kind(name, table is not None)) for name, values in arm.grid.items()}
        if arm.grid
        else None,
    }
    if table is None:
        return ArmSpec.model_validate({"loss": arm.loss, **arm.settings, **update})
    searched = {table.place(name) for name in chosen if name in table.parameters}
    filled = {
        part: {name: value for name, value in values.items() if (part, name) not in searched}
        for part, values in filled_parts(arm, table, {}).items()
    }
    if table.regularisers:
        update["regularisers"] = {name: TermSpec.model_validate(filled[name]) for name in table.regularisers}
    if arm.loss is not None:
        plain = {name: value for part in reversed(list(table.parts)) for name, value in filled[part].items()}
        return ArmSpec.model_validate({"loss": arm.loss, **plain, **update})
    parts = {kind: PartSpec.model_validate({"name": part.name, **filled[kind]}) for kind, part in table.parts.items()}
    return ArmSpec.model_validate({**parts, **update})


def _kind(name: str, catalogued: bool) -> type | None:
    """Type of a searched number; None leaves it as given (the parameters of a user's own loss)."""
    return SEARCHABLE.get(name) or (float if catalogued else None)


def _resolved_range(entry: SearchRange, kind: type | None) -> SearchRange:
    return Choice(choice=_numbers(entry.choice, kind)) if isinstance(entry, Choice) else entry


def _numbers(values: tuple[float, ...], kind: type | None) -> tuple[float, ...]:
    return tuple(kind(value) for value in values) if kind else values


def canonical_yaml(spec: StudySpec) -> str:
    """A resolved study as YAML: fields in the order of the format, arms and conditions in that of the file."""
    data = spec.model_dump(mode="json")
    data["arms"] = {name: _written_arm(arm) for name, arm in data["arms"].items()}
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)


def _written_arm(arm: dict[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in arm.items() if value is not None}
    last: dict[str, Any] = {key: given.pop(key) for key in ("search", "grid") if key in given}
    return {**given, **last}


def sha256_of(resolved_yaml: str) -> str:
    """Fingerprint of a study."""
    return hashlib.sha256(resolved_yaml.encode()).hexdigest()


def diff_studies(old_yaml: str, new_yaml: str) -> str:
    """What differs between two resolved studies, as a unified diff; empty if nothing does."""
    return "".join(
        difflib.unified_diff(
            old_yaml.splitlines(keepends=True),
            new_yaml.splitlines(keepends=True),
            "the study as begun",
            "this file",
            n=2,
        )
    )


class _Dumper(yaml.SafeDumper):
    """Quotes every text that either YAML 1.1 or 1.2 would read as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if isinstance(plain_scalar(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
