"""`--quick`, and plans of surveys, from the outside."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = """\
version: 1
name: toy
question: Where do they go?
data: {source: free, identities: {train: 4, val: 0, test: 0}, samples: 8}
model: {name: free, embedding_dim: 2}
training: {batch_size: 16, epochs: 4, steps_per_epoch: 10}
arms: {listed: {loss: cosface, grid: {m: [0, 0.2, 0.4]}}, adaptive: {loss: adacos}}
search: {seeds: [0, 1, 2]}
confirm: {seeds: 0}
"""
QUICK = "quick: {training: {epochs: 1}, arms: {listed: {grid: {m: [0.2]}}}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(STUDY + QUICK, encoding="utf-8")
    return path


def hpstudy(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hpstudy", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def test_a_survey_is_planned_without_a_power_to_detect_anything(file: Path) -> None:
    done = hpstudy("plan", file, "--no-probe", "--json", "--home", file.parent / "home")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["trials"] == {"search": 0, "grid": 12, "confirm": 0}
    assert (answer["power"], answer["forecast"]) == (None, None)
    text = " ".join(done.stderr.split())
    assert "12 grid trials: 48 epochs" in text
    assert "a survey describes what it lists, with intervals over its seeds; it tests no difference" in text
    assert "detectable" not in text
    assert not (file.parent / "home").exists()


def test_the_small_variant_is_planned_under_its_own_name(file: Path) -> None:
    full, small = (
        json.loads(hpstudy("plan", file, "--no-probe", "--json", *words).stdout) for words in ((), ("--quick",))
    )
    assert (full["study"], small["study"]) == ("toy", "toy-quick")
    assert small["trials"] == {"search": 0, "grid": 6, "confirm": 0}
    assert [arm["epochs"] for arm in small["arms"]] == [3, 3]
    assert small["sha256"] != full["sha256"]


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_file_without_the_section_ends_with_2(file: Path, command: str) -> None:
    file.write_text(STUDY, encoding="utf-8")
    home = file.parent / "home"
    done = hpstudy(command, file, "--quick", "--json", "--home", home)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{file}:1: quick: is required for --quick: what the small variant replaces")
    assert [error["path"] for error in json.loads(done.stdout)["errors"]] == ["quick"]
    assert not home.exists()


@pytest.mark.parametrize("words", [("check",), ("plan", "--no-probe"), ("plan", "--no-probe", "--quick")])
def test_mistakes_of_the_section_are_shown_asked_for_or_not(file: Path, words: tuple[str, ...]) -> None:
    file.write_text(STUDY.replace("adacos", "adacoss") + QUICK.replace("epochs: 1", "epochs: 0"), encoding="utf-8")
    done = hpstudy(words[0], file, *words[1:])
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"{file}:7: arms.adaptive.loss: unknown loss 'adacoss'")
    assert lines[1:] == [f"{file}:10: quick.training.epochs: must be at least 1, but got 0"]


def test_help_tells_of_it() -> None:
    for command in ("plan", "run"):
        assert "--quick" in hpstudy(command, "--help").stdout
