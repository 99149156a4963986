"""`hpstudy report` says whether a law broke that no trial can break, and surveys are not compared."""

import json
import math
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from hpstudy.cli import app
from hpstudy.exceptions import InputError
from hpstudy.record import StudyFolder, TrialResult
from hpstudy.spec import parse_study

SURVEY = """version: 1
name: {name}
question: Is the loss ever below its floor?
data: {{source: free, identities: {{train: 8, val: 0, test: 0}}, samples: 4}}
model: {{name: free, embedding_dim: 2}}
training: {{epochs: 4, batch_size: 8, steps_per_epoch: 20, optimizer: {{name: adamw, lr: 0.02}}}}
arms:
  normface: {{loss: normface, grid: {{s: [2, 8, 32]}}}}
search: {{seeds: [0, 1]}}
confirm: {{seeds: 0}}
"""
STUDY = """version: 1
name: {name}
question: Does tuning pay?
arms:
  cosface: {{loss: cosface, search: {{s: {{log: [2, 64]}}}}}}
search: {{trials: 1, sampler: random}}
confirm: {{seeds: 1}}
"""
PACKED = "No prototypes are packed better than C directions in K dimensions can be"


def survey(
    audited: ModuleType, home: Path, name: str, *, cosine: float = math.nan, trials: int = 6, file: str = SURVEY
) -> StudyFolder:
    """A survey of three scales on two seeds; `cosine` is what the first trial says of its nearest prototypes."""
    study = parse_study(file.format(name=name))
    kept = StudyFolder(home, name)
    kept.begin(study.resolved_yaml)
    kept.add_session(
        {"started": "2026-01-01 00:00:00 UTC", "source": "revision 1", "packages": "torch 2", "data default": "77ab"}
    )
    own = {entry.name for entry in fields(TrialResult)}
    rows = [
        audited.trial("normface", "normface", number, seed, (8, 2), s=s, study=name, **{"param/s": s})
        for number, s in enumerate((2.0, 8.0, 32.0))
        for seed in (0, 1)
    ]
    if not math.isnan(cosine):
        rows[0]["geometry/max_prototype_cosine"] = cosine
    for row in rows[:trials]:
        groups = {key: value for key, value in row.items() if "/" in key}
        kept.finish_trial(TrialResult(**{key: row[key] for key in own & set(row)}, groups=groups))
    return kept


def report(*words: str) -> tuple[int, str, dict[str, object]]:
    """Exit code, what people read, and the object of --json."""
    done = CliRunner().invoke(app, ["report", *words, "--json"])
    found = json.loads(done.stdout.splitlines()[-1]) if done.stdout.startswith("{") else {}
    return done.exit_code, done.stderr, found


def test_laws_that_hold_exit_with_0(audited: ModuleType, tmp_path: Path) -> None:
    kept = survey(audited, tmp_path, "sound")
    code, told, found = report("sound", "--home", str(tmp_path))
    assert code == 0, told
    checked = found["self_check"]
    assert isinstance(checked, dict)
    assert checked["broken"] == []
    assert checked["line"] == f"Self-check passed: {checked['laws']} laws held"
    assert checked["laws"] >= 8
    assert found["report"] == str(kept.report / "report.pdf")
    assert checked["line"] in told
    assert (kept.report / "report.pdf").read_bytes().startswith(b"%PDF")


def test_a_broken_law_exits_with_1_and_is_named(audited: ModuleType, tmp_path: Path) -> None:
    kept = survey(audited, tmp_path, "broken", cosine=-0.9)
    code, told, found = report("broken", "--home", str(tmp_path))
    assert code == 1
    checked = found["self_check"]
    assert isinstance(checked, dict)
    assert PACKED in checked["broken"]
    assert checked["line"].startswith(f"Self-check FAILED: {len(checked['broken'])} of {checked['laws']} laws broken (")
    assert PACKED in told
    headline = json.loads((kept.report / "report.json").read_text())["facts"]["headline"]
    assert headline.startswith("The self-check failed, so that something was measured wrongly: ")
    assert "Traceback" not in told


def test_status_of_a_survey_tells_its_findings(audited: ModuleType, tmp_path: Path) -> None:
    survey(audited, tmp_path, "begun", trials=4)
    done = CliRunner().invoke(app, ["status", "begun", "--home", str(tmp_path)])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("begun: not running, 4 of 6 trials finished")
    assert any(line.startswith("Unfinished (4 of 6 trials): 4 trials at 2 listed points, none of") for line in lines)


@pytest.mark.parametrize("file", [SURVEY, STUDY], ids=["survey", "study"])
def test_a_study_without_a_trial_is_refused(audited: ModuleType, tmp_path: Path, file: str) -> None:
    survey(audited, tmp_path, "empty", trials=0, file=file)
    done = CliRunner().invoke(app, ["report", "empty", "--home", str(tmp_path)])
    assert isinstance(done.exception, InputError)
    assert "has no finished trial yet: run it first" in str(done.exception)


def test_surveys_are_not_compared(audited: ModuleType, tmp_path: Path) -> None:
    for name in ("first", "second"):
        survey(audited, tmp_path, name)
    survey(audited, tmp_path, "ordinary", trials=0, file=STUDY)
    words = [sys.executable, "-m", "hpstudy", "report", "first", "ordinary", "--home", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "hpstudy: studies are compared by their verdicts, and first is a survey without one: leave it out"
    ]
    both = CliRunner().invoke(app, ["report", "first", "second", "--home", str(tmp_path)])
    assert str(both.exception).endswith("and first and second are surveys without one: leave them out")
    assert not (tmp_path / "reports").exists()
