"""`hpstudy check` and `hpstudy schema`: study files before anything runs."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hpstudy.cli._options import JsonOption

StudyFiles = Annotated[list[Path], typer.Argument(help="Study files.", show_default=False)]


def check(files: StudyFiles, as_json: JsonOption = False) -> None:
    """Check study files and show all of their mistakes, each with file, line and key; nothing is started or written.

    Example: `hpstudy check studies/quickstart.yaml`
    """
    from hpstudy.exceptions import StudyFileError
    from hpstudy.spec import Study, load_study

    studies: list[Study] = []
    errors: list[dict[str, Any]] = []
    for file in files:
        try:
            study = load_study(file)
        except StudyFileError as error:
            for mistake in error.mistakes:
                typer.echo(str(mistake), err=True)
                errors.append(
                    {"file": mistake.file, "line": mistake.line, "path": mistake.path, "message": mistake.message}
                )
        else:
            studies.append(study)
            typer.echo(f"OK  {file}  {_summary(study)}")
    if as_json:
        typer.echo(json.dumps({"errors": errors, "studies": [_facts(study) for study in studies]}, ensure_ascii=False))
    if errors:
        raise typer.Exit(2)


def schema() -> None:
    """Print the JSON schema of study files, for completion in editors.

    Example: `hpstudy schema > study.schema.json`
    """
    from hpstudy.spec import study_schema

    typer.echo(json.dumps(study_schema(), indent=2, ensure_ascii=False))


def _summary(study: Any) -> str:
    facts = _facts(study)
    trials = facts["trials"]
    phases = " + ".join(f"{count} {phase}" for phase, count in trials.items() if count)
    places = len(facts["conditions"])
    return (
        f"{study.name}: {_count(len(facts['arms']), 'arm')} × {_count(places, 'condition')}, "
        f"{phases} trials ({_epochs(study)} each), sha256 {study.sha256[:12]}"
    )


def _epochs(study: Any) -> str:
    """Epochs of a trial, or from which to which number of them; they may be a condition, or searched."""
    name, found = "training.epochs", set[int]()
    for arm in study.arms:
        tried = [*arm.space[name].values] if name in arm.space else [p[name] for p in arm.grid_points() if name in p]
        found |= {int(value) for value in tried} or {place.training.epochs for place in study.conditions()}
    return f"{min(found)} to {max(found)} epochs" if len(found) > 1 else _count(min(found), "epoch")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _facts(study: Any) -> dict[str, Any]:
    return {
        "file": study.source,
        "study": study.name,
        "sha256": study.sha256,
        "arms": {arm.name: arm.kind for arm in study.arms},
        "conditions": [condition.id for condition in study.conditions()],
        "trials": study.planned_trials(),
    }
