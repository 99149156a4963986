"""`hpstudy record`: what it writes, where, and what it refuses."""

import json
import math
import resource
import subprocess
import sys
from pathlib import Path

import optuna
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

from hpstudy.cli import app
from hpstudy.cli._record import _TABLES
from hpstudy.exceptions import InputError
from hpstudy.record import TABLES, StudyFolder, TrialResult
from hpstudy.results import open_results
from hpstudy.spec import parse_study

FILE = """version: 1
name: toy
arms:
  cosface: {loss: cosface, search: {s: {log: [2, 64]}}}
search: {trials: 4, sampler: random}
"""
TRIALS = 3


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study with three finished trials; the folder `here` is the current one."""
    study = parse_study(FILE)
    folder = StudyFolder(tmp_path / "home", "toy")
    folder.begin(study.resolved_yaml)
    for number in range(TRIALS):
        folder.finish_trial(
            TrialResult(
                study="toy", trial_id=f"cosface.default.search.s0.{number:03d}", arm="cosface", condition="default",
                phase="search", search_seed=0, number=number, seed=0, loss="cosface", num_classes=300,
                embedding_dim=256, s=10.0 + number, m=math.nan, status="completed", epochs=12, steps=100,
                objective=0.1 * number, started_at=1.0, ended_at=2.0,
                groups={"param/s": 10.0 + number, "val/tar_at_far_1e-3": 0.1 * number},
            )
        )  # fmt: skip
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def record(home: Path, *words: str) -> dict[str, object]:
    done = CliRunner().invoke(app, ["record", "toy", "--home", str(home), "--json", *words])
    assert done.exit_code == 0, done.output
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_a_table_is_written_here_under_a_telling_name(home: Path) -> None:
    told = record(home)
    path = Path.cwd() / "toy-trials.csv"
    assert told == {"study": "toy", "format": "csv", "what": "trials", "path": str(path), "rows": TRIALS}
    assert list(pd.read_csv(path)["s"]) == [10.0, 11.0, 12.0]
    record(home, "--format", "parquet")
    assert_frame_equal(pd.read_parquet("toy-trials.parquet"), open_results("toy", home).trials)
    assert record(home, "--what", "trajectories")["path"] == str(Path.cwd() / "toy-trajectories.csv")


def test_an_optuna_storage_opens(home: Path) -> None:
    told = record(home, "--format", "optuna")
    path = Path.cwd() / "toy-optuna.db"
    assert {name: told[name] for name in ("path", "studies", "trials")} == {
        "path": str(path), "studies": 1, "trials": TRIALS,
    }  # fmt: skip
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{path}")
    assert [trial.params for trial in study.trials] == [{"s": 10.0}, {"s": 11.0}, {"s": 12.0}]
    assert study.best_value == pytest.approx(0.2)


def test_people_are_told_what_was_written_and_how_to_open_it(home: Path) -> None:
    done = CliRunner().invoke(app, ["record", "toy", "--home", str(home), "--format", "optuna"])
    path = Path.cwd() / "toy-optuna.db"
    assert done.stdout.splitlines() == [
        f"{path}   1 study, {TRIALS} trials",
        f"open it with: optuna-dashboard sqlite:///{path}",
    ]


@pytest.mark.parametrize(
    ("name", "form"), [("t.parquet", "parquet"), ("t.db", "optuna"), ("t.CSV", "csv"), ("t", "csv")]
)
def test_the_ending_of_the_file_tells_the_format(name: str, form: str, home: Path) -> None:
    told = record(home, "--output", name)
    assert (told["format"], told["path"]) == (form, str(Path.cwd() / name))
    assert record(home, "--output", name, "--format", "parquet", "--force")["format"] == "parquet"


def test_a_folder_takes_the_file_under_its_usual_name(home: Path) -> None:
    (Path.cwd() / "there").mkdir()
    assert record(home, "--output", "there")["path"] == str(Path.cwd() / "there" / "toy-trials.csv")


def test_a_file_that_is_there_is_replaced_only_if_told_to(home: Path) -> None:
    path = Path("toy-trials.csv")
    path.write_text("mine")
    done = subprocess.run(
        [sys.executable, "-m", "hpstudy", "record", "toy", "--home", str(home), "--json"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    message = f"{path.absolute()} is there already: replace it with --force, or name another file with --output"
    assert (done.returncode, done.stderr) == (2, f"hpstudy: {message}\n")
    assert json.loads(done.stdout.splitlines()[-1])["errors"][0]["message"] == message
    assert path.read_text() == "mine"
    record(home, "--force")
    assert len(pd.read_csv(path)) == TRIALS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["toy", "--format", "xls"], "--format is csv, parquet or optuna, but got 'xls'"),
        (["toy", "--what", "steps"], "--what is trials, trajectories or epochs, but got 'steps'"),
        (
            ["toy", "--what", "epochs", "--format", "optuna"],
            "--what epochs is a table, for --format csv or parquet: an Optuna storage has trials",
        ),
        (["tey"], "there is no study 'tey' in {home} (studies there: toy)"),
        (["toy", "--output", "absent/t.csv"], "there is no folder {here}/absent: make it, or name another place"),
        (["toy", "--output", "s3://b/t.csv"], "--output is a file or folder of this machine, but got s3://b/t.csv"),
        (["toy", "--output", "/proc/t.csv"], "/proc: No such file or directory: name another place with --output"),
    ],
)
def test_bad_input_is_refused_in_one_line(words: list[str], message: str, home: Path) -> None:
    done = CliRunner().invoke(app, ["record", *words, "--home", str(home)])
    assert isinstance(done.exception, InputError)
    assert str(done.exception).startswith(message.format(home=home, here=Path.cwd()))
    assert "\n" not in str(done.exception)
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("form", ["csv", "parquet", "optuna"])
def test_a_full_disk_leaves_the_old_file(form: str, home: Path) -> None:
    path = Path.cwd() / "t"
    path.write_text("as it was")
    words = ["record", "toy", "--home", str(home), "--format", form, "--output", "t", "--force"]
    done = subprocess.run(
        [sys.executable, "-m", "hpstudy", *words],
        capture_output=True, text=True, timeout=120, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64)),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"hpstudy: {path}: ")
    assert done.stderr.endswith("nothing was written; make room, or name another place with --output\n")
    assert [(each.name, each.read_text()) for each in Path.cwd().iterdir()] == [("t", "as it was")]


def test_the_tables_are_those_of_the_record() -> None:
    assert _TABLES == TABLES
