"""The small variant that a study file describes under `quick`."""

import hashlib
from pathlib import Path

import jsonschema
import pytest
import yaml

import hpstudy
from hpstudy.exceptions import StudyFileError
from hpstudy.spec import load_study, parse_study, study_schema

STUDIES = Path(hpstudy.__file__).parents[1] / "studies"
FULL = """\
version: 1
name: study
training: {epochs: 20, batch_size: 64, optimizer: {name: sgd, lr: 0.05}}
conditions: {model.embedding_dim: [8, 16], model.width: [4, 8]}
arms:
  a: {loss: cosface, s: 16, grid: {m: [0, 0.1, 0.2, 0.3]}}
  b: {loss: adacos}
search: {seeds: [0, 1, 2]}
confirm: {seeds: 0}
"""
QUICK = """\
quick:
  training: {epochs: 2, optimizer: {lr: 0.2}}
  conditions: {model.embedding_dim: [8]}
  arms: {a: {grid: {m: [0, 0.3]}}, c: {loss: normface}}
  search: {seeds: [0]}
"""


def mistakes_of(text: str, *, quick: bool = False) -> list[tuple[int, str, str]]:
    with pytest.raises(StudyFileError) as caught:
        parse_study(text, quick=quick)
    return [(mistake.line, mistake.path, mistake.message) for mistake in caught.value.mistakes]


def test_mappings_are_merged_and_all_else_is_replaced() -> None:
    full, small = parse_study(FULL + QUICK), parse_study(FULL + QUICK, quick=True)
    assert small.spec.training.epochs == 2
    assert (small.spec.training.batch_size, small.spec.training.optimizer.name) == (64, "sgd")
    assert small.spec.training.optimizer.lr == 0.2
    assert small.spec.conditions == {"model.embedding_dim": (8,), "model.width": (4, 8)}
    assert [arm.name for arm in small.arms] == ["a", "b", "c"]
    assert small.arm("a").grid_points() == [{"m": 0}, {"m": 0.3}]
    assert small.arm("a").spec.settings == {"s": 16}
    assert small.spec.search.seeds == (0,)
    assert small.is_survey
    assert small.planned_trials() == {"search": 0, "grid": 2 * (2 + 1 + 1), "confirm": 0}
    assert full.planned_trials() == {"search": 0, "grid": 4 * 3 * (4 + 1), "confirm": 0}


def test_it_is_a_study_of_its_own() -> None:
    full, small = parse_study(FULL + QUICK), parse_study(FULL + QUICK, quick=True)
    assert (full.name, small.name) == ("study", "study-quick")
    assert small.sha256 == hashlib.sha256(small.resolved_yaml.encode()).hexdigest() != full.sha256
    assert parse_study(small.resolved_yaml) == small
    assert parse_study(f"{FULL}quick: {{name: peek}}\n", quick=True).name == "peek"
    assert parse_study(f"{FULL}quick: {{}}\n", quick=True).name == "study-quick"


@pytest.mark.parametrize("section", [QUICK, "quick: {}\n", "quick: {name: peek, search: {seeds: [7, 8]}}\n"])
def test_the_study_itself_does_not_change_with_the_section(section: str) -> None:
    bare, beside = parse_study(FULL), parse_study(FULL + section)
    assert beside.resolved_yaml == bare.resolved_yaml
    assert beside.sha256 == bare.sha256
    assert beside == bare
    assert parse_study(section + FULL) == bare, "wherever in the file it stands"
    assert "quick" not in beside.resolved_yaml


MISTAKES = {
    "a list": ("quick: [1]\n", [(10, "quick", "must be a mapping laid out like the file itself, but got [1]")]),
    "nothing": ("quick:\n", [(10, "quick", "must be a mapping laid out like the file itself, but got nothing")]),
    "a text": ("quick: small\n", [(10, "quick", "must be a mapping laid out like the file itself, but got 'small'")]),
    "values": (
        "quick:\n  training: {epochs: 0}\n  search: {sampler: tpee}\n  trainig: {epochs: 2}\n",
        [
            (11, "quick.training.epochs", "must be at least 1, but got 0"),
            (12, "quick.search.sampler", "did you mean 'tpe'?"),
            (13, "quick.trainig", "unknown key 'trainig'; did you mean 'training'?"),
        ],
    ),
    "the key itself": ("quick: {quick: {training: {epochs: 2}}}\n", [(10, "quick.quick", "unknown key 'quick' (kno")]),
    "a key twice": (
        "quick:\n  training: {epochs: 2}\n  training: {epochs: 3}\n",
        [(12, "quick.training", "the key 'training' is given twice, first on line 11")],
    ),
    "a tag": ("quick:\n  training: {epochs: !new 2}\n", [(11, "quick.training.epochs", "the tag !new is not allowed")]),
    "no arm": ("quick: {arms: {b: null}}\n", [(10, "quick.arms.b", "must be a mapping, but got nothing")]),
    "the study's own name": (
        "quick:\n  name: study\n",
        [(11, "quick.name", "the small variant is kept beside the study, so it can't be called 'study' too")],
    ),
    "a name that is none": ("quick: {name: a b}\n", [(10, "quick.name", "a study's name is a folder name")]),
    "what does not go with the rest of the file": (
        "quick: {arms: {a: {search: {training.optimizer.lr: {log: [0.1, 1]}}}}}\n",
        [
            (6, "quick.arms.a.grid", "an arm has search or grid, not both"),
            (10, "quick.arms.a.search", "a search chooses a point, and with confirm.seeds: 0 nobody would judge it"),
        ],
    ),
}


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
@pytest.mark.parametrize(("section", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_in_it_are_mistakes_of_the_file(
    section: str, expected: list[tuple[int, str, str]], quick: bool
) -> None:
    found = mistakes_of(FULL + section, quick=quick)
    assert [entry[:2] for entry in found] == [entry[:2] for entry in expected]
    assert all(fragment in message for (*_, message), (*_, fragment) in zip(found, expected, strict=True))


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
def test_mistakes_of_the_file_and_of_the_section_come_together_each_once(quick: bool) -> None:
    text = FULL.replace("epochs: 20", "epochs: many").replace("loss: adacos", "loss: adacoss") + QUICK.replace(
        "seeds: [0]", "seeds: [0, 0]"
    ).replace("epochs: 2,", "epochs: -2,")
    assert [entry[:2] for entry in mistakes_of(text, quick=quick)] == [
        (3, "training.epochs"),
        (7, "arms.b.loss"),
        (11, "quick.training.epochs"),
        (14, "quick.search.seeds"),
    ]


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
def test_a_section_that_replaces_a_mistake_does_not_put_it_right(quick: bool) -> None:
    text = FULL.replace("epochs: 20", "epochs: 0") + QUICK
    assert [entry[:2] for entry in mistakes_of(text, quick=quick)] == [(3, "training.epochs")]


def test_what_the_section_makes_wrong_elsewhere_is_said_to_be_its_own() -> None:
    text = (
        "version: 1\nname: x\narms: {a: {loss: cosface, search: {s: {log: [1, 2]}}}}\nquick: {training: {epochs: 2}}\n"
    )
    [(_, path, message)] = mistakes_of(text)
    assert path == "quick.search.early_stopping.grace_epochs"
    assert "with 2 epochs" in message


def test_a_misspelt_section_is_recognised() -> None:
    [(line, path, message)] = mistakes_of(FULL + "quik: {training: {epochs: 2}}\n")
    assert (line, path) == (10, "quik")
    assert "did you mean 'quick'?" in message


def test_a_file_without_the_section_has_no_small_variant(tmp_path: Path) -> None:
    [(line, path, message)] = mistakes_of(FULL, quick=True)
    assert (line, path) == (1, "quick")
    assert message.startswith("is required for --quick: what the small variant replaces, e.g. {training: {epochs: 2}}")
    (tmp_path / "x.yaml").write_text(FULL)
    with pytest.raises(StudyFileError, match=r"x\.yaml:1: quick: is required for --quick"):
        load_study(tmp_path / "x.yaml", quick=True)


def test_the_schema_has_it() -> None:
    validator = jsonschema.Draft202012Validator(study_schema())
    validator.validate(yaml.safe_load(FULL + QUICK))
    assert not validator.is_valid(yaml.safe_load(FULL + "quick: [1]\n"))
    described = study_schema()["properties"]["quick"]["description"]
    assert "--quick" in described
    assert "Example: " in described


WITH_QUICK = [path for path in sorted(STUDIES.rglob("*.yaml")) if "\nquick:" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_QUICK, ids=lambda path: path.name)
def test_the_small_variants_of_the_repository_are_small(path: Path) -> None:
    full, small = load_study(path), load_study(path, quick=True)
    assert small.name == f"{full.name}-quick"
    trials = [sum(study.planned_trials().values()) for study in (small, full)]
    assert trials[0] <= min(60, trials[1])
    assert small.spec.question == full.spec.question
    assert {arm.name for arm in small.arms} <= {arm.name for arm in full.arms}
    assert "--quick" in path.read_text(encoding="utf-8").partition("version:")[0], "the header tells of it"


def test_the_audits_have_small_variants() -> None:
    assert len(WITH_QUICK) >= 7
