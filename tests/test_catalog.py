"""The catalogue is complete, consistent, and refuses with the nearest name."""

import copy
import math
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict
from importlib.metadata import EntryPoint

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpstudy import catalog
from hpstudy.catalog import (
    CRITERIA,
    LOSSES,
    MARGINS,
    SCALES,
    criterion_info,
    installed_losses,
    loss_info,
    margin_info,
    own_loss,
    scale_info,
)
from hpstudy.exceptions import InputError

PARTS = [*MARGINS.values(), *SCALES.values(), *CRITERIA.values()]


def test_the_family_is_there():
    """Every row of the papers' formulas is a named loss or a regulariser."""
    assert {name: (info.margin, info.scale) for name, info in LOSSES.items() if not info.criterion} == {
        "softmax": ("none", "softmax"),
        "modified_softmax": ("none", "feature_norm"),
        "a_softmax": ("annealed_multiplicative_angle", "feature_norm"),
        "l2_softmax": ("none", "l2_softmax"),
        "normface": ("none", "fixed"),
        "normface_learned": ("none", "learned"),
        "learned_temperature": ("none", "learned_temperature"),
        "cosface": ("additive_cosine", "fixed"),
        "am_softmax": ("additive_cosine", "fixed"),
        "arcface": ("additive_angle", "fixed"),
        "combined": ("combined", "fixed"),
        "sphereface": ("multiplicative_angle", "fixed"),
        "sphereface_r1": ("multiplicative_angle", "fixed"),
        "sphereface_r2": ("divided_angle", "fixed"),
        "adacos_fixed": ("none", "adacos_fixed"),
        "adacos": ("none", "adacos_dynamic"),
        "adacos_ema": ("none", "adacos_ema"),
        "adacos_geometric": ("none", "adacos_geometric"),
        "adacos_capped": ("none", "adacos_capped"),
        "adaface": ("adaface", "fixed"),
        "magface": ("magface", "fixed"),
        "curricularface": ("curricular", "fixed"),
        "mv_am_softmax": ("mv_cosine", "fixed"),
        "mv_arc_softmax": ("mv_angle", "fixed"),
        "circle": ("circle", "fixed"),
    }
    assert {name for name, info in LOSSES.items() if info.criterion} == {
        name for name, info in CRITERIA.items() if info.alone
    }
    assert set(CRITERIA) == {
        "c_contrastive",
        "c_triplet",
        "p2sgrad",
        "sphereface2",
        "intra",
        "inter",
        "angular_triplet",
    }


@pytest.mark.parametrize(
    ("loss", "parameter", "unit", "default"),
    [
        ("normface", "s", "dimensionless", 20.0),
        ("cosface", "s", "dimensionless", 64.0),
        ("cosface", "m", "cosine", 0.35),
        ("arcface", "s", "dimensionless", 64.0),
        ("arcface", "m", "rad", 0.5),
        ("sphereface", "s", "dimensionless", 64.0),
        ("sphereface", "m", "factor", 1.35),
        ("a_softmax", "m", "factor", 4.0),
        ("a_softmax", "base", "dimensionless", 1000.0),
        ("a_softmax", "gamma", "per step", 0.12),
        ("a_softmax", "lambda_min", "dimensionless", 5.0),
        ("am_softmax", "s", "dimensionless", 30.0),
        ("normface_learned", "s", "dimensionless", 10.0),
        ("c_contrastive", "m", "squared distance", 1.0),
        ("c_triplet", "m", "squared distance", 0.8),
        ("adaface", "m", "rad and cosine", 0.4),
        ("adaface", "h", "dimensionless", 0.333),
        ("magface", "u_a", "norm", 110.0),
        ("magface", "lambda_g", "dimensionless", 35.0),
        ("curricularface", "momentum", "dimensionless", 0.99),
        ("mv_am_softmax", "t", "cosine", 0.2),
        ("mv_arc_softmax", "s", "dimensionless", 32.0),
        ("circle", "s", "dimensionless", 256.0),
        ("circle", "m", "cosine", 0.25),
        ("sphereface2", "balance", "dimensionless", 0.7),
        ("sphereface2", "t", "dimensionless", 3.0),
    ],
)
def test_units_and_defaults_are_the_papers(loss, parameter, unit, default):
    info = LOSSES[loss].parameters[parameter]
    assert (info.unit, info.default) == (unit, default)


@pytest.mark.parametrize("info", LOSSES.values(), ids=LOSSES)
def test_a_loss_has_the_parameters_and_options_of_its_parts(info):
    named = ((MARGINS, info.margin), (SCALES, info.scale), (CRITERIA, info.criterion))
    parts = [table[name] for table, name in named if name]
    assert bool(info.criterion) != bool(info.margin and info.scale)
    assert info.parameters.keys() == {name for part in parts for name in part.parameters}
    assert {name: option.allowed for name, option in info.options.items()} == {
        name: option.allowed for part in parts for name, option in part.options.items()
    }
    assert info.adaptive == any(getattr(part, "adaptive", False) for part in parts)
    assert info.norm_invariant != any(getattr(part, "reads_norm", False) for part in parts)
    assert info.formula
    assert info.bound
    assert str(info.paper.year) in str(info.paper)


UNITS = {
    "dimensionless",
    "cosine",
    "rad",
    "factor",
    "norm",
    "per step",
    "squared distance",
    "rad and cosine",
}


@pytest.mark.parametrize("info", [*LOSSES.values(), *PARTS], ids=lambda info: info.name)
def test_rows_are_consistent(info):
    extra = {"weight": info.weight} if hasattr(info, "weight") else {}
    for name, parameter in {**info.parameters, **extra}.items():
        low, high = parameter.plausible
        assert name == parameter.name
        assert parameter.minimum <= low < high <= parameter.maximum
        assert low <= parameter.default <= high
        assert parameter.check(parameter.default) == parameter.default
        assert parameter.meaning
        assert parameter.unit in UNITS
    for name, option in info.options.items():
        assert name == option.name
        assert list(option.allowed) == sorted(option.allowed)
        assert option.check(option.default) == option.default


def test_the_angular_margin_has_its_switches():
    options = MARGINS["additive_angle"].options
    assert {name: (option.default, set(option.allowed)) for name, option in options.items()} == {
        "gradient": ("exact", {"exact", "detached"}),
        "past_pi": ("monotone", {"monotone", "clamp", "wrap", "linear", "easy"}),
    }


@pytest.mark.parametrize(
    ("find", "name", "message"),
    [
        (loss_info, "cosfase", r"unknown loss 'cosfase', did you mean 'cosface'\? \(known: normface, .*sphereface2\)"),
        (loss_info, "Arc_Face", r"did you mean 'arcface'\?"),
        (margin_info, "additive_cos", r"unknown margin 'additive_cos', did you mean 'additive_cosine'\?"),
        (criterion_info, "intro", r"unknown criterion 'intro', did you mean 'intra'\?"),
        (scale_info, "adacos", r"unknown scale 'adacos', did you mean 'adacos_(fixed|dynamic|ema)'\?"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(find, name, message):
    with pytest.raises(InputError, match=message):
        find(name)


def test_known_names_are_found():
    assert loss_info("cosface") is LOSSES["cosface"]
    assert margin_info("none") is MARGINS["none"]
    assert scale_info("fixed") is SCALES["fixed"]


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("s", 0.0, r"s must lie in \(0, 10000\] \(dimensionless\), but got 0\.0"),
        ("s", math.inf, r"s must lie in .*but got inf"),
        ("s", True, r"s must lie in .*but got True"),
        ("s", "64", r"s must lie in .*but got '64'"),
        ("m", -0.1, r"m must lie in \[0, 1\.5708\] \(rad\), but got -0\.1"),
        ("m", 28.6, r"m must lie in .*but got 28\.6; if it is in degrees, write 0\.4992"),
        ("m", math.nan, r"m must lie in .*but got nan"),
    ],
)
def test_values_outside_the_hard_range_are_refused(parameter, value, message):
    with pytest.raises(InputError, match=message):
        LOSSES["arcface"].parameters[parameter].check(value)


def test_options_outside_their_choices_are_refused():
    with pytest.raises(
        InputError, match=r"past_pi must be one of clamp, easy, linear, monotone, wrap, but got 'mirror'"
    ):
        LOSSES["arcface"].options["past_pi"].check("mirror")


@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_check_accepts_exactly_the_hard_range(value):
    parameter = LOSSES["cosface"].parameters["m"]
    if 0 <= value <= 2:
        assert parameter.check(value) == value
    else:
        with pytest.raises(InputError, match="m must lie in"):
            parameter.check(value)


@pytest.mark.parametrize("info", LOSSES.values(), ids=LOSSES)
def test_rows_travel_and_do_not_change(info):
    assert pickle.loads(pickle.dumps(info)) == info == copy.deepcopy(info)
    assert asdict(info)["paper"]["title"] == info.paper.title
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        info.name = "other"


def test_tables_are_read_only():
    with pytest.raises(TypeError, match="does not support item assignment"):
        LOSSES["mine"] = LOSSES["cosface"]


def test_facade_is_complete():
    assert all(hasattr(catalog, name) for name in catalog.__all__)


def test_needs_no_third_party_package():
    code = (
        "import sys; import hpstudy.catalog; "
        "print(sorted({'torch', 'numpy', 'scipy', 'pandas', 'pydantic', 'yaml'} & sys.modules.keys()))"
    )
    blocked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert blocked.stdout.strip() == "[]"


def test_a_loss_of_an_installed_package_is_found_by_its_entry_point(monkeypatch):
    point = EntryPoint(name="their-loss", value="their_losses:head", group="hpstudy.losses")
    monkeypatch.setattr("hpstudy.catalog._own.entry_points", lambda *, group: [point])
    assert installed_losses() == {"their-loss": "their_losses:head"}
    assert own_loss("their-loss") == "their_losses:head"
    assert own_loss("package.module:attribute") == "package.module:attribute"
    assert own_loss("cosface") is None
