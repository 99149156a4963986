"""`hpstudy plan` from the outside."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hpstudy.cli._plan_view import duration, points, size

STUDY = """
version: 1
name: toy
question: Which scale?
data: {source: digits, identities: {train: 4, val: 3, test: 3}}
model: {width: 2, embedding_dim: 8}
training: {batch_size: 64, epochs: 4}
arms: {tuned: {loss: cosface, search: {s: {log: [2, 64]}}}, adaptive: {loss: adacos}}
search: {objective: val/tar_at_far_1e-2, trials: 6, early_stopping: {kind: asha, grace_epochs: 1}}
confirm: {seeds: 2}
resources: {max_parallel: 1}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def hpstudy(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hpstudy", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_plan_has_trials_time_and_power_and_writes_nothing(file: Path) -> None:
    home = file.parent / "home"
    done = hpstudy("plan", file, "--home", home, "--probe-seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    answer = json.loads(line)
    assert answer["trials"] == {"search": 6, "grid": 0, "confirm": 4}
    assert [arm["arm"] for arm in answer["arms"]] == ["tuned", "adaptive"]
    assert answer["slots"] == answer["probe_workers"] == 1
    assert 0 < answer["forecast"]["expected_wall_s"] < answer["forecast"]["most_wall_s"]
    assert answer["power"]["comparisons"] == 1
    for word in ("Which scale?", "tuned", "Epochs", "Time", "Space", "Probe", "Power", "detectable"):
        assert word in done.stderr
    assert len(done.stderr.splitlines()) <= 24
    assert not home.exists()


def test_a_plan_loads_neither_ray_nor_mlflow(file: Path) -> None:
    code = (
        "import sys; from hpstudy.workflow import plan\n"
        f"plan({str(file)!r}, {str(file.parent / 'home')!r}, budget_s=1.0)\n"
        "print(*({'ray', 'mlflow', 'optuna', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == []
    code = "import sys; import hpstudy.execution._probe_worker; print(*({'ray', 'mlflow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == []


def test_without_a_probe_there_is_no_forecast(file: Path) -> None:
    done = hpstudy("plan", file, "--no-probe")
    assert done.returncode == 0
    assert "Epochs" in done.stdout
    assert "Time" not in done.stdout


def test_a_bad_file_shows_all_its_mistakes_and_ends_with_2(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\nname: bad\narms:\n  a: {loss: cosfac}\n  b: {loss: arcface, m: 28.6}\n")
    done = hpstudy("plan", bad, "--json")
    assert done.returncode == 2
    assert [line.rpartition(": ")[0].split(": ")[0] for line in done.stderr.splitlines()] == [f"{bad}:4", f"{bad}:5"]
    assert [entry["path"] for entry in json.loads(done.stdout)["errors"]] == ["arms.a.loss", "arms.b.m"]


def test_data_that_do_not_suffice_end_with_2(file: Path) -> None:
    file.write_text(STUDY.replace("batch_size: 64", "batch_size: 5000"))
    done = hpstudy("plan", file)
    assert done.returncode == 2
    assert done.stderr.startswith("hpstudy: condition default: training.batch_size must be at most")


def test_help_has_an_example() -> None:
    done = hpstudy("plan", "--help")
    assert done.returncode == 0
    assert "hpstudy plan studies/quickstart.yaml" in done.stdout


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.024, "24 ms"), (9.13, "9.1 s"), (61, "61 s"), (196, "3.3 min"), (5400, "1.5 h"), (200_000, "2.3 d")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_and_points_are_short() -> None:
    assert (size(900), size(47.4e6), size(3.2e9)) == ("0.9 kB", "47 MB", "3.2 GB")
    assert (points(0.01), points(0.0926), points(0.187)) == ("1", "9.3", "19")
