"""Options that several commands share."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[
    str | None,
    typer.Option(
        "--home",
        metavar="FOLDER",
        help="Folder, s3://… or gs://… that holds studies.  [default: $HPSTUDY_HOME or ./hpstudy-runs]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]
ReportOption = Annotated[
    bool,
    typer.Option(
        "--report/--no-report",
        help="Write the report when all trials have ended, and its findings to MLflow; without, `hpstudy report` and "
        "`hpstudy sync` do it.",
    ),
]
QuickOption = Annotated[
    bool, typer.Option("--quick", help="The small variant that the file describes under `quick`: minutes, for a look.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="A Ray cluster: http://HEAD:8265 (its dashboard), or auto for the one on this machine.  "
        "[default: $RAY_ADDRESS]",
    ),
]
RemoteOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="The Ray cluster that the study was submitted to: http://HEAD:8265, or auto.",
    ),
]
ClusterHomeOption = Annotated[
    str | None,
    typer.Option(
        "--home",
        metavar="HOME",
        help="Where studies live, as the cluster's nodes name it: a folder that they share.  "
        "[default: $HPSTUDY_HOME there, else ~/hpstudy-runs of the head]",
    ),
]
InstallOption = Annotated[
    bool, typer.Option("--install", help="Send hpstudy itself along; what it needs must be installed on the nodes.")
]
DetachOption = Annotated[bool, typer.Option("--detach", "-d", help="Submit, and don't wait for the end.")]
StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study, or its file.")]


def home_words(home: str | None) -> str:
    """`--home` as a hint repeats it; nothing where none was given."""
    return f" --home {shlex.quote(home)}" if home else ""


def study_name(given: str) -> str:
    """A study's name, also from the path of its file."""
    if given.endswith((".yaml", ".yml")):
        from hpstudy.spec import load_study

        return load_study(Path(given)).name
    return given
