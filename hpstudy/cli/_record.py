"""`record`."""

import errno
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from hpstudy.cli._options import HomeOption, JsonOption, StudyArgument, study_name

if TYPE_CHECKING:
    from hpstudy.results import Results

_ENDINGS = {"csv": ".csv", "parquet": ".parquet", "optuna": ".db"}
_TABLES = ("trials", "trajectories", "epochs")
_ONE = {"studies": "study", "trials": "trial", "rows": "row"}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def record(
    study: StudyArgument,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="csv|parquet|optuna",
            help="A table, or an Optuna storage in SQLite.  [default: what --output ends with, else csv]",
        ),
    ] = None,
    what: Annotated[
        str, typer.Option(metavar="|".join(_TABLES), help="What a row of the table is: a trial, a step or an epoch.")
    ] = "trials",
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="PATH",
            help="File or folder to write to.  [default: STUDY-trials.csv and the like, here]",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the numbers of a study elsewhere: to pandas, R or a spreadsheet, or to optuna-dashboard.

    Only trials that have ended are written, so a study may be running. `optuna` has one Optuna study for each arm,
    condition and search seed, and one for its confirm trials.

    Example: `hpstudy record quickstart --format parquet --what trajectories`
    """
    chosen = _format(form, what, output)
    name = study_name(study)
    from hpstudy.results import open_results

    results = open_results(name, home)
    content = "optuna" if chosen == "optuna" else what
    path = _target(output, f"{results.study.name}-{content}{_ENDINGS[chosen]}", force)
    console = Console(stderr=as_json, highlight=False)
    with console.status(f"writing {path.name} …"):
        written = _write(results, chosen, what, path)
    counts = ", ".join(f"{count:,} {_ONE[key] if count == 1 else key}" for key, count in written.items())
    console.print(Text.assemble((str(path), "bold"), f"   {counts}"), soft_wrap=True)
    if chosen == "optuna":
        console.print(Text(f"open it with: optuna-dashboard sqlite:///{path}"), soft_wrap=True)
    if as_json:
        told = {"study": results.study.name, "format": chosen, "what": what, "path": os.fspath(path), **written}
        print(json.dumps(told, ensure_ascii=False))


def _format(given: str | None, what: str, output: str | None) -> str:
    """The format that is asked for.

    Raises:
        InputError: it is unknown, or has no table of this kind.
    """
    from hpstudy.exceptions import InputError

    if what not in _TABLES:
        raise InputError(f"--what is {', '.join(_TABLES[:-1])} or {_TABLES[-1]}, but got {what!r}")
    by_ending = {ending: name for name, ending in _ENDINGS.items()}
    form = given or by_ending.get(Path(output or "").suffix.lower(), "csv")
    if form not in _ENDINGS:
        raise InputError(f"--format is {', '.join(list(_ENDINGS)[:-1])} or {list(_ENDINGS)[-1]}, but got {form!r}")
    if form == "optuna" and what != "trials":
        raise InputError(f"--what {what} is a table, for --format csv or parquet: an Optuna storage has trials")
    return form


def _target(output: str | None, usual: str, force: bool) -> Path:
    """The file to write.

    Raises:
        InputError: it is there and may not be replaced, or its folder isn't there or can't be written to.
    """
    from hpstudy.exceptions import InputError

    if "://" in (output or ""):
        raise InputError(f"--output is a file or folder of this machine, but got {output}")
    path = Path(output or "").absolute()
    path = path / usual if path.is_dir() else path
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}: make it, or name another place with --output")
    if path.exists() and not force:
        raise InputError(f"{path} is there already: replace it with --force, or name another file with --output")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(f"{path.parent}: {error.strerror}: name another place with --output") from error
    return path


def _write(results: "Results", form: str, what: str, path: Path) -> dict[str, int]:
    """Writes the file; returns what it holds, counted.

    Raises:
        HpstudyError: there is no room for it.
    """
    from hpstudy.exceptions import HpstudyError

    try:
        if form == "optuna":
            from hpstudy.search import write_optuna_storage

            found = write_optuna_storage(results.folder, results.study, path)
            return {"studies": found.studies, "trials": found.trials}
        from hpstudy.record import write_flat_table

        return {"rows": write_flat_table(results.folder, what, form, path)}
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise HpstudyError(
            f"{path}: {error.strerror or error}: nothing was written; make room, or name another place with --output"
        ) from error
