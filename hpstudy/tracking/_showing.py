"""Pages into MLflow: each part under a name of its own, so that to write it again changes nothing."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from mlflow.entities import Dataset, DatasetInput, InputTag

from hpstudy.tracking._pages import DataInput, Page
from hpstudy.tracking._store import NOTE, RunStore

SHOWN_TABLES = "mlflow.loggedArtifacts"
DIGEST_LENGTH = 36
"""What MLflow's database takes of a digest."""


def show(store: RunStore, run_id: str, page: Page) -> None:
    """Writes a page to a run; to write it again changes nothing."""
    content = {path: _as_json(table) for path, table in page.tables.items()} | dict(page.content)
    store.log_content(run_id, content)
    for folder, paths in page.files.items():
        store.log_artifacts(run_id, paths, folder)
    tags = dict(page.tags)
    if page.note:
        tags[NOTE] = page.note
    if page.tables:
        shown = [{"path": path, "type": "table"} for path in sorted(page.tables)]
        tags[SHOWN_TABLES] = json.dumps(shown)
    store.log(run_id, params={}, tags=tags)
    finite = {name: _rounded(value) for name, value in page.metrics.items() if math.isfinite(value)}
    store.log_summary(run_id, finite)
    log_inputs(store, run_id, page.inputs)


def log_inputs(store: RunStore, run_id: str, inputs: Sequence[DataInput]) -> None:
    """Names the data of a run; MLflow knows by name and digest what a run has already."""
    if inputs:
        store.client.log_inputs(run_id, datasets=[_dataset_input(data) for data in inputs])


def _dataset_input(data: DataInput) -> DatasetInput:
    dataset = Dataset(
        name=data.name,
        digest=data.digest[:DIGEST_LENGTH],
        source_type=data.source_type,
        source=json.dumps(data.source, ensure_ascii=False),
        profile=json.dumps(data.profile, ensure_ascii=False),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", data.context)])


def _as_json(table: pd.DataFrame) -> bytes:
    """The form in which MLflow shows a table."""
    rows = [[_cell(value) for value in row] for row in table.itertuples(index=False, name=None)]
    return json.dumps({"columns": list(table.columns), "data": rows}, ensure_ascii=False, allow_nan=False).encode()


def _rounded(value: float) -> float:
    """Six digits: what a reader can use of a number that the record holds in full."""
    return float(f"{value:.6g}")


def _cell(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return _rounded(value) if math.isfinite(value) else "" if math.isnan(value) else str(value)
    return value if isinstance(value, bool | int | str) else "" if pd.isna(value) else str(value)
