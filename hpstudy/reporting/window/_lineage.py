"""Where a study's numbers are from: its data, its code and its machines, as its sessions noted them."""

import json
import re
from collections.abc import Mapping, Sequence

from hpstudy.spec import Condition, Study
from hpstudy.tracking import DataInput

Session = Mapping[str, str]
_REVISION = re.compile(r"revision ([0-9a-f]{7,40})")
_TAGS = {"source": "source", "python": "python", "gpus": "gpus", "cpus": "cpus", "system": "system"}


def data_inputs(study: Study, sessions: Sequence[Session]) -> dict[str, list[DataInput]]:
    """The splits of each condition's data; empty for a condition whose data no session has hashed yet."""
    named: dict[str, str] = {}
    found: dict[str, list[DataInput]] = {}
    conditions = study.conditions()
    several = len({_as_text(condition) for condition in conditions}) > 1
    for condition in conditions:
        # Conditions may differ in the network alone, and then share their data.
        label = named.setdefault(_as_text(condition), condition.id)
        digest = _noted(sessions, f"data {condition.id}")
        found[condition.id] = (
            _splits(condition, digest, _noted(sessions, f"images {condition.id}"), label if several else "")
            if digest
            else []
        )
    return found


def once_each(inputs: Mapping[str, Sequence[DataInput]]) -> list[DataInput]:
    """The data of a whole study, each split once."""
    return list(dict.fromkeys(data for of_condition in inputs.values() for data in of_condition))


def _splits(condition: Condition, digest: str, images: str, label: str) -> list[DataInput]:
    data = condition.data.model_dump(mode="json", exclude_none=True)
    counts = {split: int(count) for count, split in re.findall(r"(\d+) (\w+)", images)}
    return [
        DataInput(
            name=f"{condition.data.source} {split}{f' [{label}]' if label else ''}",
            digest=digest,
            context=split,
            source_type=condition.data.source.rpartition(":")[2][:36],
            source={"data": data, "split": split, "sha256": digest},
            profile={"num_identities": identities} | ({"num_images": counts[split]} if split in counts else {}),
        )
        for split, identities in condition.data.identities.model_dump().items()
        if identities
    ]


def _as_text(condition: Condition) -> str:
    return json.dumps(condition.data.model_dump(mode="json"), sort_keys=True)


def _noted(sessions: Sequence[Session], name: str) -> str:
    return next((session[name] for session in sessions if session.get(name)), "")


def origin_tags(sessions: Sequence[Session]) -> dict[str, str]:
    """What the study's run is looked up by: revision, Python, devices; of the last session."""
    if not sessions:
        return {}
    last = sessions[-1]
    tags = {name: last[key] for key, name in _TAGS.items() if last.get(key)}
    tags |= {"mlflow.source.name": "hpstudy", "mlflow.source.type": "LOCAL"}
    if revision := _REVISION.search(last.get("source", "")):
        tags["mlflow.source.git.commit"] = revision[1]
    return tags


def environment(sessions: Sequence[Session]) -> str:
    """Every session with all that it noted, packages one a line."""
    blocks = []
    for number, session in enumerate(sessions, 1):
        packages = session.get("packages", "").replace(", ", "\n  ")
        lines = [f"{name}: {value}" for name, value in session.items() if name != "packages"]
        blocks.append("\n".join([f"session {number}", *lines, "packages:", f"  {packages}"]))
    return "\n\n".join(blocks) + "\n" if blocks else ""
