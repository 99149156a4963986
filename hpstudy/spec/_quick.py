"""The small variant of a study that its file describes under `quick`."""

from collections.abc import Mapping
from dataclasses import replace

from hpstudy.exceptions import Mistake
from hpstudy.spec._names import given
from hpstudy.spec._yaml import Document, Node

KEY = "quick"
SUFFIX = "-quick"
DESCRIPTION = (
    "What `--quick` replaces, laid out like the file itself: mappings are merged by their keys, all else is replaced. "
    "The small variant is a study of its own, named after this one with -quick. Example: {training: {epochs: 2}, "
    "search: {seeds: [0]}}. Default none."
)


def without_quick(document: Document) -> Document:
    """The study itself."""
    root = document.root
    if root is None or not isinstance(root.value, dict) or KEY not in root.value:
        return document
    entries = {key: node for key, node in root.value.items() if key != KEY}
    return replace(document, root=replace(root, value=entries))


def has_quick(document: Document) -> bool:
    """Whether the file describes a small variant."""
    node = document.root.child(KEY) if document.root else None
    return node is not None and isinstance(node.value, dict)


def quick_mistakes(document: Document, *, asked: bool) -> list[Mistake]:
    """What is wrong with the small variant before it is looked into: it is no mapping, or was asked for and is none."""
    node = document.root.child(KEY) if document.root else None
    if node is None and asked:
        message = "is required for --quick: what the small variant replaces, e.g. {training: {epochs: 2}}"
        return [Mistake(file=document.file, line=1, path=KEY, message=message)]
    if node is not None and not isinstance(node.value, dict):
        message = f"must be a mapping laid out like the file itself, but got {given(node.plain())}"
        return [Mistake(file=document.file, line=node.line, path=KEY, message=message)]
    own, other = (root.child("name") if root else None for root in (document.root, node))
    if own is not None and other is not None and own.value == other.value:
        message = f"the small variant is kept beside the study, so it can't be called {given(own.value)} too"
        return [Mistake(file=document.file, line=other.line, path=f"{KEY}.name", message=message)]
    return []


def of_quick(mistake: Mistake) -> Mistake:
    """A mistake that only the small variant has: its path begins with `quick`, wherever its parts stand."""
    return mistake if mistake.path.startswith(f"{KEY}.") else replace(mistake, path=f"{KEY}.{mistake.path}")


def small_variant(document: Document) -> Document:
    """The small variant; what it replaces stands where `quick` has it, so that mistakes name that line."""
    root = without_quick(document).root
    changes = document.root.child(KEY) if document.root else None
    assert root is not None, "a file that can't be read has been refused"
    assert changes is not None, "has_quick has been asked"
    entries = _merged(root.value, changes.value)
    name = root.value.get("name")
    if name is not None and "name" not in changes.value and isinstance(name.value, str):
        entries["name"] = replace(name, value=name.value + SUFFIX)
    return replace(document, root=replace(root, value=entries))


def _merged(old: Mapping[str, Node], new: Mapping[str, Node]) -> dict[str, Node]:
    merged = dict(old)
    for key, node in new.items():
        before = old.get(key)
        if before is not None and isinstance(before.value, dict) and isinstance(node.value, dict):
            merged[key] = replace(node, value=_merged(before.value, node.value))
        else:
            merged[key] = node
    return merged
