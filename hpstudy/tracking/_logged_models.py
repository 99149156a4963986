"""Trained networks as MLflow's logged models and as versions in its registry, safe to repeat.

Nothing here uses MLflow's active run, experiment or tracking URI of the process: delivery is in a thread of its own.
"""

import json
import logging
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.entities import LoggedModelOutput, Metric
from mlflow.exceptions import MlflowException

from hpstudy.exceptions import InputError
from hpstudy.tracking import _describe
from hpstudy.tracking._describe import METRIC_GROUPS, is_given
from hpstudy.tracking._store import KEY, RESULT, SHA256, RunStore
from hpstudy.tracking._trained import TrainedModel

LOADER = "hpstudy.models.pyfunc"
NEEDED = ("hpstudy", "torch", "numpy", "mlflow")

_logger = logging.getLogger(__name__)

# They tell of every step that worked.
for _name in ("mlflow.pyfunc", "mlflow.store.model_registry"):
    logging.getLogger(_name).setLevel(logging.WARNING)


def log_model(store: RunStore, run_id: str, model: TrainedModel) -> str | None:
    """Logs a network on its arm's run, once; one of an earlier result goes to MLflow's bin.

    Args:
        store: Opened.
        run_id: The arm's run.
        model: What to log.

    Returns:
        The logged model's id; None where the record has no weights that say what images they are for.
    """
    unfinished = None
    for held in list(_held(store, run_id, model)):
        if held.tags.get(RESULT) != model.result or unfinished is not None:
            store.client.delete_logged_model(held.model_id)
        elif str(held.status) == "READY":
            return str(held.model_id)
        else:
            unfinished = held
    with tempfile.TemporaryDirectory(prefix="hpstudy-model-") as scratch:
        weights = Path(scratch) / "network"
        try:
            if (shape := _write_network(weights, model)) is None:
                return None
        except InputError as error:
            _logger.warning("%s is not logged as a model: %s", model.row["trial_id"], error)
            return None
        logged = unfinished or store.client.create_logged_model(
            store.experiment_id,
            name=model.name,
            source_run_id=run_id,
            model_type="embedder",
            params=_describe.params(model.row),
            tags={KEY: model.key, SHA256: store.sha256, RESULT: model.result, **_tags(model)},
        )
        saved = Path(scratch) / "model"
        _save(saved, weights, shape, logged, run_id, model)
        store.client.log_model_artifacts(logged.model_id, str(saved))
    outputs = store.client.get_run(run_id).outputs
    if logged.model_id not in [output.model_id for output in (outputs.model_outputs if outputs else ())]:
        store.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    store.client.log_batch(run_id, metrics=_metrics(logged.model_id, run_id, model))
    store.client.finalize_logged_model(logged.model_id, "READY")
    return str(logged.model_id)


def _held(store: RunStore, run_id: str, model: TrainedModel) -> Iterator[Any]:
    token = None
    while True:
        page = store.client.search_logged_models(
            [store.experiment_id], filter_string=f"name = '{model.name}'", page_token=token
        )
        yield from (held for held in page if held.source_run_id == run_id)
        token = page.token
        if not token:
            return


def _write_network(folder: Path, model: TrainedModel) -> tuple[int, int, int] | None:
    """Writes the network alone; returns the shape of an image, or None where the record has no weights."""
    from hpstudy.models import save_embedder

    content = model.weights()
    if content is None:
        _logger.warning("%s is not logged as a model: its weights are gone", model.row["trial_id"])
        return None
    return save_embedder(folder, model.condition.model, content)


def _save(
    path: Path, weights: Path, shape: tuple[int, int, int], logged: Any, run_id: str, model: TrainedModel
) -> None:
    """Writes the model as MLflow lays it out: no code, no pickle, and requirements that nobody has to look up."""
    import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    mlflow.pyfunc.save_model(
        path,
        loader_module=LOADER,
        data_path=str(weights),
        mlflow_model=Model(
            artifact_path=logged.artifact_location,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
            run_id=run_id,
        ),
        signature=ModelSignature(
            inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, *shape))]),
            outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, model.condition.model.embedding_dim))]),
        ),
        # Not a picture of the data: people's faces stay where they are.
        input_example=np.arange(np.prod(shape)).astype(np.uint8).reshape(1, *shape),
        pip_requirements=[f"{package}=={metadata.version(package).partition('+')[0]}" for package in NEEDED],
        metadata=_tags(model),
    )


def _tags(model: TrainedModel) -> dict[str, str]:
    """What a reader of the model must know; MLflow shows it beside the model and keeps it in its folder."""
    row, name = model.row, model.condition.model.name
    found = {
        "arm": model.arm,
        "condition": model.condition.id,
        "trial": str(row["trial_id"]),
        "chosen_by": f"{model.metric} = {float(row['objective']):.6g}, best of {model.confirmed} confirm trials",
        "network": name,
    }
    module, colon, _ = name.partition(":")
    return found | ({"needs": f"the Python module {module}, which is not part of the model"} if colon else {})


def _metrics(model_id: str, run_id: str, model: TrainedModel) -> list[Metric]:
    """The trial's metrics under the model's name; equal ones of an earlier delivery are not doubled by MLflow."""
    row = model.row
    ended_ms = round(row["ended_at"] * 1000) if is_given(row.get("ended_at")) else 0
    return [
        Metric(f"{model.name}/{name}", float(value), ended_ms, 0, model_id=model_id, run_id=run_id)
        for name, value in row.items()
        if str(name).startswith(METRIC_GROUPS) and is_given(value)
    ]


def register_model(store: RunStore, run_id: str, model_id: str, model: TrainedModel, name: str) -> str:
    """Makes a logged model a version in the registry, once.

    Args:
        store: Opened.
        run_id: The arm's run.
        model_id: Of the logged model.
        model: What was logged.
        name: The registered model's name, made if need be.

    Returns:
        The version.

    Raises:
        InputError: MLflow does not allow the name.
    """
    try:
        store.client.create_registered_model(name, tags={KEY: model.key})
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE":
            raise InputError(f"{name!r} can't be the name of a registered model: {error.message}") from error
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # Not `models:/…`: a registry in a database would look that up at the tracking URI of the process.
    source = store.client.get_logged_model(model_id).artifact_location
    for held in store.client.search_model_versions(f"name = '{name}'"):
        if held.source == source:
            return str(held.version)
    made = store.client.create_model_version(
        name,
        source=source,
        run_id=run_id,
        model_id=model_id,
        tags={**_tags(model), SHA256: store.sha256},
        description=f"Study {model.row['study']}, arm {model.arm}, condition {model.condition.id}.",
    )
    _show_version(store, model_id, name, str(made.version))
    return str(made.version)


def _show_version(store: RunStore, model_id: str, name: str, version: str) -> None:
    """Names the version beside the logged model, as a server does by itself."""
    tag = "mlflow.modelVersions"
    shown = json.loads(store.client.get_logged_model(model_id).tags.get(tag, "[]"))
    if all(str(entry["version"]) != version or entry["name"] != name for entry in shown):
        entries = [*shown, {"name": name, "version": version}]
        store.client.set_logged_model_tags(model_id, {tag: json.dumps(entries)})
