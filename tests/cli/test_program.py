"""The program as a whole: its commands, its exit codes, its table."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from hpstudy.cli import app
from hpstudy.cli._live import progress_table, watching
from hpstudy.execution import ArmProgress, Progress

COMMANDS = ["run", "resume", "status", "check", "schema", "report", "ui", "losses", "bounds", "doctor"]


def hpstudy(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hpstudy", *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_help_names_every_command() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", text)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert f"hpstudy {command}" in done.output.replace("\n", " ")
    assert "Example" in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("status", "nothing"), "there is no study 'nothing'"),
        (("resume", "nothing"), "there is no study 'nothing'"),
        (("report", "nothing"), "there is no study 'nothing'"),
        (("run", "missing.yaml"), "missing.yaml"),
        (("losses", "cosfase"), "cosface"),
        (("bounds", "--classes", "1", "--dim", "512"), "num_classes"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = hpstudy(*words, *(("--home", str(tmp_path)) if words[0] in ("status", "resume", "report", "run") else ()))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def arm(name: str = "cosface", **changes: object) -> ArmProgress:
    values: dict[str, object] = {
        "arm": name,
        "condition": "default",
        "search_done": 3,
        "search_total": 8,
        "confirm_done": 0,
        "confirm_total": 3,
        "running": ("epoch 2: 0.412", ""),
        "best": 0.433,
        "best_params": {"s": 41.94, "training.optimizer.lr": 0.05},
        "confirmed": None,
        "pruned": 2,
        "diverged": 1,
        "failed": 0,
    }
    return ArmProgress(**{**values, **changes})  # type: ignore[arg-type]


def progress(*arms: ArmProgress, done: int = 3) -> Progress:
    return Progress(arms=arms, done=done, total=11, elapsed_s=61.0, eta_s=125.0, last=None)


def test_the_table_shows_each_arm() -> None:
    console = Console(file=io.StringIO(), width=160)
    fixed = arm("adacos", search_done=0, search_total=0, best=None, best_params={}, pruned=0, diverged=0, running=())
    console.print(progress_table(progress(arm(), fixed)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert re.search(r"cosface\s+3/8\s+0\.433\s+s=41\.9 lr=0\.05\s+0/3\s+2\s+1\s+epoch 2: 0\.412, starting", text)
    assert re.search(r"adacos\s+–\s+0/3", text)
    assert "condition" not in text


def test_the_table_names_conditions_where_there_are_several() -> None:
    console = Console(file=io.StringIO(), width=160)
    console.print(progress_table(progress(arm(), arm(condition="train-100"))))
    assert "train-100" in console.file.getvalue()  # type: ignore[attr-defined]


def test_without_a_terminal_there_is_a_line_for_each_change() -> None:
    console = Console(file=io.StringIO(), width=40)
    with watching(console, "toy") as observe:
        observe(progress(arm(), done=0))
        observe(progress(arm(), done=0))
    assert console.file.getvalue() == "[0/11] 11 trials, 0 done before, about 2:05 left\n"  # type: ignore[attr-defined]


def test_on_a_terminal_there_is_a_live_table() -> None:
    console = Console(file=io.StringIO(), width=160, force_terminal=True)
    with watching(console, "toy") as observe:
        observe(progress(arm()))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "3 of 11 trials" in text
    assert "cosface" in text


def test_doctor_says_what_it_found() -> None:
    done = hpstudy("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    findings = {finding["name"]: finding for finding in json.loads(done.stdout.splitlines()[-1])["findings"]}
    assert {"python", "torch", "ray", "fonts", "storage", "ray starts"} <= set(findings)
    assert all(finding["ok"] for finding in findings.values())
    assert "12 DejaVu faces" in findings["fonts"]["detail"]
