"""The program as a whole: its commands, its exit codes, its table."""

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import hpstudy as package
from hpstudy.cli import app
from hpstudy.cli._app import explain
from hpstudy.cli._live import progress_table, watching
from hpstudy.execution import ArmProgress, Progress
from hpstudy.record import TrialResult

COMMANDS = [
    "run",
    "submit",
    "resume",
    "status",
    "logs",
    "stop",
    "check",
    "plan",
    "schema",
    "report",
    "record",
    "ui",
    "register",
    "losses",
    "bounds",
    "doctor",
]


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
        (("record", "nothing"), "there is no study 'nothing'"),
        (("ui", "nothing"), "there is no study 'nothing'"),
        (("run", "missing.yaml"), "missing.yaml"),
        (("losses", "cosfase"), "cosface"),
        (("bounds", "--classes", "1", "--dim", "512"), "num_classes"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    of_a_home = ("status", "resume", "report", "record", "run", "ui")
    done = hpstudy(*words, *(("--home", str(tmp_path)) if words[0] in of_a_home else ()))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"hpstudy {package.__version__}\n"


@pytest.mark.parametrize(
    ("words", "errors"),
    [
        (("check", "{bad}"), [("{bad}", 3, "nam")]),
        (("run", "{bad}"), [("{bad}", 3, "nam")]),
        (("status", "nothing"), [(None, None, None)]),
        (("bounds", "--classes", "10"), [(None, None, None)]),
        (("run", "{good}", "--home", "{bad}"), [("{bad}", None, None)]),
    ],
)
def test_json_has_the_errors_in_its_last_line(
    words: tuple[str, ...], errors: list[tuple[object, ...]], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\nname: bad\nnam: worse\narms: {a: {loss: cosface}}\n")
    paths = {"bad": str(bad), "good": str(Path(package.__file__).parents[1] / "studies" / "quickstart.yaml")}
    done = hpstudy(*(word.format(**paths) for word in words), "--json")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout.splitlines()[-1])["errors"]
    expected = [tuple(paths["bad"] if value == "{bad}" else value for value in error) for error in errors]
    for entry, (file, line, path) in zip(found, expected, strict=True):
        # The path that a system call names may lie below the home.
        assert entry["file"] == file or str(entry["file"]).startswith(f"{file}/")
        assert (entry["line"], entry["path"]) == (line, path)
        assert entry["message"]
    if errors[0][1]:
        assert done.stderr.startswith(f"{bad}:3: ")


@pytest.mark.parametrize(
    ("number", "place", "code"),
    [
        (errno.EACCES, "/home/of/studies/name/lock", 2),
        (errno.EACCES, "/home/of", 2),
        (errno.EROFS, "/home/of/studies", 2),
        (errno.ENOSPC, "/elsewhere", 1),
        (errno.ENOSPC, None, 1),
        (errno.EACCES, "s3://bucket/home/name/lease", 2),
        (errno.EIO, "s3://bucket/home/name/lease", 1),
        (errno.EACCES, "/elsewhere", None),
        (errno.ENOENT, None, None),
        (errno.ECONNREFUSED, "/home/of/studies", None),
    ],
)
def test_only_an_unusable_home_and_a_full_disk_are_explained(number: int, place: str | None, code: int | None) -> None:
    explained = explain(OSError(number, os.strerror(number), place), Path("/home/of/studies"))
    assert (explained[1] if explained else None) == code
    if explained:
        assert explained[0].startswith(f"{place or '/home/of/studies'}: {os.strerror(number)}")


def test_ui_refuses_a_home_that_does_not_exist(tmp_path: Path) -> None:
    done = hpstudy("ui", "--home", str(tmp_path / "absent"))
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"hpstudy: there is no folder .*/absent: run a study first.*\n", done.stderr)
    assert not list(tmp_path.iterdir())


def test_ui_refuses_a_port_that_is_none(tmp_path: Path) -> None:
    assert hpstudy("ui", "--port", "65536", "--home", str(tmp_path)).returncode == 2


def processes_on(home: Path) -> list[str]:
    """Command lines that name the home, of all processes."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_text()
        except OSError:
            continue
        if str(home) in line:
            lines.append(line)
    return lines


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="counts processes in /proc")
@pytest.mark.parametrize(
    ("serving", "number", "code"), [(False, signal.SIGTERM, 128 + signal.SIGTERM), (True, signal.SIGINT, 0)]
)
def test_ui_takes_its_server_along(
    serving: bool, number: signal.Signals, code: int, tmp_path: Path, furnished: Callable[[Path], Path]
) -> None:
    command = [sys.executable, "-m", "hpstudy", "ui", "--port", "0", "--home", str(furnished(tmp_path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "starting the MLflow server …\n"
            if serving:
                assert program.stdout.readline().startswith("MLflow UI at http://127.0.0.1:")
            else:
                wait_until(lambda: len(processes_on(tmp_path)) > 1)
            program.send_signal(number)
            _, words = program.communicate(timeout=60)
        finally:
            program.kill()
    assert (program.returncode, words) == (code, "")
    wait_until(lambda: not processes_on(tmp_path))


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


def shown(state: Progress, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(progress_table(state, width))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_table_shows_each_arm() -> None:
    fixed = arm("adacos", search_done=0, search_total=0, best=None, best_params={}, pruned=0, diverged=0, running=())
    header, first, second = shown(progress(arm(), fixed), 160)
    names = ["arm", "search", "best val", "confirm", "val mean", "pruned", "diverged", "at", "running"]
    assert re.split(r"\s{2,}", header.strip()) == names
    assert re.match(r"cosface\s+3/8\s+0\.433\s+0/3\s+2\s+1\s+s=41\.9 lr=0\.05\s+epoch 2: 0\.412, starting", first)
    assert re.match(r"adacos\s+–\s+0/3", second)


def test_the_table_names_conditions_where_there_are_several() -> None:
    header, _, second = shown(progress(arm(), arm(condition="train-100")), 160)
    assert header.split()[:2] == ["arm", "condition"]
    assert "train-100" in second


@pytest.mark.parametrize("failed", [0, 3])
@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_narrow_table_shortens_names_and_keeps_numbers_whole(width: int, failed: int) -> None:
    long = arm(
        "cosface-with-a-very-long-name",
        condition="train-10000_embedding_dim-512",
        search_done=123,
        search_total=456,
        confirm_done=12,
        confirm_total=34,
        confirmed=0.765,
        pruned=88,
        diverged=77,
        failed=failed,
        running=("epoch 12: 0.412",) * 9,
    )
    lines = shown(progress(long, arm()), width)
    assert len(lines) == 3
    assert all(len(line.rstrip()) <= width for line in lines)
    kept = {"0.433", "0.765", "77"}
    if failed:
        kept |= {str(failed)}
    if width >= 80:
        kept |= {"123/456", "12/34", "88"}
    cells = lines[1].split()
    assert kept <= set(cells)
    assert "…" not in " ".join(cells[2:])
    assert cells[0].startswith("cosface")
    assert ("running" in lines[0]) <= (width >= 100)


def test_running_trials_beyond_the_room_are_counted() -> None:
    assert "epoch 12: 0.412, +8" in shown(progress(arm(running=("epoch 12: 0.412",) * 9)), 110)[1]


def test_without_a_terminal_there_is_a_line_for_each_change() -> None:
    console = Console(file=io.StringIO(), width=40)
    with watching(console, "toy") as observe:
        observe(progress(arm(), done=0))
        observe(progress(arm(), done=0))
    assert console.file.getvalue() == "[0/11] 11 trials, 0 done before, about 2:05 left\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("status", "cause", "words"),
    [
        ("completed", "", "completed val 0.010"),
        ("pruned", "asha", "pruned val 0.010"),
        ("diverged", "loss is nan", "diverged (loss is nan)"),
        ("failed", "OutOfMemoryError", "failed (OutOfMemoryError)"),
    ],
)
def test_only_a_trial_that_was_judged_has_a_score(status: str, cause: str, words: str) -> None:
    last = TrialResult(
        study="toy",
        trial_id="a.default.search.s0.001",
        arm="a",
        condition="default",
        phase="search",
        search_seed=0,
        number=1,
        seed=1,
        loss="cosface",
        num_classes=10,
        embedding_dim=8,
        s=30.0,
        m=0.2,
        status=status,
        cause=cause,
        objective=0.01,
    )
    console = Console(file=io.StringIO(), width=40)
    with watching(console, "toy") as observe:
        observe(progress(arm(), done=0))
        observe(replace(progress(arm(), done=1), last=last, eta_s=None))
    assert console.file.getvalue().splitlines()[1] == f"[1/11] {last.trial_id} {words}"  # type: ignore[attr-defined]


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
