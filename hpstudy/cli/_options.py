"""Options that several commands share."""

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
QuickOption = Annotated[
    bool, typer.Option("--quick", help="The small variant that the file describes under `quick`: minutes, for a look.")
]
StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study, or its file.")]


def study_name(given: str) -> str:
    """A study's name, also from the path of its file."""
    if given.endswith((".yaml", ".yml")):
        from hpstudy.spec import load_study

        return load_study(Path(given)).name
    return given
