"""`ui`."""

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from hpstudy.cli._options import HomeOption, study_name


def ui(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="Open on this study.")] = None,
    home: HomeOption = None,
    port: Annotated[int, typer.Option(help="Port on loopback; 0 takes a free one.")] = 5000,
) -> None:
    """Serve the MLflow UI of all studies on this machine, until Ctrl-C.

    Example: `hpstudy ui quickstart`
    """
    from hpstudy.tracking import serve, study_url
    from hpstudy.workflow import home_folder

    console = Console()
    folder = home_folder(home)
    with console.status("starting the MLflow server …"):
        server = serve(folder, port=port)
    with server:
        address = study_url(server.url, study_name(study)) if study else server.url
        console.print(Text.assemble("MLflow UI at ", (address, "bold"), "   (Ctrl-C ends it)"), soft_wrap=True)
        server.wait()
