"""`ui`."""

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from hpstudy.cli._options import HomeOption, study_name

if TYPE_CHECKING:
    from hpstudy.record import Location


def ui(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="Open on this study.")] = None,
    home: HomeOption = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0 takes a free one.")] = 5000,
) -> None:
    """Serve the MLflow UI of all studies on this machine, until Ctrl-C.

    Example: `hpstudy ui quickstart`
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)
    try:
        _serve(study, home, port)
    except KeyboardInterrupt:
        return


def _serve(study: str | None, home: str | None, port: int) -> None:
    from hpstudy.exceptions import HpstudyError
    from hpstudy.record import workplace
    from hpstudy.workflow import home_folder

    folder = home_folder(home)
    name = _known_study(study, folder)
    console = Console()
    starting = "starting the MLflow server …"
    if not console.is_terminal:
        console.print(starting)
    spinner = console.status(starting)
    with spinner:
        from hpstudy.tracking import serve, study_url

        with serve(workplace(folder), port=port) as server:
            address = study_url(server.url, name) if name else server.url
            spinner.stop()
            console.print(Text.assemble("MLflow UI at ", (address, "bold"), "   (Ctrl-C ends it)"), soft_wrap=True)
            code = server.wait()
            raise HpstudyError(f"the MLflow server ended by itself with exit status {code}: see {server.log}")


def _known_study(study: str | None, home: "Location") -> str | None:
    """The study's name, once it is known that the home has it.

    Raises:
        InputError: there is no such home, or no such study in it.
    """
    from hpstudy.exceptions import InputError
    from hpstudy.record import studies_in

    if isinstance(home, Path) and not home.is_dir():
        raise InputError(f"there is no folder {home}: run a study first, or say with --home where its home is")
    if study is None:
        return None
    name = study_name(study)
    known = studies_in(home)
    if name not in known:
        raise InputError(f"there is no study {name!r} in {home} (studies there: {', '.join(known) or 'none yet'})")
    return name


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Ends the command as the shell reports a signal, but in order: the server is stopped on the way out."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)
