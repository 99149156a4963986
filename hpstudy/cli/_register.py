"""`register`."""

import json
import shlex
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from hpstudy.cli._options import HomeOption, JsonOption, StudyArgument, study_name


def register(
    study: StudyArgument,
    arm: Annotated[str, typer.Argument(metavar="ARM", help="Name of an arm of the study.")],
    condition: Annotated[
        str | None, typer.Option("--condition", metavar="ID", help="Which condition, where the study has several.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Of the registered model.  [default: STUDY-ARM or STUDY-ARM-ID]"),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the best network of an arm into MLflow's model registry, as a new version of a registered model.

    The best is that of the arm's confirm trials which is the best on the validation identities. The same network is
    registered once: a second time gives the version that it has.

    Example: `hpstudy register quickstart cosface`
    """
    from hpstudy.delivery import make_tracker
    from hpstudy.results import open_results
    from hpstudy.tracking import check_access, pick_model, tracking_uri, trained_models

    results = open_results(study_name(study), home)
    models = list(trained_models(results.folder, results.study, results.trials))
    model = pick_model(models, results.study, arm, condition)
    registered = name or model.registered_name
    check_access(results.folder.workplace, results.study.name)
    version = make_tracker(results.study, results.folder).register(model, registered)
    uri, address = f"models:/{registered}/{version}", tracking_uri(results.folder.workplace)
    console = Console(stderr=as_json)
    told = f"{model.metric} {float(model.row['objective']):.4g}, best of {model.confirmed} confirm trials"
    console.print(Text.assemble((registered, "bold"), f" version {version}   ({told})"), soft_wrap=True)
    if model.confirmed < model.planned:
        console.print(f"The study asks for {model.planned} confirm trials: register again once they have all ended.")
    console.print(Text(f"  export MLFLOW_TRACKING_URI={shlex.quote(address)}"), soft_wrap=True)
    console.print(Text(f"  mlflow.pyfunc.load_model({json.dumps(uri)})"), soft_wrap=True)
    if as_json:
        row = {"study": results.study.name, "arm": arm, "condition": model.condition.id, "trial": model.row["trial_id"]}
        print(json.dumps({**row, "name": registered, "version": version, "uri": uri, "tracking_uri": address}))
