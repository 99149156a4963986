"""What a search may follow: metrics up, costs down."""

import pytest

from hpstudy.exceptions import StudyFileError
from hpstudy.spec import SearchSpec, chance_of, is_cost, parse_study, study_schema

STUDY = "version: 1\nname: s\narms:\n  a: {{loss: cosface, search: {{s: {{log: [2, 64]}}}}}}\nsearch: {{{search}}}\n"
BOTH = "objective: [val/tar_at_far_1e-3, cost/cpu_s]"


def spec_of(search):
    return parse_study(STUDY.format(search=search)).spec.search


def mistakes_of(search, more=""):
    with pytest.raises(StudyFileError, match="search") as caught:
        parse_study(STUDY.format(search=search) + more)
    return {mistake.path: mistake.message for mistake in caught.value.mistakes}


def test_a_single_objective_keeps_its_form_and_its_fingerprint():
    plain, listed = (
        parse_study(STUDY.format(search=f"objective: {text}"))
        for text in ("val/tar_at_far_1e-3", "[val/tar_at_far_0.001]")
    )
    assert "  objective: val/tar_at_far_1e-3\n" in plain.resolved_yaml
    assert plain.sha256 == listed.sha256 == parse_study(STUDY.format(search="trials: 8")).sha256
    assert plain.spec.search.objectives == ("val/tar_at_far_1e-3",)
    assert plain.spec.search.early_stopping.kind == "asha"


def test_several_objectives_are_resolved_in_their_order_and_stop_no_trial():
    study = parse_study(STUDY.format(search="objective: [val/tar_at_far_0.001, cost/cpu_s, val/tar_at_far_1e-2]"))
    search = study.spec.search
    assert search.objectives == ("val/tar_at_far_1e-3", "cost/cpu_s", "val/tar_at_far_1e-2")
    assert search.primary == "val/tar_at_far_1e-3"
    assert search.early_stopping.kind == "none"
    assert "objective: [val/tar_at_far_1e-3, cost/cpu_s, val/tar_at_far_1e-2]" in study.resolved_yaml
    again = parse_study(study.resolved_yaml)
    assert (again.spec, again.resolved_yaml) == (study.spec, study.resolved_yaml)


def test_costs_are_minimised_and_metrics_have_a_chance_level():
    assert [is_cost(name) for name in spec_of(BOTH).objectives] == [False, True]
    assert chance_of("val/tar_at_far_1e-3") == 1e-3


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid", "gp"])
def test_samplers_that_follow_several(sampler):
    assert spec_of(f"{BOTH}, sampler: {sampler}").sampler == sampler


MISTAKES = {
    "objective: cost/cpu_s": ("search.objective", "cost/cpu_s alone is least where nothing is learned"),
    "objective: [cost/cpu_s, val/tar_at_far_1e-3]": ("search.objective", r"begins with a metric, .* e.g. [val/tar"),
    "objective: [val/tar_at_far_1e-3, val/tar_at_far_0.001]": ("search.objective", "1e-3 is listed twice"),
    "objective: [val/tar_at_far_1e-3, cost/cpu]": ("search.objective[1]", "did you mean 'cost/cpu_s'?"),
    "objective: [val/tar_at_far_1e-3, train/loss]": ("search.objective[1]", "not comparable across s"),
    "objective: [val/tar_at_far_1e-3, test/tar_at_far_1e-3]": ("search.objective[1]", "write val/tar_at_far_1e-3"),
    "objective: [val/tar_at_far_1e-3, val/accuracy]": ("search.objective[1]", "or in a list after one, a cost"),
    "objective: [val/tar_at_far_1e-3, 7]": ("search.objective[1]", "must be a text, but got 7"),
    "objective: []": ("search.objective", "must have at least 1 entry"),
    f"{BOTH}, sampler: cmaes": ("search.sampler", "search.objective lists 2; use tpe, random, qmc, grid"),
    f"{BOTH}, early_stopping: {{kind: asha}}": ("search.early_stopping", "with 2 objectives every trial runs"),
    f"{BOTH}, early_stopping: {{grace_epochs: 2}}": ("search.early_stopping", "remove early_stopping, or write {kind"),
    "objective: [val/tar_at_far_1e-3, cost/gpu_s]": ("search.objective[1]", "without a GPU cost/gpu_s does not tell"),
    "objective: [val/tar_at_far_1e-3, cost/peak_memory_mb]": ("search.objective[1]", "give trials a GPU"),
}  # fmt: skip


@pytest.mark.parametrize(("search", "expected"), MISTAKES.items())
def test_what_no_search_can_follow(search, expected):
    path, fragment = expected
    found = mistakes_of(search)
    assert list(found) == [path]
    assert all(part in found[path] for part in fragment.split(" .* "))


def test_all_mistakes_of_a_list_are_told_at_once():
    found = mistakes_of(
        "objective: [val/tar_at_far_1e-3, cost/cpu, train/loss], sampler: cmaes, early_stopping: {kind: median}"
    )
    assert set(found) == {"search.objective[1]", "search.objective[2]", "search.sampler", "search.early_stopping"}


def test_costs_of_a_gpu_need_one():
    text = STUDY.format(search="objective: [val/tar_at_far_1e-3, cost/gpu_s, cost/peak_memory_mb]")
    assert len(parse_study(f"{text}resources: {{gpus: 0.5}}\n").spec.search.objectives) == 3


def test_early_stopping_may_be_none_in_so_many_words():
    assert spec_of(f"{BOTH}, early_stopping: {{kind: none}}").early_stopping.kind == "none"
    assert SearchSpec(objective=("val/tar_at_far_1e-3", "cost/wall_s")).early_stopping.kind == "none"


def test_the_schema_admits_one_or_several():
    schema = study_schema()["$defs"]["SearchSpec"]["properties"]["objective"]
    metric, several = schema["anyOf"]
    assert several["prefixItems"] == [metric]
    assert several["items"]["anyOf"][1]["enum"] == ["cost/wall_s", "cost/cpu_s", "cost/gpu_s", "cost/peak_memory_mb"]
    assert schema["default"] == "val/tar_at_far_1e-3"
    assert "minimised" in schema["description"]
