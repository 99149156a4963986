"""The commands, and what happens to errors."""

import sys

import typer

from hpstudy.cli._doctor import doctor
from hpstudy.cli._report import report
from hpstudy.cli._run import resume, run, status
from hpstudy.cli._study_file import check, schema
from hpstudy.cli._theory import bounds, losses
from hpstudy.cli._ui import ui
from hpstudy.exceptions import HpstudyError, InputError, StudyConflictError

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
    "Run a study": (run, resume, status, check, schema),
    "Look at a study": (report, ui),
    "The theory": (losses, bounds),
    "This machine": (doctor,),
}.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)


def main() -> None:
    """Runs the command line and exits.

    An error that hpstudy raises on purpose is shown as its message alone; exit code 2 for bad input, else 1.
    """
    try:
        app(standalone_mode=True)
    except (InputError, StudyConflictError) as error:
        _say(error)
        sys.exit(2)
    except HpstudyError as error:
        _say(error)
        sys.exit(1)


def _say(error: HpstudyError) -> None:
    print(f"hpstudy: {error}", file=sys.stderr)
