"""Studies: the canonical form, arms, conditions and the settings of trials."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import hpstudy
from hpstudy.catalog import LOSSES, MARGINS, SCALES
from hpstudy.exceptions import InputError, StudyFileError
from hpstudy.spec import (
    Choice,
    IntRange,
    LinearRange,
    LogRange,
    SearchSpec,
    TrialSettings,
    diff_studies,
    load_study,
    parse_study,
)

STUDIES = Path(hpstudy.__file__).parents[1] / "studies"
HEAD = "version: 1\nname: study\n"


def study_of(arms, rest=""):
    return parse_study(f"{HEAD}arms: {arms}\n{rest}")


@pytest.mark.parametrize("path", sorted(STUDIES.rglob("*.yaml")), ids=lambda path: str(path.relative_to(STUDIES)))
def test_every_study_of_the_repository_is_fine(path):
    study = load_study(path)
    assert parse_study(study.resolved_yaml) == study
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    header = text.partition("version:")[0]
    assert f"hpstudy run studies/{path.relative_to(STUDIES).as_posix()}" in header
    assert "Cost:" in header


def test_quickstart_is_the_study_of_the_design():
    study = load_study(STUDIES / "quickstart.yaml")
    assert study.name == "quickstart"
    assert [(arm.name, arm.kind, arm.loss) for arm in study.arms] == [
        ("normface", "searched", "normface"),
        ("cosface", "searched", "cosface"),
        ("arcface", "searched", "arcface"),
        ("sphereface", "searched", "sphereface"),
        ("adacos-fixed", "fixed", "adacos_fixed"),
        ("adacos-dynamic", "fixed", "adacos"),
    ]
    assert study.planned_trials() == {"search": 32, "grid": 0, "confirm": 18}
    assert study.arm("cosface").space == {"s": LogRange(log=(2, 64)), "m": LinearRange(linear=(0, 0.6))}


# The canonical form

numbers = st.floats(0.01, 0.5).map(lambda value: round(value, 6)) | st.sampled_from([0.1, 0.25, 1e-2])
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=30) | st.sampled_from(
    ["yes", "null", "1e-3", "2024-01-01", "~", "0x10", "12:30", "# no comment", "a: b", "'", "-", "<<", " x "]
)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,12}", fullmatch=True)
intervals = st.tuples(numbers, numbers).filter(lambda pair: pair[0] != pair[1]).map(sorted)
ranges = (
    intervals.map(lambda pair: {"log": pair})
    | intervals.map(lambda pair: {"linear": pair})
    | st.lists(numbers, min_size=1, max_size=4, unique=True).map(lambda values: {"choice": values})
)
searches = st.dictionaries(st.sampled_from(["s", "m", "training.optimizer.lr"]), ranges, min_size=1)
grids = st.dictionaries(st.sampled_from(["s", "m"]), st.lists(numbers, min_size=1, max_size=3, unique=True), min_size=1)
arms = (
    searches.map(lambda search: {"loss": "cosface", "search": search})
    | grids.map(lambda grid: {"loss": "arcface", "past_pi": "wrap", "grid": grid})
    | numbers.map(lambda m: {"loss": "cosface", "m": m, "s": 30})
    | numbers.map(lambda m: {"margin": {"name": "additive_angle", "m": m}, "scale": {"name": "adacos_dynamic"}})
    | st.dictionaries(
        names.filter(lambda name: name not in ("loss", "margin", "scale", "search", "grid")), numbers
    ).map(lambda values: {"loss": "own.losses:Loss", **values})
    | st.sampled_from([{"loss": "adacos"}, {"loss": "adacos_fixed"}, {"loss": "normface", "s": 16}])
)
studies = st.fixed_dictionaries(
    {"version": st.just(1), "name": names, "arms": st.dictionaries(names, arms, min_size=1, max_size=4)},
    optional={
        "question": words,
        "data": st.fixed_dictionaries(
            {"source": st.sampled_from(["folder", "own.data:faces"]), "path": st.just("a/b")}
        ),
        "training": st.fixed_dictionaries(
            {}, optional={"epochs": st.integers(4, 99), "grad_clip": st.none() | numbers}
        ),
        "conditions": st.fixed_dictionaries(
            {},
            optional={
                "model.embedding_dim": st.lists(st.integers(2, 512), min_size=1, max_size=3, unique=True),
                "training.optimizer.weight_decay": st.lists(numbers, min_size=1, max_size=2, unique=True),
                "training.schedule": st.just(["cosine", "constant"]),
            },
        ),
        "search": st.fixed_dictionaries(
            {}, optional={"sampler": st.sampled_from(["tpe", "random", "qmc", "gp", "cmaes"])}
        )
        | st.just({"sampler": "grid", "trials": 65}),
        "resources": st.fixed_dictionaries({}, optional={"gpus": st.sampled_from([0, 0.5, 1, 2])}),
    },
)


@given(studies)
@settings(max_examples=60, deadline=None)
def test_the_canonical_text_gives_the_same_study(content):
    study = parse_study(json.dumps(content, ensure_ascii=False), source="folder/study.yaml")
    again = parse_study(study.resolved_yaml)
    assert again == study
    assert again.resolved_yaml == study.resolved_yaml
    assert again.sha256 == study.sha256
    assert again.conditions() == study.conditions()
    assert [arm.name for arm in again.arms] == list(content["arms"])
    assert yaml.safe_load(study.resolved_yaml)["question"] == study.spec.question


@given(st.text(st.sampled_from("abm: \n-[]{}#&*!'\"?,.019|>~\t<"), max_size=60) | st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_study_or_a_list_of_mistakes(text):
    with pytest.raises(StudyFileError, match="<text>:"):
        parse_study(text)


def test_comments_order_of_sections_and_spelling_do_not_matter():
    a = study_of("{x: {loss: cosface, s: 30, m: 0.35}}", "confirm: {seeds: 3}\nmodel: {width: 8} # the default")
    b = parse_study(f"arms:\n  x:\n    m: 3.5e-1\n    s: 30.0\n    loss: cosface\n{HEAD}")
    assert a == b
    assert a.sha256 == b.sha256


def test_a_different_value_is_a_different_study_and_the_diff_shows_it():
    a, b = (study_of(f"{{x: {{loss: cosface, s: {s}}}}}") for s in (30, 64))
    assert a.sha256 != b.sha256
    diff = diff_studies(a.resolved_yaml, b.resolved_yaml)
    assert "-  x: {loss: cosface, s: 30.0, m: 0.35}\n+  x: {loss: cosface, s: 64.0, m: 0.35}\n" in diff
    assert diff_studies(a.resolved_yaml, a.resolved_yaml) == ""


def test_anchors_and_merge_keys_share_values():
    study = parse_study(
        f"{HEAD}arms:\n  a: &a {{loss: cosface, search: &space {{s: {{log: [2, 64]}}}}}}\n"
        "  b: {loss: arcface, search: *space}\n  c: {<<: *a, loss: normface}\n"
    )
    assert study.arm("b").space == study.arm("a").space == study.arm("c").space
    assert study.arm("c").loss == "normface"


def test_scientific_notation_needs_no_dot():
    study = study_of("{x: {loss: cosface}}", "training: {optimizer: {weight_decay: 5e-4, lr: 1}}")
    assert study.spec.training.optimizer.weight_decay == 5e-4
    assert isinstance(study.spec.training.optimizer.lr, float)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("0.001", "1e-3"), ("1e-3", "1e-3"), ("1.0e-4", "1e-4"), ("0.00025", "2.5e-4"), ("0.5", "5e-1")],
)
def test_an_objective_has_one_spelling(written, canonical):
    spec = SearchSpec(objective=f"val/tar_at_far_{written}")
    assert spec.objective == f"val/tar_at_far_{canonical}"
    assert math.isclose(spec.objective_far, float(written))


def test_relative_paths_start_from_the_study_file_and_end_up_absolute(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(
        f"{HEAD}arms: {{x: {{loss: cosface}}}}\ndata: {{source: folder, path: faces}}\n"
        "conditions: {data.path: [a, /b]}\n",
        encoding="utf-8",
    )
    study = load_study(str(path))
    assert study.spec.data.path == str(tmp_path / "faces")
    assert [condition.data.path for condition in study.conditions()] == [str(tmp_path / "a"), "/b"]
    assert [condition.id for condition in study.conditions()] == ["path-a", "path-b"]


def test_the_import_stays_light():
    code = "import sys, hpstudy.spec; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "pandas", "numpy", "scipy", "ray", "mlflow", "optuna", "typer", "rich"} & set(loaded)


# Arms


def test_a_grid_is_the_full_product():
    arm = study_of("{x: {loss: cosface, grid: {s: [16, 32], m: [0.2, 0.35]}}}").arm("x")
    assert arm.kind == "grid"
    assert arm.space == {}
    assert arm.grid_points() == [{"s": s, "m": m} for s in (16.0, 32.0) for m in (0.2, 0.35)]
    assert all(isinstance(value, float) for point in arm.grid_points() for value in point.values())


def test_ranges_say_what_they_hold():
    assert LogRange(log=(2, 64)).contains(64)
    assert not LinearRange(linear=(0, 1)).contains(1.5)
    assert IntRange(int=(1, 3)).contains(2.0)
    assert not IntRange(int=(1, 3)).contains(2.5)
    assert Choice(choice=(16, 32)).contains(32.0)


@pytest.mark.parametrize(
    ("arm", "point"),
    [
        ("loss: cosface, search: {s: {log: [2, 64]}, m: {linear: [0, 0.6]}}", {"s": 64.0, "m": 0.35}),
        ("loss: cosface, s: 30, search: {m: {linear: [0, 0.6]}}", {"m": 0.35}),
        ("loss: cosface, search: {s: {log: [2, 32]}}", None),
        (
            "loss: cosface, search: {s: {choice: [32, 64]}, training.batch_size: {int: [64, 256]}}",
            {"s": 64.0, "training.batch_size": 128},
        ),
        ("loss: normface, search: {s: {log: [2, 64]}, training.grad_clip: {log: [1, 2]}}", None),
        (
            "margin: {name: additive_angle}, scale: {name: fixed}, search: {margin.m: {linear: [0, 1]}}",
            {"margin.m": 0.5},
        ),
        ("loss: 'own.losses:Loss', search: {k: {linear: [0, 1]}}", None),
        ("loss: cosface, grid: {s: [64]}", None),
        ("loss: adacos", None),
    ],
)
def test_the_published_point_where_the_ranges_hold_it(arm, point):
    assert study_of(f"{{x: {{{arm}}}}}").paper_default_point("x") == point


def test_planned_trials_count_every_phase():
    study = study_of(
        "{a: {loss: cosface, search: {s: {log: [2, 64]}}}, b: {loss: cosface, grid: {s: [8, 16]}}, c: {loss: adacos}}",
        "conditions: {model.width: [4, 8]}\nsearch: {trials: 5, seeds: [0, 1, 2]}\nconfirm: {seeds: 4}",
    )
    assert study.planned_trials() == {"search": 2 * 3 * 5, "grid": 2 * 3 * 2, "confirm": 2 * (3 + 3 + 1) * 4}


# Conditions


def test_without_factors_there_is_one_condition():
    (condition,) = study_of("{x: {loss: adacos}}").conditions()
    assert condition.id == "default"
    assert condition.values == {}


def test_conditions_are_the_product_of_the_factors():
    study = study_of(
        "{x: {loss: adacos}}", "conditions: {data.identities.train: [100, 300], model.embedding_dim: [64]}"
    )
    first, second = study.conditions()
    assert [first.id, second.id] == ["train-100_embedding_dim-64", "train-300_embedding_dim-64"]
    assert first.values == {"data.identities.train": 100, "model.embedding_dim": 64}
    assert (first.data.identities.train, first.model.embedding_dim, second.data.identities.train) == (100, 64, 300)


@pytest.mark.parametrize(
    ("factors", "identifier"),
    [
        ("{training.optimizer.lr: [0.25]}", "lr-25e-2"),
        ("{training.optimizer.lr: [1]}", "lr-1"),
        ("{training.schedule: [one_cycle]}", "schedule-one-cycle"),
        ("{data.augment.scale: [0.5], data.seed: [3]}", "scale-5e-1_seed-3"),
        ("{data.source: ['my.data:faces'], model.name: ['my.nets:Net']}", "source-my-data-faces_name-my-nets-Net"),
        ("{model.name: [convnet], training.optimizer.name: [sgd]}", "model-name-convnet_optimizer-name-sgd"),
    ],
)
def test_ids_of_conditions_are_readable_and_have_no_dots(factors, identifier):
    (condition,) = study_of("{x: {loss: adacos}}", f"conditions: {factors}").conditions()
    assert condition.id == identifier


# Settings of trials


def test_a_named_loss_becomes_its_parts_with_everything_written_out():
    study = study_of("{x: {loss: arcface, past_pi: clamp, search: {m: {linear: [0, 0.8]}}}}")
    head = study.trial_settings("x", "default", {"m": 0.2}).head
    assert head.loss == "arcface"
    assert head.margin == {"name": "additive_angle", "m": 0.2, "gradient": "exact", "past_pi": "clamp"}
    assert head.scale == {"name": "fixed", "s": 64.0}
    assert head.params == {}


def test_an_arm_of_parts_and_a_loss_of_the_users():
    study = study_of(
        "{x: {margin: {name: additive_cosine}, scale: {name: fixed, s: 30}, grid: {margin.m: [0.1]}},"
        " y: {loss: 'own.losses:Loss', k: 3, search: {tau: {log: [0.1, 1]}}}}"
    )
    head = study.trial_settings("x", "default", {"margin.m": 0.1}).head
    assert head.loss == study.arm("x").loss == "additive_cosine+fixed"
    assert (head.margin, head.scale) == ({"name": "additive_cosine", "m": 0.1}, {"name": "fixed", "s": 30.0})
    own = study.trial_settings("y", "default", {"tau": 0.5}).head
    assert (own.loss, own.params, own.margin, own.scale) == ("own.losses:Loss", {"k": 3, "tau": 0.5}, {}, {})


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_of_the_catalogue_fills_its_parts(loss):
    head = study_of(f"{{x: {{loss: {loss}}}}}").trial_settings("x", "default", {}).head
    info = LOSSES[loss]
    values = {**head.margin, **head.scale, **head.criterion}
    names = [part.get("name", "") for part in (head.margin, head.scale, head.criterion)]
    assert names == [info.margin, info.scale, info.criterion]
    assert values.items() >= info.defaults.items()


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("scale", SCALES)
def test_every_margin_goes_with_every_scale(margin, scale):
    study = study_of(f"{{x: {{margin: {{name: {margin}}}, scale: {{name: {scale}}}}}}}")
    head = study.trial_settings("x", "default", {}).head
    assert set(head.margin) == {"name", *MARGINS[margin].parameters, *MARGINS[margin].options}
    assert set(head.scale) == {"name", *SCALES[scale].parameters, *SCALES[scale].options}


def test_searched_training_fields_and_conditions_both_apply():
    study = study_of(
        "{x: {loss: cosface, grid: {training.batch_size: [64], training.optimizer.lr: [1]}}}",
        "conditions: {model.width: [4, 16]}",
    )
    trial = study.trial_settings("x", "width-16", {"training.batch_size": 64.0, "training.optimizer.lr": 1})
    assert (trial.model.width, trial.training.batch_size, trial.training.optimizer.lr) == (16, 64, 1.0)
    assert isinstance(trial.training.batch_size, int)


def test_settings_survive_json():
    study = study_of("{x: {loss: 'own.losses:Loss', k: 3, mode: soft, search: {tau: {log: [0.1, 1]}}}}")
    trial = study.trial_settings("x", "default", {"tau": 0.1 + 0.2})
    again = TrialSettings.from_json(trial.to_json())
    assert again == trial
    assert again.head.params == {"k": 3, "mode": "soft", "tau": 0.1 + 0.2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("y", "default", {"s": 3}), "no arm 'y'"),
        (("x", "defualt", {"s": 3}), "no condition 'defualt'; did you mean 'default'"),
        (("x", "default", {}), "needs values for s, training.epochs, but got none"),
        (("x", "default", {"s": 3, "m": 1, "training.epochs": 4}), "needs values for s, training.epochs, but got m, s"),
        (("x", "default", {"s": 3, "training.epochs": 4.5}), "is a whole number, but got 4.5"),
    ],
)
def test_settings_for_what_the_study_does_not_hold(arguments, message):
    study = study_of("{x: {loss: cosface, search: {s: {log: [2, 64]}, training.epochs: {int: [4, 8]}}}}")
    with pytest.raises(InputError, match=message):
        study.trial_settings(*arguments)


def test_regularisers_are_filled_searched_and_kept_in_the_canonical_file():
    study = study_of(
        "{x: {loss: arcface, m: 0.3, regularisers: {intra: {}, c_contrastive: {m: 0.8}}, "
        "search: {s: {log: [8, 64]}, intra.weight: {log: [0.1, 10]}}}}"
    )
    head = study.trial_settings("x", "default", {"s": 20.0, "intra.weight": 0.5}).head
    assert head.regularisers == {"intra": {"weight": 0.5}, "c_contrastive": {"weight": 0.01, "m": 0.8}}
    assert (head.number("s"), head.number("m")) == (20.0, 0.3)
    assert study.paper_default_point("x") == {"s": 64.0, "intra.weight": 1.0}
    again = parse_study(study.resolved_yaml)
    assert again.resolved_yaml == study.resolved_yaml


def test_a_loss_that_an_installed_package_offers_is_known_by_its_name(monkeypatch):
    monkeypatch.setattr("hpstudy.spec._check_arms.installed_losses", lambda: {"my-loss": "own.losses:Loss"})
    head = study_of("{x: {loss: my-loss, k: 3}}").trial_settings("x", "default", {}).head
    assert (head.loss, head.params, head.criterion) == ("my-loss", {"k": 3}, {})
