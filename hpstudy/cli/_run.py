"""`run`, `resume`, `status`."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from hpstudy.cli._interruption import INTERRUPTED, Interrupted, interruptible, last_words
from hpstudy.cli._on_cluster import OnCluster
from hpstudy.cli._options import (
    DetachOption,
    HomeOption,
    InstallOption,
    JsonOption,
    QuickOption,
    RemoteOption,
    ReportOption,
    StudyArgument,
    home_words,
    study_name,
)
from hpstudy.cli._self_check import show_self_check
from hpstudy.exceptions import InputError

if TYPE_CHECKING:
    from hpstudy.record import Location
    from hpstudy.results import Results
    from hpstudy.spec import Study


def run(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file.")],
    quick: QuickOption = False,
    home: HomeOption = None,
    report: ReportOption = True,
    as_json: JsonOption = False,
) -> None:
    """Run a study: search, confirm, log to MLflow, write the report.

    A study that was begun before is continued; finished trials are not run again.

    Example: `hpstudy run studies/quickstart.yaml`
    """
    from hpstudy.spec import load_study

    _session(load_study(study_file, quick=quick), home, report, as_json)


def resume(
    study: StudyArgument,
    home: HomeOption = None,
    address: RemoteOption = None,
    install: InstallOption = False,
    detach: DetachOption = False,
    report: ReportOption = True,
    as_json: JsonOption = False,
) -> None:
    """Continue a study that was interrupted, from the file that it began with.

    With --address it goes on there; --home, --install and --detach are those of `hpstudy submit`, and the first two
    stay as they were.

    Example: `hpstudy resume quickstart`
    """
    from hpstudy.record import StudyFolder, home_folder

    if address is not None:
        if not report:
            raise InputError("--no-report is of a study on this machine: leave it out with --address")
        OnCluster(address, as_json).resume(study_name(study), home, install, detach)
        return
    if install or detach:
        raise InputError("--install and --detach are of a study on a cluster: name it with --address")
    _session(StudyFolder(home_folder(home), study_name(study)).study(), home, report, as_json)


def status(
    study: StudyArgument, home: HomeOption = None, address: RemoteOption = None, as_json: JsonOption = False
) -> None:
    """Show how far a study is and what it has found, here or on the cluster that it was submitted to.

    Example: `hpstudy status quickstart`
    """
    if address is not None:
        OnCluster(address, as_json).status(study_name(study), home)
        return
    from hpstudy.results import open_results

    results = open_results(study_name(study), home)
    state = "running" if results.folder.is_running() else "not running"
    console = Console()
    counts = _counts(results)
    planned = sum(results.study.planned_trials().values())
    console.print(
        f"{results.study.name}: {state}, {counts['finished']} of {planned} trials finished ({_by_status(counts)})"
    )
    if counts["finished"]:
        _show_verdict(console, results)
    if as_json:
        _print_json(results, state)


def _session(study: "Study", home: str | None, report: bool, as_json: bool) -> None:
    from hpstudy.cli._live import watching
    from hpstudy.record import home_folder
    from hpstudy.workflow import run_session

    folder = home_folder(home)
    # With --json stdout carries the object alone; people read the rest on stderr.
    console = Console(stderr=as_json)
    go_on = f"hpstudy resume {study.name}{home_words(home)}"
    try:
        with (
            last_words(f"hpstudy was ended from outside; what it had finished is kept. Continue with: {go_on}"),
            interruptible(),
            watching(console, study.name) as observe,
        ):
            finished = run_session(study, folder, observe, report=report).finished
    except Interrupted:
        finished = False
    if not finished:
        _tell_interrupted(console, study.name, folder, go_on, as_json)
    from hpstudy.results import open_results

    results = open_results(study.name, folder)
    _show_verdict(console, results)
    written = str(results.folder.report / "report.pdf") if report else f"hpstudy report {study.name}{home_words(home)}"
    console.print(Text.assemble("Report     ", (written, "bold")), soft_wrap=True)
    console.print(Text.assemble("MLflow UI  ", (f"hpstudy ui {study.name}{home_words(home)}", "bold")), soft_wrap=True)
    checked = results.self_check()
    show_self_check(console, checked)
    if as_json:
        _print_json(results, "finished")
    if checked["broken"] or (results.trials["status"] == "failed").all():
        raise typer.Exit(1)


def _tell_interrupted(console: Console, name: str, home: "Location", go_on: str, as_json: bool) -> NoReturn:
    from hpstudy.record import studies_in
    from hpstudy.results import open_results

    if name not in studies_in(home):
        console.print(f"Interrupted before study {name} began: nothing was written.", soft_wrap=True)
        raise typer.Exit(INTERRUPTED)
    results = open_results(name, home)
    planned = sum(results.study.planned_trials().values())
    console.print(f"Interrupted with {len(results.trials)} of {planned} trials done.")
    console.print(Text(f"Continue with: {go_on}"), soft_wrap=True)
    if as_json:
        _print_json(results, "interrupted")
    raise typer.Exit(INTERRUPTED)


def _show_verdict(console: Console, results: "Results") -> None:
    verdict = results.verdict()
    console.print()
    console.print(Text(results.study.spec.question, style="bold"), soft_wrap=True)
    for line in verdict.lines:
        console.print(Text(line), soft_wrap=True)
    console.print()


def _counts(results: "Results") -> dict[str, int]:
    trials = results.trials
    counts = {"finished": len(trials)}
    if len(trials):
        kinds = trials["phase"] + " " + trials["status"]
        counts |= {str(kind): int(count) for kind, count in kinds.value_counts(sort=False).items()}
    return counts


def _by_status(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items() if name != "finished") or "none yet"


def _print_json(results: "Results", state: str) -> None:
    summary = results.confirmed() if len(results.trials) else None
    report = results.folder.report / "report.pdf"
    answer = {
        "study": results.study.name,
        "home": str(results.folder.home),
        "state": state,
        "trials": {**_counts(results), "planned": sum(results.study.planned_trials().values())},
        "arms": [] if summary is None else json.loads(summary.to_json(orient="records", double_precision=15)),
        "verdict": results.verdict().paragraph if len(results.trials) else None,
        "self_check": results.self_check() if len(results.trials) else None,
        "report": os.fspath(report) if report.is_file() else None,
    }
    print(json.dumps(answer, ensure_ascii=False))
