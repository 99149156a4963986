"""What several studies share, and what differs between their study files."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from hpstudy.analysis._compared import UNKNOWN, ComparedStudy
from hpstudy.analysis._metrics import metric_name
from hpstudy.analysis._words import counted, listed

ABSENT = "absent"
"""Stands for a key that a study file does not have."""

_OWN_KEYS = ("name",)
"""Keys that differ between any two studies."""
_HASH = 12


def shared_facts(studies: Sequence[ComparedStudy]) -> pd.DataFrame:
    """Which studies agree in what decides whether they can be compared.

    Returns:
        One row per aspect × value: `aspect`, `value`, `studies` (tuple of the labels that have it), `shared` (whether
        all have it).
    """
    return _grouped(
        studies, [(aspect, {study.label: tell(study) for study in studies}) for aspect, tell in _ASPECTS.items()]
    ).rename(columns={"key": "aspect"})


def differing_keys(studies: Sequence[ComparedStudy]) -> pd.DataFrame:
    """The keys at which the study files differ, every default filled in; the name is left out.

    A part that some file lacks (an arm, say) is one row.

    Returns:
        One row per key path × value: `key`, `value`, `studies` (tuple of labels), `shared` (False).
    """
    settings = {study.label: study.settings for study in studies}
    found = [
        (key, {label: _text(value) for label, value in values.items()}) for key, values in _differences(settings, "")
    ]
    return _grouped(studies, [one for one in found if one[0] not in _OWN_KEYS])


def _grouped(studies: Sequence[ComparedStudy], found: Sequence[tuple[str, Mapping[str, str]]]) -> pd.DataFrame:
    rows = []
    for key, values in found:
        for value in dict.fromkeys(values.values()):
            having = tuple(study.label for study in studies if values[study.label] == value)
            rows.append((key, value, having, len(having) == len(studies)))
    return pd.DataFrame(rows, columns=["key", "value", "studies", "shared"])


_MISSING = object()


def _differences(values: Mapping[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    """Paths at which nested mappings differ, with the value of each study."""
    given = list(values.values())
    if all(isinstance(value, Mapping) for value in given):
        found = []
        for key in dict.fromkeys(key for value in given for key in value):
            below = {label: value.get(key, _MISSING) for label, value in values.items()}
            found += _differences(below, f"{path}.{key}" if path else str(key))
        return found
    return [] if all(_same(value, given[0]) for value in given) else [(path, dict(values))]


def _same(one: Any, other: Any) -> bool:
    return one is other or (_MISSING not in (one, other) and bool(one == other) and type(one) is type(other))


def _text(value: Any) -> str:
    """A value as a study file would write it."""
    return ABSENT if value is _MISSING else _flow(value)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_flow(entry)}' for key, entry in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_flow(entry) for entry in value)}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _settled(study: ComparedStudy, section: str) -> str:
    """A section of the study file, by its dotted path, as text, with what conditions vary marked so."""
    varied = {str(path) for path in study.settings.get("conditions", {})}
    value: Any = study.settings
    for key in section.split("."):
        value = value.get(key, {})
    return _flow(_marked(value, section, varied)).removeprefix("{").removesuffix("}") or UNKNOWN


def _marked(value: Any, path: str, varied: set[str]) -> Any:
    if path in varied:
        return "by condition"
    if isinstance(value, Mapping):
        return {key: _marked(entry, f"{path}.{key}", varied) for key, entry in value.items()}
    return value


def _data(study: ComparedStudy) -> str:
    hashes = dict.fromkeys(place.data_hash[:_HASH] or UNKNOWN for place in study.places.values())
    source = study.settings.get("data", {}).get("source", "")
    return f"{source}, SHA-256 {listed(list(hashes))}".lstrip(", ")


def _search(study: ComparedStudy) -> str:
    search = study.settings.get("search", {})
    if not search:
        return UNKNOWN
    seeds = counted(len(search.get("seeds", [0])), "search")
    stopping = search.get("early_stopping", {}).get("kind", "none")
    return f"{search.get('sampler')}, {counted(search.get('trials', 0), 'trial')} × {seeds}, early stopping {stopping}"


def device_of(study: ComparedStudy) -> str:
    """What its trials ran on."""
    if study.trials.empty or "device" not in study.trials:
        return UNKNOWN
    return ", ".join(sorted(set(study.trials["device"].astype(str)) - {""})) or UNKNOWN


def metric_of(study: ComparedStudy) -> str:
    """What its confirm trials were judged by."""
    identities = "test" if study.metric.startswith("test/") else "validation"
    return f"{metric_name(study.metric).title}, {identities} identities"


def _seeds(study: ComparedStudy) -> str:
    seeds = study.seeds()
    if not seeds:
        return "none yet"
    whole = seeds == list(range(seeds[0], seeds[-1] + 1))
    text = f"{seeds[0]} to {seeds[-1]}" if whole and len(seeds) > 2 else listed([str(seed) for seed in seeds])
    return f"{len(seeds)} ({text})"


def _progress(study: ComparedStudy) -> str:
    if study.trials.empty:
        return "no trial yet"
    return study.facts.unfinished(study.trials) or "all trials ended"


_ASPECTS: Mapping[str, Callable[[ComparedStudy], str]] = {
    "metric": metric_of,
    "margin δ": lambda study: f"±{study.margin_text}",
    "data": _data,
    "identities": lambda study: _settled(study, "data.identities"),
    "network": lambda study: _settled(study, "model"),
    "training": lambda study: _settled(study, "training"),
    "confirm seeds": _seeds,
    "search": _search,
    "progress": _progress,
    "deviations": lambda study: ", ".join(study.deviations) or "none",
    "code": lambda study: study.session_values("source"),
    "packages": lambda study: study.session_values("packages"),
    "trials ran on": device_of,
}
