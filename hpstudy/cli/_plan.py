"""`hpstudy plan`: a study's trials, cost and power before anything runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hpstudy.cli._options import HomeOption, JsonOption, QuickOption


def plan(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file.", show_default=False)],
    quick: QuickOption = False,
    home: HomeOption = None,
    no_probe: Annotated[bool, typer.Option("--no-probe", help="Time nothing: trials and power only.")] = False,
    probe_seconds: Annotated[
        float, typer.Option(min=1, help="Seconds that the probe may take for each condition, roughly.")
    ] = 20.0,
    as_json: JsonOption = False,
) -> None:
    """Show what a study will run, take and be able to show; nothing is started or written.

    Trials and epochs of every arm, time and disk space from a few timed steps of each condition, and the smallest
    difference that the confirm seeds can detect.

    Example: `hpstudy plan studies/quickstart.yaml`
    """
    from dataclasses import asdict

    from rich.console import Console

    from hpstudy.cli._plan_view import show
    from hpstudy.spec import load_study

    study = load_study(study_file, quick=quick)
    console = Console(stderr=as_json, highlight=False)
    with console.status("timing a few steps of each condition …" if not no_probe else "counting …"):
        from hpstudy import workflow

        found = workflow.plan(study, home, probe=not no_probe, budget_s=probe_seconds)
    show(console, found)
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False))
