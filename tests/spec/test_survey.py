"""Surveys: studies that list points and choose none."""

import pytest

from hpstudy.exceptions import StudyFileError
from hpstudy.spec import Study, parse_study

HEAD = "version: 1\nname: study\n"
GOOD = HEAD + "arms:\n  a: {loss: cosface}\n"
SURVEY = GOOD + "confirm: {seeds: 0}\n"
FREE = "data: {source: free, identities: {train: 8, val: 0, test: 0}, samples: 4}\nmodel: {name: free}\n"
SEARCHES = "a search chooses a point, and with confirm.seeds: 0 nobody would judge it; list points with grid"


def mistakes_of(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(StudyFileError) as caught:
        parse_study(text)
    return [(mistake.line, mistake.path, mistake.message) for mistake in caught.value.mistakes]


def judges(split: str) -> str:
    return f"a study that chooses points judges them on {split} identities, so it needs at least 2; only a survey"


def listing(arms: str, rest: str = "") -> Study:
    return parse_study(f"{HEAD}arms: {arms}\nconfirm: {{seeds: 0}}\n{rest}")


MISTAKES = {
    "an arm that searches": (
        HEAD
        + "confirm: {seeds: 0}\narms:\n  a: {loss: cosface, search: {s: {log: [2, 64]}}}\n  b: {loss: adacos}\n"
        + "  c:\n    loss: arcface\n    search: {m: {linear: [0, 1]}}\n",
        [(5, "arms.a.search", SEARCHES), (9, "arms.c.search", SEARCHES)],
    ),
    "no val identities": (
        GOOD + "data: {identities: {val: 0}}\n",
        [(5, "data.identities.val", judges("val"))],
    ),
    "no held-out identities": (
        GOOD + "data:\n  identities:\n    val: 0\n    test: 0\n",
        [(7, "data.identities.val", judges("val")), (8, "data.identities.test", judges("test"))],
    ),
    "none in one condition": (
        GOOD + "data: {source: glyphs}\nconditions:\n  data.identities.test: [200, 0]\n",
        [(7, "conditions.data.identities.test", judges("test"))],
    ),
    "one identity": (
        SURVEY + "data: {identities: {val: 1}}\n",
        [(6, "data.identities.val", "must be at least 2, or 0 for none, but got 1")],
    ),
    "one identity in a study that chooses": (
        GOOD + "data: {identities: {test: 1}}\n",
        [(5, "data.identities.test", "must be at least 2, or 0 for none, but got 1")],
    ),
    "fewer than none": (
        SURVEY + "data: {identities: {test: -2}}\n",
        [(6, "data.identities.test", "must be at least 2, or 0 for none, but got -2")],
    ),
    "one identity in one condition": (
        SURVEY + "conditions:\n  data.identities.val: [200,\n    1]\n",
        [(8, "conditions.data.identities.val[1]", "must be at least 2, or 0 for none, but got 1")],
    ),
    "a number of seeds that is none": (  # whether this is a survey is not known, so nothing follows from it
        GOOD + "confirm: {seeds: -1}\ndata: {identities: {val: 0}}\n",
        [(5, "confirm.seeds", "must be at least 0, but got -1")],
    ),
    "free points in a study that chooses": (
        GOOD + FREE,
        [(5, "data.identities.val", judges("val")), (5, "data.identities.test", judges("test"))],
    ),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_where_it_stands(text: str, expected: list[tuple[int, str, str]]) -> None:
    found = mistakes_of(text)
    assert [entry[:2] for entry in found] == [entry[:2] for entry in expected]
    assert all(fragment in message for (*_, message), (*_, fragment) in zip(found, expected, strict=True))


def test_conditions_that_replace_an_empty_split_make_it_fine() -> None:
    study = parse_study(GOOD + "data: {identities: {val: 0}}\nconditions: {data.identities.val: [100, 200]}\n")
    assert [condition.data.identities.val for condition in study.conditions()] == [100, 200]


@pytest.mark.parametrize(
    "rest", ["", FREE, "data: {identities: {val: 0}}\n", "conditions: {data.identities.val: [200, 0]}\n"]
)
def test_a_survey_needs_no_held_out_identities(rest: str) -> None:
    study = parse_study(SURVEY + rest)
    assert study.is_survey
    assert parse_study(study.resolved_yaml) == study
    assert not parse_study(GOOD).is_survey


def test_trials_are_points_times_seeds_times_conditions() -> None:
    study = listing(
        "{a: {loss: cosface, grid: {s: [16, 32, 64], m: [0, 0.2]}}, b: {loss: adacos}, c: {loss: normface, s: 9}}",
        "search: {seeds: [0, 1, 5]}\nconditions: {model.embedding_dim: [8, 16]}\n",
    )
    assert study.planned_trials() == {"search": 0, "grid": (6 + 1 + 1) * 3 * 2, "confirm": 0}


def test_an_arm_with_nothing_to_tune_is_a_grid_of_one_point() -> None:
    study = listing("{a: {loss: cosface, grid: {s: [16, 32]}}, b: {loss: adacos}}")
    assert study.listed_points(study.arm("a")) == [{"s": 16}, {"s": 32}]
    assert study.listed_points(study.arm("b")) == [{}]
    assert study.trial_settings("b", "default", {}).head.loss == "adacos"
    chooses = parse_study(study.resolved_yaml.replace("seeds: 0", "seeds: 2"))
    assert chooses.listed_points(chooses.arm("b")) == []
    assert chooses.planned_trials() == {"search": 0, "grid": 2, "confirm": 4}
