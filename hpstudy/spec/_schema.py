"""The format of study files as a JSON schema, for the completion of editors."""

from collections.abc import Mapping
from typing import Any

from hpstudy.catalog import CRITERIA, LOSSES, MARGINS, SCALES, OptionInfo, ParameterInfo, Part, installed_losses
from hpstudy.spec._fields import ARM_NAME, ATTRIBUTE, STUDY_NAME
from hpstudy.spec._objectives import COSTS, METRIC_PATTERN
from hpstudy.spec._paths import FIELDS, SEARCHABLE
from hpstudy.spec._quick import DESCRIPTION as QUICK_DESCRIPTION
from hpstudy.spec._quick import KEY as QUICK
from hpstudy.spec._study_spec import StudySpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def study_schema() -> Schema:
    """The JSON schema (draft 2020-12) of study files, with descriptions, units, defaults and known names.

    It is as strict as a schema can be; what only the whole file shows (units, paths, budgets) is left to `load_study`.
    """
    schema: Schema = {"$schema": DIALECT, **StudySpec.model_json_schema()}
    schema["title"] = "hpstudy study file"
    schema["properties"][QUICK] = {"type": "object", "description": QUICK_DESCRIPTION}
    properties, definitions = schema["properties"], schema["$defs"]
    properties["name"]["pattern"] = f"^{STUDY_NAME.pattern}$"
    properties["arms"]["propertyNames"] = {"pattern": f"^{ARM_NAME.pattern}$"}
    properties["conditions"]["propertyNames"] = {"enum": list(FIELDS)}
    objective = definitions["SearchSpec"]["properties"]["objective"]
    definitions["SearchSpec"]["properties"]["objective"] = _objective(objective)
    definitions["ArmSpec"] = _arm(definitions["ArmSpec"])
    part = definitions.pop("PartSpec")
    for kind, catalogue in (("margin", MARGINS), ("scale", SCALES)):
        definitions[kind.capitalize()] = _part(part, catalogue)
        field = definitions["ArmSpec"]["properties"][kind]
        definitions["ArmSpec"]["properties"][kind] = {
            "$ref": f"#/$defs/{kind.capitalize()}",
            "description": field["description"],
        }
    definitions["TermSpec"] = _term(definitions["TermSpec"])
    terms = next(
        entry
        for entry in definitions["ArmSpec"]["properties"]["regularisers"]["anyOf"]
        if entry.get("type") == "object"
    )
    terms["propertyNames"] = {"enum": list(CRITERIA)}
    return schema


def _objective(schema: Schema) -> Schema:
    metric = {"type": "string", "pattern": METRIC_PATTERN}
    several = {
        "type": "array",
        "prefixItems": [metric],
        "items": {"anyOf": [metric, {"enum": list(COSTS)}]},
        "minItems": 1,
        "uniqueItems": True,
    }
    return {"anyOf": [metric, several], **{key: schema[key] for key in ("default", "description")}}


def _arm(schema: Schema) -> Schema:
    properties = dict(schema["properties"])
    owners = _owners(LOSSES)
    names = "; ".join(f"{loss.name}: {loss.title}" for loss in LOSSES.values())
    properties["loss"] = {
        "description": f"{properties['loss']['description']} Known: {names}.",
        "anyOf": [{"enum": [*LOSSES, *installed_losses()]}, {"type": "string", "pattern": f"^{ATTRIBUTE.pattern}$"}],
    }
    properties |= _settings(owners)
    for section in ("search", "grid"):
        branch = next(entry for entry in properties[section]["anyOf"] if entry.get("type") == "object")
        entry = branch["additionalProperties"]
        searchable = [name for name, infos in owners.items() if isinstance(infos[0][1], ParameterInfo)]
        known = {name: {**entry, "description": properties[name]["description"]} for name in searchable}
        known |= {path: {**entry, "description": f"The field {path} of every trial."} for path in SEARCHABLE}
        properties[section] = {**branch, "properties": known, "description": properties[section]["description"]}
    return {**schema, "properties": properties}


def _part(schema: Schema, catalogue: Mapping[str, Part]) -> Schema:
    names = "; ".join(f"{info.name}: {info.formula}" for info in catalogue.values())
    name = {"enum": list(catalogue), "description": names}
    return {**schema, "properties": {"name": name, **_settings(_owners(catalogue))}}


def _term(schema: Schema) -> Schema:
    owners = _owners(CRITERIA)
    owners["weight"] = [(name, info.weight) for name, info in CRITERIA.items()]
    return {**schema, "properties": _settings(owners)}


Owners = dict[str, list[tuple[str, ParameterInfo | OptionInfo]]]
"""By the name of a setting: which loss or part takes it, and as what."""


def _owners(catalogue: Mapping[str, Part]) -> Owners:
    owners: Owners = {}
    for part in catalogue.values():
        takes: dict[str, ParameterInfo | OptionInfo] = {**part.parameters, **part.options}
        for name, info in takes.items():
            owners.setdefault(name, []).append((part.name, info))
    return owners


def _settings(owners: Owners) -> Schema:
    kinds = {
        name: {"type": "number"} if isinstance(infos[0][1], ParameterInfo) else {"enum": sorted(_options(infos))}
        for name, infos in owners.items()
    }
    return {name: {**kind, "description": _by_meaning(owners[name])} for name, kind in kinds.items()}


def _by_meaning(infos: list[tuple[str, ParameterInfo | OptionInfo]]) -> str:
    losses: dict[str, list[str]] = {}
    for loss, info in infos:
        losses.setdefault(_described(info), []).append(loss)
    return "; ".join(f"{', '.join(names)}: {described}" for described, names in losses.items())


def _described(info: ParameterInfo | OptionInfo) -> str:
    if isinstance(info, OptionInfo):
        return f"{info.meaning}. Default {info.default}"
    return f"{info.meaning}; unit {info.unit}, in {info.valid_range}. Default {info.default:g}"


def _options(infos: list[tuple[str, ParameterInfo | OptionInfo]]) -> set[str]:
    return {name for _, info in infos if isinstance(info, OptionInfo) for name in info.allowed}
