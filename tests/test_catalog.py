"""The catalogue is complete, consistent, and refuses with the nearest name."""

import copy
import math
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpstudy import catalog
from hpstudy.catalog import LOSSES, MARGINS, SCALES, loss_info, margin_info, scale_info
from hpstudy.exceptions import InputError

PARTS = [*MARGINS.values(), *SCALES.values()]


def test_the_family_is_there():
    assert list(LOSSES) == ["normface", "cosface", "arcface", "sphereface", "adacos_fixed", "adacos"]
    assert {name: (info.margin, info.scale, info.adaptive) for name, info in LOSSES.items()} == {
        "normface": ("none", "fixed", False),
        "cosface": ("additive_cosine", "fixed", False),
        "arcface": ("additive_angle", "fixed", False),
        "sphereface": ("multiplicative_angle", "fixed", False),
        "adacos_fixed": ("none", "adacos_fixed", False),
        "adacos": ("none", "adacos_dynamic", True),
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
    ],
)
def test_units_and_defaults_are_the_papers(loss, parameter, unit, default):
    info = LOSSES[loss].parameters[parameter]
    assert (info.unit, info.default) == (unit, default)


@pytest.mark.parametrize("info", LOSSES.values(), ids=LOSSES)
def test_a_loss_has_the_parameters_and_options_of_its_parts(info):
    margin, scale = MARGINS[info.margin], SCALES[info.scale]
    assert info.parameters.keys() == margin.parameters.keys() | scale.parameters.keys()
    assert info.options == {**margin.options, **scale.options}
    assert info.adaptive == scale.adaptive
    assert info.formula
    assert info.bound
    assert str(info.paper.year) in str(info.paper)


@pytest.mark.parametrize("info", [*LOSSES.values(), *PARTS], ids=lambda info: info.name)
def test_rows_are_consistent(info):
    for name, parameter in info.parameters.items():
        low, high = parameter.plausible
        assert name == parameter.name
        assert parameter.minimum <= low < high <= parameter.maximum
        assert low <= parameter.default <= high
        assert parameter.check(parameter.default) == parameter.default
        assert parameter.meaning
        assert parameter.unit in {"dimensionless", "cosine", "rad", "factor"}
    for name, option in info.options.items():
        assert name == option.name
        assert list(option.allowed) == sorted(option.allowed)
        assert option.check(option.default) == option.default


def test_the_angular_margin_has_its_switches():
    options = MARGINS["additive_angle"].options
    assert {name: (option.default, set(option.allowed)) for name, option in options.items()} == {
        "gradient": ("exact", {"exact", "detached"}),
        "past_pi": ("monotone", {"monotone", "clamp", "wrap"}),
    }


@pytest.mark.parametrize(
    ("find", "name", "message"),
    [
        (loss_info, "cosfase", r"unknown loss 'cosfase', did you mean 'cosface'\? \(known: normface, .*adacos\)"),
        (loss_info, "Arc_Face", r"did you mean 'arcface'\?"),
        (margin_info, "additive_cos", r"unknown margin 'additive_cos', did you mean 'additive_cosine'\?"),
        (scale_info, "adacos", r"unknown scale 'adacos', did you mean 'adacos_(fixed|dynamic)'\?"),
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
    with pytest.raises(InputError, match=r"past_pi must be one of clamp, monotone, wrap, but got 'mirror'"):
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
