"""`hpstudy check` and `hpstudy schema` on an app of their own."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import hpstudy
from hpstudy.cli._study_file import check, schema
from hpstudy.spec import load_study

QUICKSTART = Path(hpstudy.__file__).parents[1] / "studies" / "quickstart.yaml"
BAD = "version: 1\nname: bad\narms:\n  a: {loss: cosfac}\n  b: {loss: arcface, m: 28.6}\n"

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(check)
app.command()(schema)


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(BAD, encoding="utf-8")
    return str(path)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_good_file_is_summed_up():
    result = run("check", QUICKSTART)
    assert result.exit_code == 0
    sha256 = load_study(QUICKSTART).sha256[:12]
    assert result.stdout == (
        f"OK  {QUICKSTART}  quickstart: 6 arms × 1 condition, 32 search + 18 confirm trials (12 epochs each), "
        f"sha256 {sha256}\n"
    )


@pytest.mark.parametrize(
    ("arm", "epochs"),
    [
        ("search: {s: {log: [2, 64]}, training.epochs: {int: [4, 9]}}", "4 to 9 epochs each"),
        ("grid: {training.epochs: [3, 5]}", "3 to 5 epochs each"),
        ("grid: {training.epochs: [5]}", "5 epochs each"),
        ("s: 30", "4 to 8 epochs each"),
    ],
)
def test_trials_of_different_lengths_are_summed_up(tmp_path, arm, epochs):
    path = tmp_path / "lengths.yaml"
    condition = "conditions: {training.epochs: [4, 8]}\n" if "epochs" not in arm else ""
    path.write_text(f"version: 1\nname: lengths\narms:\n  a: {{loss: cosface, {arm}}}\n{condition}", encoding="utf-8")
    assert f"({epochs})" in run("check", path).stdout


def test_a_bad_file_shows_all_its_mistakes_and_ends_with_2(bad):
    result = run("check", bad)
    assert result.exit_code == 2
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{bad}:4: arms.a.loss: unknown loss 'cosfac'; did you mean 'cosface'?")
    assert second == f"{bad}:5: arms.b.m: 28.6 rad is more than π/2; as degrees it is 0.499 rad"


def test_several_files_are_all_checked(bad, tmp_path):
    result = run("check", bad, QUICKSTART, tmp_path / "nowhere.yaml")
    assert result.exit_code == 2
    assert result.stdout.startswith("OK  ")
    assert [line.rpartition(":")[0] for line in result.stderr.splitlines()][-1].endswith("can't be read")


def test_json_is_the_last_line(bad):
    result = run("check", QUICKSTART, bad, "--json")
    assert result.exit_code == 2
    answer = json.loads(result.stdout.splitlines()[-1])
    assert [(error["file"], error["line"], error["path"]) for error in answer["errors"]] == [
        (bad, 4, "arms.a.loss"),
        (bad, 5, "arms.b.m"),
    ]
    assert "28.6 rad" in answer["errors"][1]["message"]
    (study,) = answer["studies"]
    assert study["study"] == "quickstart"
    assert study["trials"] == {"search": 32, "grid": 0, "confirm": 18}


def test_json_of_good_files_has_no_errors():
    assert json.loads(run("check", QUICKSTART, "--json").stdout.splitlines()[-1])["errors"] == []


def test_schema_prints_json():
    result = run("schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["title"] == "hpstudy study file"


@pytest.mark.parametrize("command", ["check", "schema"])
def test_help_has_an_example(command):
    assert f"hpstudy {command}" in run(command, "--help").stdout
