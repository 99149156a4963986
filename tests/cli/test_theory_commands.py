"""`hpstudy losses` and `hpstudy bounds` on an app of their own."""

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from hpstudy.cli import _bounds_view
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


def test_bounds_takes_c_and_k_by_position_too():
    assert run("bounds", "300", "256") == run("bounds", "--classes", "300", "--dim", "256")
    assert run("bounds", "300", "--dim", "256") == run("bounds", "300", "256")


def test_bounds_says_how_well_the_largest_margin_is_known():
    assert as_json("bounds", "300", "256")["margin"]["exact"]
    assert "most that prototypes permit (Rankin)" in run("bounds", "300", "256")
    row = as_json("bounds", "10575", "512")["margin"]
    assert not row["exact"]
    assert row["lower"] == pytest.approx(0.9375)
    text = " ".join(run("bounds", "10575", "512").split())
    assert "no prototypes permit more (Levenshtein) 0.975405" in text
    assert "a known code permits" in text


def test_bounds_draws_what_it_prints(tmp_path):
    files = [str(tmp_path / name) for name in ("a.png", "a.svg", "a.pdf")]
    options = [word for file in files for word in ("--plot", file)]
    report = as_json("bounds", "8", "2", *options)
    assert report.pop("plots") == files
    plain = as_json("bounds", "8", "2")
    assert plain.pop("plots") == []
    assert report == plain
    assert sorted(str(path) for path in tmp_path.iterdir()) == sorted(files)
    assert run("bounds", "8", "2", "--plot", files[0]).splitlines()[-1] == files[0]


@pytest.mark.parametrize(("name", "message"), [("a.jpg", "ends in .jpg"), ("missing/a.png", "there is no folder")])
def test_bounds_refuses_a_plot_before_it_computes(name, message, tmp_path, monkeypatch):
    monkeypatch.setattr(_bounds_view, "compute", lambda *_: pytest.fail("computed"))
    result = CliRunner().invoke(app, ["bounds", "8", "2", "--plot", str(tmp_path / name)])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert (result.stdout, list(tmp_path.iterdir())) == ("", [])


def test_bounds_without_a_plot_loads_no_drawing():
    code = (
        "import sys; from hpstudy.cli import app; app(['bounds', '8', '2', '--json'], standalone_mode=False);"
        "print(*({'matplotlib', 'seaborn', 'pandas', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bounds",), "C is missing: give both as in `hpstudy bounds 10575 512`"),
        (("bounds", "--classes", "10"), "K is missing"),
        (("bounds", "12", "16", "--classes", "10"), "C is given twice, as 12 and as --classes 10: give it once"),
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
