"""`hpstudy report` with several studies."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpstudy.cli import app
from hpstudy.cli._report import folder_name
from hpstudy.record import StudyFolder, TrialResult
from hpstudy.spec import parse_study

FILE = """version: 1
name: {name}
question: Does tuning pay?
arms:
  cosface: {{loss: cosface, search: {{s: {{log: [2, 64]}}}}}}
  adacos: {{loss: adacos}}
search: {{trials: 2, sampler: random}}
confirm: {{seeds: 3}}
"""


def recorded(home: Path, name: str, *, gain: float = 0.1, folder: str = "", trials: bool = True) -> StudyFolder:
    """A finished study of two arms, without training one."""
    study = parse_study(FILE.format(name=name))
    kept = StudyFolder(home, folder or name)
    kept.begin(study.resolved_yaml)
    kept.add_session(
        {"started": "2026-01-01 00:00:00 UTC", "source": "revision 1", "packages": "torch 2", "data default": "77ab"}
    )
    for arm, phase, number, score in (
        *(("cosface", "search", i, 0.5 + 0.1 * i) for i in range(2)),
        *(("cosface", "confirm", 101 + i, 0.6 + gain + 0.01 * i) for i in range(3)),
        *(("adacos", "confirm", 101 + i, 0.6 + 0.012 * i) for i in range(3)),
    ):
        if not trials:
            break
        searched = arm == "cosface"
        kept.finish_trial(
            TrialResult(
                study=name, trial_id=f"{arm}.default.{phase}.s0.{number:03d}", arm=arm, condition="default",
                phase=phase, search_seed=0, number=number, seed=number, loss=arm, num_classes=300, embedding_dim=256,
                s=20.0 + number % 100 if searched else math.nan, m=0.35 if searched else math.nan, status="completed",
                epochs=12, steps=100, objective=score, device="CPU", started_at=0.0, ended_at=1.0,
                groups={
                    "val/tar_at_far_1e-3": score, "cost/cpu_s": 10.0, "cost/gpu_s": 0.0, "cost/wall_s": 10.0,
                    "cost/peak_memory_mb": 100.0, "geometry/final_s": 20.0,
                    **({"test/tar_at_far_1e-3": score} if phase == "confirm" else {}),
                    **({"param/s": 20.0 + number % 100} if searched else {}),
                },
            )
        )  # fmt: skip
    return kept


def hpstudy(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hpstudy", *words], capture_output=True, text=True, timeout=120, check=False
    )


def test_two_studies_are_compared(tmp_path: Path) -> None:
    for name in ("first", "second"):
        recorded(tmp_path, name)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    done = CliRunner().invoke(app, ["report", "first", "second", "--home", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    report = tmp_path / "reports" / "first+second" / "report.pdf"
    assert found == {"studies": ["first", "second"], "report": str(report)}
    assert report.read_bytes().startswith(b"%PDF")
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(path.is_relative_to(tmp_path / "reports") for path in written)


def test_the_folder_can_be_named_and_is_written_anew(tmp_path: Path) -> None:
    for name in ("first", "second"):
        recorded(tmp_path, name)
    words = ["report", "first", "second", "--home", str(tmp_path), "--output", str(tmp_path / "there")]
    assert CliRunner().invoke(app, words).exit_code == 0
    first = (tmp_path / "there" / "report.pdf").read_bytes()
    assert CliRunner().invoke(app, words).exit_code == 0
    assert (tmp_path / "there" / "report.pdf").read_bytes() == first


def test_copies_and_studies_of_other_homes_are_told_apart(tmp_path: Path) -> None:
    recorded(tmp_path / "one", "study")
    recorded(tmp_path / "one", "study", folder="copy")
    recorded(tmp_path / "two", "study", gain=0.0)
    words = ["report", "study", "copy", str(tmp_path / "two" / "study"), "--home", str(tmp_path / "one"), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    report = Path(json.loads(done.stdout.splitlines()[-1])["report"])
    assert report.parent.name == "study+copy+study"
    facts = json.loads((report.parent / "report.json").read_text())["facts"]
    assert facts["studies"] == ["one/study", "copy", "two/study"]
    assert any("have the same study file: one study run 3 times" in caution for caution in facts["cautions"])


def test_all_that_are_unknown_are_told_at_once(tmp_path: Path) -> None:
    recorded(tmp_path, "quickstart")
    done = hpstudy("report", "quikstart", "quickstart", "nothing", "--home", str(tmp_path), "--json")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines() == [
        f"hpstudy: there is no study 'quikstart' in {tmp_path}; did you mean 'quickstart'?",
        f"there is no study 'nothing' in {tmp_path}",
        "studies there: quickstart",
    ]
    assert json.loads(done.stdout)["errors"][0]["message"].count("there is no study") == 2
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["first", "first"], "a study is compared with others, not with itself"),
        (["first", "begun"], "at least two studies with a finished trial, but begun has none yet: run it first"),
        (["first", "second", "--output", "{home}/first"], "holds other files: name a new or an empty folder"),
        (["first", "--output", "{home}/there"], "--output is for a comparison of several studies"),
    ],
)
def test_what_cannot_be_compared_is_refused(words: list[str], message: str, tmp_path: Path) -> None:
    for name in ("first", "second"):
        recorded(tmp_path, name)
    recorded(tmp_path, "begun", trials=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = hpstudy("report", *(word.format(home=tmp_path) for word in words), "--home", str(tmp_path))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_study_without_a_trial_is_listed_beside_two_that_have(tmp_path: Path) -> None:
    for name in ("first", "second"):
        recorded(tmp_path, name)
    recorded(tmp_path, "begun", trials=False)
    done = CliRunner().invoke(app, ["report", "first", "begun", "second", "--home", str(tmp_path)])
    assert done.exit_code == 0, done.output
    facts = json.loads((tmp_path / "reports" / "first+begun+second" / "report.json").read_text())["facts"]
    assert "in 1 no trial has ended yet" in facts["headline"]


def test_a_folder_is_named_after_its_studies() -> None:
    assert folder_name(["a", "b"]) == "a+b"
    assert folder_name(["/elsewhere/a", "b"]) == "a+b"
    long = [f"{letter * 60}" for letter in "abcd"]
    name = folder_name(long)
    assert name.startswith("a" * 60 + "+3-more-")
    assert len(name) < 140
    assert folder_name([*long[:3], "e" * 60]) != name
    assert len(folder_name(["a" * 100, "b"])) < 130
