"""`report`."""

import difflib
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from hpstudy.cli._options import HomeOption, JsonOption, study_name
from hpstudy.cli._self_check import show_self_check

if TYPE_CHECKING:
    from hpstudy.record import Location

_LONGEST = 100
"""Letters of study names in the name of a folder; file systems allow 255."""


def report(
    studies: Annotated[
        list[str], typer.Argument(metavar="STUDY…", help="Name of a study, or its file; several are compared.")
    ],
    home: HomeOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Folder of a comparison.  [default: reports/<A>+<B>+… in the home]"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the PDF report of a study from what its record holds, with every table and figure beside it.

    With several studies, write one report about all of them: does the verdict hold? Exits with 1 if a trial broke a
    law that none can break, which means that something was measured wrongly.

    Example: `hpstudy report quickstart`, `hpstudy report faces-64 faces-256`
    """
    names = [study_name(name) for name in studies]
    written, path = _one(names[0], home, output) if len(names) == 1 else _several(names, home, output)
    console = Console(stderr=as_json)
    console.print(Text(str(path), style="bold"), soft_wrap=True)
    checked = written.get("self_check")
    if isinstance(checked, dict):
        show_self_check(console, checked)
    if as_json:
        print(json.dumps(written | {"report": os.fspath(path)}))
    if isinstance(checked, dict) and checked["broken"]:
        raise typer.Exit(1)


def _one(name: str, home: str | None, output: Path | None) -> tuple[dict[str, object], Path]:
    from hpstudy.exceptions import InputError
    from hpstudy.results import open_results, write_report

    results = open_results(name, home)
    if output is not None:
        raise InputError(
            f"--output is for a comparison of several studies; the report of one is in {results.folder.report}"
        )
    return {"study": results.study.name, "self_check": results.self_check()}, write_report(results)


def _several(names: Sequence[str], home: str | None, output: Path | None) -> tuple[dict[str, object], Path]:
    from hpstudy.record import home_folder
    from hpstudy.results import compare_studies, comparison_folder, open_results, publish_comparison

    place = home_folder(home)
    _refuse_unknown(names, place)
    results = [open_results(name, place) for name in names]
    path = compare_studies(results, (output or comparison_folder(place, folder_name(names))).absolute())
    if output is None:
        publish_comparison(place, path)
    return {"studies": list(names)}, path


def _refuse_unknown(names: Sequence[str], home: "Location") -> None:
    """All names at once that are no study.

    Raises:
        InputError: there are some.
    """
    from hpstudy.exceptions import InputError
    from hpstudy.record import StudyFolder, studies_in

    unknown = [name for name in dict.fromkeys(names) if not StudyFolder(home, name).exists()]
    if not unknown:
        return
    known = studies_in(home)
    told = []
    for name in unknown:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        told.append(f"there is no study {name!r} in {home}" + (f"; did you mean {near[0]!r}?" if near else ""))
    raise InputError("\n".join([*told, f"studies there: {', '.join(known) or 'none yet'}"]))


def folder_name(names: Sequence[str]) -> str:
    """The names joined by `+`; where that is too long, as many as fit and a fingerprint of all."""
    parts = [Path(name).name for name in names]
    whole = "+".join(parts)
    if len(whole) <= _LONGEST:
        return whole
    shown = parts[:1]
    while len("+".join(parts[: len(shown) + 1])) <= _LONGEST:
        shown = parts[: len(shown) + 1]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    return f"{'+'.join(shown)[:_LONGEST]}+{len(parts) - len(shown)}-more-{digest}"
