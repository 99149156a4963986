"""The JSON schema accepts what the checker accepts, and tells an editor what every field means."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

import hpstudy
from hpstudy.catalog import LOSSES
from hpstudy.spec import load_study, parse_study, study_schema

STUDIES = Path(hpstudy.__file__).parents[1] / "studies"


@pytest.fixture(scope="module")
def validator():
    schema = study_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_it_is_plain_json():
    schema = study_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("path", sorted(STUDIES.rglob("*.yaml")), ids=lambda path: path.name)
def test_it_accepts_the_studies_and_their_canonical_form(validator, path):
    validator.validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    validator.validate(yaml.safe_load(load_study(path).resolved_yaml))


def test_it_accepts_parts_grids_and_own_losses(validator):
    study = parse_study(
        "version: 1\nname: x\narms:\n"
        "  a: {margin: {name: additive_angle, m: 0.3}, scale: {name: adacos_dynamic}}\n"
        "  b: {loss: arcface, past_pi: wrap, grid: {s: [16, 32], training.optimizer.lr: [0.1]}}\n"
        "  c: {loss: 'own.losses:Loss', k: 3, search: {k2: {int: [1, 4]}}}\n"
    )
    validator.validate(yaml.safe_load(study.resolved_yaml))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"nam": "x"},
        {"arms": {}},
        {"arms": {"a b": {"loss": "cosface"}}},
        {"arms": {"a": {"loss": "cosfac"}}},
        {"arms": {"a": {"loss": "cosface", "search": {"s": {"lgo": [1, 2]}}}}},
        {"arms": {"a": {"margin": {"name": "nothing"}, "scale": {"name": "fixed"}}}},
        {"conditions": {"data.identities.trian": [1]}},
        {"training": {"epochs": True}},
        {"search": {"objective": "train/loss"}},
    ],
)
def test_it_refuses_what_a_schema_can_see(validator, change):
    study = {"version": 1, "name": "x", "arms": {"a": {"loss": "cosface"}}}
    assert validator.is_valid(study)
    assert not validator.is_valid({**study, **change})


def test_every_field_is_described():
    schema = study_schema()
    sections = {"StudySpec": schema, **schema["$defs"]}
    bare = [
        f"{section}.{name}"
        for section, definition in sections.items()
        for name, field in definition["properties"].items()
        if not field.get("description")
    ]
    assert bare == []


def test_units_stand_beside_the_parameters():
    fields = study_schema()["$defs"]["ArmSpec"]["properties"]
    assert all(f"{name}: {info.title}" in fields["loss"]["description"] for name, info in LOSSES.items())
    assert "arcface, curricularface: added to the target angle; unit rad" in fields["m"]["description"]
