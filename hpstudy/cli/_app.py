"""The commands, and what happens to errors."""

import errno
import json
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from hpstudy.cli._doctor import doctor
from hpstudy.cli._plan import plan
from hpstudy.cli._record import record
from hpstudy.cli._register import register
from hpstudy.cli._report import report
from hpstudy.cli._run import resume, run, status
from hpstudy.cli._study_file import check, schema
from hpstudy.cli._submit import logs, stop, submit
from hpstudy.cli._sync import sync
from hpstudy.cli._theory import bounds, losses
from hpstudy.cli._ui import ui
from hpstudy.exceptions import HpstudyError, InputError, StudyConflictError, StudyFileError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_UNUSABLE = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.EACCES, errno.EPERM, errno.EROFS),
}

app = typer.Typer(
    name="hpstudy",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Studies of scale s and margin m in cosine-softmax losses: is a tuned (s, m) worth its search, against a "
    "scale that adapts itself?\n\nBegin with `hpstudy run studies/quickstart.yaml`.",
)
for panel, commands in {
    "Run a study": (check, plan, run, submit, status, logs, stop, resume, schema),
    "Look at a study": (report, record, ui, sync, register),
    "The theory": (losses, bounds),
    "This machine": (doctor,),
}.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hpstudy {metadata.version('hpstudy')}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None: ...


def main() -> None:
    """Runs the command line and exits.

    An error that hpstudy raises on purpose is shown as its message alone, and so is a home that cannot be used; exit
    code 2 for bad input, else 1. With `--json` the last line of stdout then has the errors as one JSON object.
    """
    try:
        app(standalone_mode=True)
    except StudyFileError as error:
        # No name before these lines: editors read them as FILE:LINE: MESSAGE.
        _refuse(str(error), 2, [_entry(m.message, m.file, m.line, m.path) for m in error.mistakes])
    except HpstudyError as error:
        code = 2 if isinstance(error, (InputError, StudyConflictError)) else 1
        _refuse(f"hpstudy: {error}", code, [_entry(str(error))])
    except OSError as error:
        explained = explain(error, _home())
        if explained is None:
            raise
        message, code = explained
        file = None if error.filename is None else os.fsdecode(error.filename)
        _refuse(f"hpstudy: {message}", code, [_entry(message, file)])
    except SystemExit as ended:
        # What the arguments lack has been shown by now; the error itself says it again for --json.
        usage = getattr(ended.__context__, "format_message", None)
        if ended.code == 2 and usage is not None:
            _print_json([_entry(usage())])
        raise


def explain(error: OSError, home: Path) -> tuple[str, int] | None:
    """What to tell of a home or a disk that cannot be used, and the exit code; None for any other error."""
    reason = error.strerror or str(error)
    if isinstance(error.filename, str) and "://" in error.filename:
        if error.errno in _UNUSABLE:
            return f"{error.filename}: {reason}: the home of studies must be one that you may write to (see --home)", 2
        return f"{error.filename}: {reason}: what was finished is kept there; continue with `hpstudy resume`", 1
    place = None if error.filename is None else Path(os.fsdecode(error.filename)).absolute()
    if error.errno in _FULL:
        return f"{place or home}: {reason}: make room there, then continue with `hpstudy resume`", 1
    if place is None or error.errno not in _UNUSABLE:
        return None
    if not (place.is_relative_to(home) or home.is_relative_to(place)):
        return None
    return f"{place}: {reason}: the home of studies must be a folder that you may write to (see --home)", 2


def _home() -> Path:
    """The home that the command line names, as `hpstudy.record.home_folder` has it."""
    given = os.environ.get("HPSTUDY_HOME") or "hpstudy-runs"
    for word, following in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        if word == "--home":
            given = following
        elif word.startswith("--home="):
            given = word.removeprefix("--home=")
    return Path(given).absolute()


def _entry(message: str, file: str | None = None, line: int | None = None, path: str | None = None) -> dict[str, Any]:
    return {"file": file, "line": line, "path": path, "message": message}


def _refuse(text: str, code: int, errors: list[dict[str, Any]]) -> NoReturn:
    print(text, file=sys.stderr)
    _print_json(errors)
    sys.exit(code)


def _print_json(errors: list[dict[str, Any]]) -> None:
    if "--json" in sys.argv:
        print(json.dumps({"errors": errors}, ensure_ascii=False))
