"""`doctor`."""

import json
from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hpstudy.cli._options import HomeOption, JsonOption


def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check that this machine is ready to run studies, and say what to do where it is not.

    Example: `hpstudy doctor`
    """
    from hpstudy.execution import examine
    from hpstudy.record import home_folder

    console = Console(stderr=as_json)
    with console.status("looking at Python, packages, devices, fonts, storage and Ray …"):
        findings = examine(home_folder(home))
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        mark = Text("ok", style="green") if finding.ok else Text("fault", style="bold red")
        table.add_row(mark, finding.name, Text(finding.detail))
    console.print(table)
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
