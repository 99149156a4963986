"""`sync`."""

import json

import typer

from hpstudy.cli._options import HomeOption, JsonOption, StudyArgument, study_name


def sync(study: StudyArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Deliver to MLflow what it lacks of a study: trials, summary and report, from the record alone.

    For a study whose MLflow server was away to the end, or to show a study on another server: set MLFLOW_TRACKING_URI.

    Example: `hpstudy sync quickstart`
    """
    from hpstudy import workflow
    from hpstudy.record import home_folder

    name = study_name(study)
    done = workflow.sync(name, home)
    parts = [f"{done.trials} of {done.kept} trials"] if done.trials else []
    parts += ["the summary and the report"] if done.summary else []
    if parts:
        words = f"{name}: delivered {' and '.join(parts)} to {done.store}"
    else:
        words = f"{name}: nothing to deliver, {done.store} has all {done.kept} finished trials"
    typer.echo(words, err=as_json)
    if as_json:
        answer = {
            "study": name,
            "home": str(home_folder(home)),
            "store": done.store,
            "delivered": done.trials,
            "trials": done.kept,
            "summary": done.summary,
        }
        print(json.dumps(answer, ensure_ascii=False))
