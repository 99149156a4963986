"""`ui`."""

import os
import signal
import socket
import sys
import webbrowser
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from hpstudy.cli._options import HomeOption, study_name

if TYPE_CHECKING:
    from hpstudy.record import Location


def ui(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="Open on this study.")] = None,
    home: HomeOption = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 5000,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to bind to. Any other than loopback asks for the user and the password in "
            "$MLFLOW_TRACKING_USERNAME and $MLFLOW_TRACKING_PASSWORD.",
        ),
    ] = "127.0.0.1",
    allowed_hosts: Annotated[
        str,
        typer.Option(
            metavar="NAME,…",
            help="Names under which browsers may ask for the server, besides localhost.  [default: with --host that "
            "address, or this machine's name]",
        ),
    ] = "",
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open a browser where there is a terminal and a display.")
    ] = True,
) -> None:
    """Serve the MLflow UI of all studies, on this machine alone, until Ctrl-C.

    Where `$MLFLOW_TRACKING_URI` names a server, which shows the runs already, only the address is told.

    Example: `hpstudy ui quickstart`
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)
    names = [name for name in allowed_hosts.replace(" ", "").split(",") if name]
    try:
        _show(study, home, Binding(host, port, names), open_browser)
    except KeyboardInterrupt:
        return


class Binding(NamedTuple):
    """Where the server listens, and under which names."""

    host: str
    port: int
    allowed_hosts: list[str]


def _show(study: str | None, home: str | None, binding: Binding, open_browser: bool) -> None:
    from hpstudy.exceptions import HpstudyError
    from hpstudy.record import home_folder, workplace

    folder = home_folder(home)
    name = _known_study(study, folder)
    console = Console()
    starting = "starting the MLflow server …"
    if not console.is_terminal:
        console.print(starting)
    spinner = console.status(starting)
    with spinner:
        from hpstudy.tracking import account_from, is_loopback, is_server, serve, tracking_uri

        def show(base: str, hint: str = "") -> None:
            address = base
            if name:
                from hpstudy.tracking import prepare_study_page

                address = prepare_study_page(base, name)
            spinner.stop()
            console.print(Text.assemble("MLflow UI at ", (address, "bold"), hint), soft_wrap=True)
            if open_browser and console.is_terminal and _has_display():
                webbrowser.open(address)

        home_here = workplace(folder)
        uri = tracking_uri(home_here)
        if is_server(uri):
            show(uri)
            return
        host, port, names = binding
        account = None
        if not is_loopback(host):
            account = account_from(os.environ)
            names = names or [socket.gethostname() if host in ("0.0.0.0", "::") else host]
        with serve(home_here, host, port, account=account, allowed_hosts=names) as server:
            show(server.url, "   (Ctrl-C ends it)")
            for other in names:
                console.print(f"from elsewhere http://{other}:{server.port}", soft_wrap=True, highlight=False)
            code = server.wait()
            raise HpstudyError(f"the MLflow server ended by itself with exit status {code}: see {server.log}")


def _has_display() -> bool:
    """Whether a browser would open a window; without one Python would start a text browser in the terminal."""
    named = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    return named or sys.platform in ("darwin", "win32")


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
