"""`hpstudy losses` and `hpstudy bounds` on an app of their own."""

import json

import pytest
import typer
from typer.testing import CliRunner

from hpstudy.catalog import LOSSES
from hpstudy.cli._curve import braille_curve
from hpstudy.cli._theory import bounds, losses
from hpstudy.exceptions import InputError

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(losses)
app.command()(bounds)


def run(*arguments):
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None, result.output
    return result.stdout


def as_json(*arguments):
    return json.loads(run(*arguments, "--json").splitlines()[-1])


def test_losses_lists_the_family():
    text = run("losses")
    for info in LOSSES.values():
        assert info.name in text
        assert info.margin in text
    for word in ("cosine", "rad", "factor", "0.35", "2 … 128", "arXiv:1801.09414", "eq. 6"):
        assert word in text


@pytest.mark.parametrize("name", LOSSES)
def test_losses_shows_one(name):
    text = " ".join(run("losses", name).split())
    for part in (LOSSES[name].title, LOSSES[name].formula, str(LOSSES[name].paper), LOSSES[name].bound):
        assert " ".join(part.split()) in text
    assert "C = 1000" in text
    assert "180°" in text


def test_losses_as_json():
    rows = as_json("losses")["losses"]
    assert [row["name"] for row in rows] == list(LOSSES)
    row = as_json("losses", "arcface")
    assert row["parameters"]["m"]["unit"] == "rad"
    assert row["options"]["past_pi"]["default"] == "monotone"
    assert len(row["curve"]["theta_deg"]) == len(row["curve"]["posterior"])
    assert row["curve"]["posterior"][0] > 0.99
    # cos(θ + 1/2) = log(999)/64
    assert row["curve"]["half_at_deg"] == pytest.approx(55.1, abs=0.1)


def test_bounds_prints_the_oracles():
    text = run("bounds", "--classes", "10575", "--dim", "512", "--posterior", "0.9", "--margin", "0.35")
    for number in (
        "8.26632",
        "0.00118744",
        "11.4623",
        "17.6334",
        "0.975405",
        "13.1043",
        "13.3504",
        "10.8319",
        "9.26528",
    ):
        assert number in text


def test_bounds_as_json_are_the_same_numbers():
    report = as_json("bounds", "--classes", "10575", "--dim", "512", "--margin", "0.35", "--margin", "0.5")
    assert [row["posterior"] for row in report["scale"]] == [0.5, 0.9, 0.99, 0.999]
    row = report["scale"][1]
    assert row["cosface"] == pytest.approx(11.462294, abs=1e-6)
    assert row["dimension_aware"] == pytest.approx(11.462294, abs=1e-6)
    assert row["joint"][0]["cosface"] == pytest.approx(17.633401, abs=1e-6)
    assert row["joint"][1]["arcface"] == pytest.approx(13.061042, abs=1e-6)
    assert report["margin"]["upper"] == pytest.approx(0.975405, abs=1e-6)
    assert report["adacos"]["fixed_scale"] == pytest.approx(13.104320, abs=1e-6)
    assert report["adacos"]["fixed_points"][0]["stable"] == pytest.approx(13.350388, abs=1e-6)
    assert report["adacos"]["collapse_limit"] == pytest.approx(9.265277, abs=1e-6)


def test_bounds_says_where_nothing_finite_answers():
    report = as_json("bounds", "--classes", "10", "--dim", "2", "--margin", "1.2")
    assert report["scale"][0]["joint"][0]["cosface"] is None
    assert report["adacos"]["fixed_points"][0] == {"theta_deg": 45, "stable": None, "unstable": None}
    assert "runs away" in run("bounds", "--classes", "10", "--dim", "2")


@pytest.mark.parametrize("classes", ["2", "3", "10000000"])
@pytest.mark.parametrize("dim", ["2", "3", "512"])
def test_bounds_take_any_size(classes, dim):
    assert as_json("bounds", "--classes", classes, "--dim", dim)["num_classes"] == int(classes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("losses", "cosfase"), "did you mean 'cosface'"),
        (("losses", "cosfase", "--json"), "did you mean 'cosface'"),
        (("bounds", "--classes", "1", "--dim", "16"), "num_classes must be a whole number of at least 2, but got 1"),
        (("bounds", "--classes", "10", "--dim", "0"), "dim must be a whole number of at least 2, but got 0"),
        (("bounds", "--classes", "10", "--dim", "4", "--posterior", "1"), r"posterior must be in \(0, 1\), but got 1"),
        (("bounds", "--classes", "10", "--dim", "4", "--margin", "-1"), r"margin must be in \[0, 2\], but got -1"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, message):
    result = CliRunner().invoke(app, arguments)
    with pytest.raises(InputError, match=message):
        raise result.exception
    assert "\n" not in str(result.exception)
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["losses", "bounds"])
def test_help_has_an_example(command):
    assert f"Example: `hpstudy {command} " in " ".join(run(command, "--help").split())


def test_braille_curve_fills_gaps_and_keeps_to_its_box():
    assert braille_curve([1.0, 1.0, 0.0, 0.0], 2) == ["⠉⡆", "⠀⣇"]
    assert braille_curve([2.0, -1.0], 1) == ["⢱"]
