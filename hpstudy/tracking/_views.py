"""What MLflow's page shows of a study when it is opened: saved views, and a tree that is unfolded.

MLflow keeps a view in an experiment's tag `mlflow.sharedViewState.<key>`; the page opens on the one that its address
names and lists all of them under "Views". Which rows are unfolded is no part of a view: the page unfolds the parents of
runs of type `evaluation`, so one run under each parent gets that type.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from mlflow import MlflowClient

from hpstudy.exceptions import InputError
from hpstudy.tracking._store import PARENT, store_errors

TREE = "hpstudy-tree"
BEST = "hpstudy-best"
CURVES = "hpstudy-curves"
CURVES_SHOWN = "train/(theta_med|log_b_avg|s)$"
RUNS_SHOWN = 100
"""What the page loads at once."""
RUN_NAME_PIXELS = 330
COLUMNS_BESIDES = 5
NOT_COMPARED = {"s", "m", "loss", "seed"}
RUN_TYPE = "mlflow.runType"
UNFOLDING = "evaluation"


def prepare_study_page(base: str, study_name: str) -> str:
    """Saves the views of a study on the server at `base`, unfolds its tree, and returns the address to open.

    The views are the tree (study → arm → trial), the trials from the best to the worst, each with `s`, `m`, the other
    params in which trials differ, the objective, the confirmed mean of arms, phase and status, and the arms at one
    confirm seed, whose charts are those of θ_med, log B_avg and s.

    Raises:
        InputError: the server has no such study.
        TrackingUnavailableError: the server does not answer.
    """
    base = base.rstrip("/")
    with store_errors():
        client = MlflowClient(tracking_uri=base)
        experiment = client.get_experiment_by_name(study_name)
        if experiment is None:
            raise InputError(f"the MLflow server at {base} has no study {study_name!r}")
        runs = client.search_runs(
            [experiment.experiment_id], max_results=RUNS_SHOWN, order_by=["attributes.start_time ASC"]
        )
        confirmed = client.search_runs(
            [experiment.experiment_id],
            "tags.phase = 'confirm'",
            max_results=1,
            order_by=["attributes.start_time ASC"],
        )
        seeds = [run.data.tags["seed"] for run in confirmed]
        for key, value in _views(runs, seeds, experiment.creation_time or 0):
            if experiment.tags.get(key) != value:
                client.set_experiment_tag(experiment.experiment_id, key, value)
        for run in _first_children(runs):
            if RUN_TYPE not in run.data.tags:
                client.set_tag(run.info.run_id, RUN_TYPE, UNFOLDING)
    return (
        f"{base}/#/experiments/{experiment.experiment_id}/runs?viewStateShareKey={TREE}&workflowType=machine_learning"
    )


def _views(runs: Sequence[Any], seeds: Sequence[str], created_ms: int) -> Iterator[tuple[str, str]]:
    """The tags that hold the views; the same runs give the same tags."""
    params = [f"params.`{name}`" for name in ("s", "m", *_differing_params(runs))]
    # Of an arm, and of the study, the confirmed mean says what the objective says of a trial.
    confirmed = ["metrics.`confirm/mean`"] if any("confirm/mean" in run.data.metrics for run in runs) else []
    columns = [*params, "metrics.`objective`", *confirmed, "tags.`phase`", "tags.`status`"]
    look = {
        "selectedColumns": columns,
        "columnOrder": ["attributes.`Run Name`", *columns],
        "columnWidths": {"attributes.`Run Name`": RUN_NAME_PIXELS},
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
    }
    by_objective = {"orderByKey": "metrics.`objective`", "orderByAsc": False}
    views = [
        (TREE, "Study → arm → trial", {"searchFilter": "", "orderByKey": "attributes.start_time", "orderByAsc": True}),
        (BEST, "Trials, best first", {"searchFilter": "tags.level = 'trial'", **by_objective}),
    ]
    for seed in seeds:
        alike = {"searchFilter": f"tags.phase = 'confirm' and tags.seed = '{seed}'", **by_objective}
        views.append((CURVES, f"Arms at confirm seed {seed}", {**alike, "chartsSearchFilter": CURVES_SHOWN}))
    for key, name, order in views:
        saved = {"name": name, "createdAt": created_ms, "updatedAt": created_ms, "state": json.dumps(look | order)}
        yield f"mlflow.sharedViewState.{key}", json.dumps(saved)


def _differing_params(runs: Sequence[Any]) -> list[str]:
    values = defaultdict(set)
    for run in runs:
        for name, value in run.data.params.items():
            values[name].add(value)
    return sorted(name for name in values.keys() - NOT_COMPARED if len(values[name]) > 1)[:COLUMNS_BESIDES]


def _first_children(runs: Sequence[Any]) -> list[Any]:
    """The first run under each parent."""
    found: dict[str, Any] = {}
    for run in runs:
        if PARENT in run.data.tags:
            found.setdefault(run.data.tags[PARENT], run)
    return list(found.values())
