"""Runs under deterministic keys: the part of MLflow that hpstudy uses, safe to repeat."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from hpstudy.tracking._database import create_database
from hpstudy.tracking._environment import is_server
from hpstudy.tracking._protocol import TrackingRefusedError, TrackingUnavailableError
from hpstudy.tracking._refusals import is_unsent, refusal, refusal_of, silence

KEY = "hpstudy.key"
SHA256 = "hpstudy.sha256"
DELIVERED = "hpstudy.delivered"
RESULT = "hpstudy.result"
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
METRICS_A_BATCH = 800
ENTRIES_A_BATCH = 100
"""Params, and tags, a batch: MLflow takes 100 of each and 1000 entries in all."""
TAG_LENGTH = 5000
UNAVAILABLE_CODES = {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED", "BAD_GATEWAY"}

_logger = logging.getLogger(__name__)

for _name in ("mlflow.store.db", "alembic"):
    logging.getLogger(_name).setLevel(logging.WARNING)
# It logs each error with its traceback before it raises it; whoever catches it tells.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
# It warns of every request that is sent again.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


@contextmanager
def store_errors() -> Iterator[None]:
    """Turns what MLflow raises when its store is away, or refuses, into `TrackingUnavailableError`."""
    try:
        yield
    except MlflowException as error:
        refused = refusal(error)
        if refused is not None:
            raise TrackingRefusedError(refused) from error
        # A refused connection comes as INTERNAL_ERROR; only the exception underneath tells.
        below = error.__cause__ or error.__context__
        unreachable = isinstance(below, OSError) or _is_operational(below)
        if unreachable or is_unsent(error) or error.error_code in UNAVAILABLE_CODES:
            raise TrackingUnavailableError(f"the MLflow store does not answer: {silence(error)}") from error
        raise
    except OSError as error:
        # Artifacts travel outside MLflow's error mapping; only what requests raises carries a response.
        if hasattr(error, "response"):
            status = getattr(error.response, "status_code", 503)
            refused = refusal_of(status, str(getattr(error.response, "text", "")))
            if refused is not None:
                raise TrackingRefusedError(refused) from error
            if status == 429 or status >= 500:
                raise TrackingUnavailableError(f"the MLflow server takes no artifacts: {silence(error)}") from error
        raise
    except Exception as error:
        if _is_operational(error):
            raise TrackingUnavailableError(
                f"the MLflow database does not answer: {error.__cause__ or error}"
            ) from error
        raise


def _is_operational(error: BaseException | None) -> bool:
    """Whether it is SQLAlchemy's word for a database that is locked, or whose disk is full: it may do better later."""
    return type(error).__name__ == "OperationalError"


class RunStore:
    """The runs of one study file in one MLflow experiment.

    A run is found by its key and the SHA-256 of the study file, so that two files that had the same name at different
    times never mix. One writer at a time.

    Args:
        uri: MLflow's tracking URI.
        artifacts: Where artifacts go, unless `uri` is a server, which knows by itself.
        experiment: Its name.
        sha256: Of the resolved study file.
    """

    def __init__(self, uri: str, artifacts: Path, experiment: str, sha256: str) -> None:
        self._uri = uri
        self._artifacts = artifacts
        self._experiment = experiment
        self.sha256 = sha256
        self._run_ids: dict[str, str] = {}
        self.client: Any = None
        self.experiment_id = ""

    def open(self, description: str) -> None:
        """Makes sure of the database and the experiment; seconds for a new database."""
        if self.client is None:
            create_database(self._uri)
            self.client = MlflowClient(tracking_uri=self._uri)
        experiment = self.client.get_experiment_by_name(self._experiment)
        if experiment is None:
            location = None if is_server(self._uri) else self._artifacts.absolute().as_uri()
            tags = {
                NOTE: description[:TAG_LENGTH],
                "mlflow.experimentKind": "custom_model_development",
            }
            self.experiment_id = self._create_experiment(location, tags)
            return
        self.experiment_id = experiment.experiment_id
        if experiment.lifecycle_stage == "deleted":
            _logger.warning("the MLflow experiment %r was deleted; it is restored to go on", self._experiment)
            self.client.restore_experiment(self.experiment_id)

    def describe(self, description: str) -> None:
        """Sets what the experiment says of itself; the list of experiments shows it as it is written."""
        self.client.set_experiment_tag(self.experiment_id, NOTE, description[:TAG_LENGTH].replace("**", ""))

    def _create_experiment(self, location: str | None, tags: dict[str, str]) -> str:
        try:
            return str(self.client.create_experiment(self._experiment, artifact_location=location, tags=tags))
        except MlflowException as error:
            # It was made by a request whose answer was lost, or by another study's driver at the same time.
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self.client.get_experiment_by_name(self._experiment).experiment_id)

    def find(self, condition: str = "") -> Iterator[Any]:
        """The runs of this study that meet a condition in MLflow's search syntax."""
        query = f"tags.`{SHA256}` = '{self.sha256}'" + (f" and {condition}" if condition else "")
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], query, max_results=1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def ensure(
        self, key: str, name: str, *, parent: str | None = None, start_ms: int | None = None, tags: Mapping[str, str]
    ) -> tuple[str, bool]:
        """The run with this key, made where there is none.

        Returns:
            The run's id, and whether it was there before.
        """
        run_id = self._run_ids.get(key) or self._look_up(key)
        if run_id is not None:
            self._run_ids[key] = run_id
            return run_id, True
        parent_tag = {PARENT: parent} if parent else {}
        all_tags = {**tags, **parent_tag, KEY: key, SHA256: self.sha256}
        run = self.client.create_run(self.experiment_id, start_time=start_ms, run_name=name, tags=all_tags)
        run_id = str(run.info.run_id)
        if is_server(self._uri):
            # MLflow's client sends a request again whose answer was lost, and each makes a run.
            run_id = self._look_up(key) or run_id
        self._run_ids[key] = run_id
        return run_id, False

    def _look_up(self, key: str) -> str | None:
        quote = '"' if "'" in key else "'"
        found = list(self.find(f"tags.`{KEY}` = {quote}{key}{quote}"))
        return str(self._only(found).info.run_id) if found else None

    def by_key(self) -> dict[str, Any]:
        """Every run of the study by its key, once: a doubled one goes to MLflow's bin."""
        found: dict[str, list[Any]] = {}
        for run in self.find():
            found.setdefault(run.data.tags[KEY], []).append(run)
        runs = {key: self._only(doubles) for key, doubles in found.items()}
        self._run_ids = {key: str(run.info.run_id) for key, run in runs.items()}
        return runs

    def _only(self, doubles: Sequence[Any]) -> Any:
        """The fullest of the runs with one key; the others are deleted, and their children are given to it."""
        kept, *others = sorted(
            doubles,
            key=lambda run: (run.data.tags.get(DELIVERED) != "1", -len(run.data.metrics), run.info.run_id),
        )
        for other in others:
            for child in self.find(f"tags.`{PARENT}` = '{other.info.run_id}'"):
                self.client.set_tag(child.info.run_id, PARENT, kept.info.run_id)
            self.client.delete_run(other.info.run_id)
        return kept

    def discard(self, key: str) -> None:
        """Deletes the run with this key (MLflow keeps it in its bin)."""
        self.client.delete_run(self._run_ids.pop(key))

    def log(
        self, run_id: str, *, metrics: Sequence[Metric] = (), params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Writes what the run does not hold yet, in few transactions."""
        run = self.client.get_run(run_id)
        if run.data.metrics:
            metrics = self._missing(run_id, set(run.data.metrics), metrics)
        for name in sorted(params.keys() & run.data.params.keys()):
            if params[name] != run.data.params[name]:
                _logger.warning(
                    "param %s of run %s stays %s, not %s", name, run_id, run.data.params[name], params[name]
                )
        new_params = [Param(name, value) for name, value in params.items() if name not in run.data.params]
        new_tags = [
            RunTag(name, value[:TAG_LENGTH])
            for name, value in tags.items()
            if run.data.tags.get(name) != value[:TAG_LENGTH]
        ]
        while metrics or new_params or new_tags:
            self.client.log_batch(
                run_id, metrics[:METRICS_A_BATCH], new_params[:ENTRIES_A_BATCH], new_tags[:ENTRIES_A_BATCH]
            )
            metrics = metrics[METRICS_A_BATCH:]
            new_params, new_tags = new_params[ENTRIES_A_BATCH:], new_tags[ENTRIES_A_BATCH:]

    def _missing(self, run_id: str, present: set[str], metrics: Sequence[Metric]) -> list[Metric]:
        """The metrics that a cut-off delivery left out; MLflow's own check of a repeated batch is ten times slower."""
        held = {
            (held.key, held.value, held.timestamp, held.step)
            for name in {metric.key for metric in metrics} & present
            for held in self.client.get_metric_history(run_id, name)
        }
        return [metric for metric in metrics if (metric.key, metric.value, metric.timestamp, metric.step) not in held]

    def log_summary(self, run_id: str, summary: Mapping[str, float]) -> None:
        """Sets metrics that have one current value; a changed value becomes the next step."""
        run = self.client.get_run(run_id)
        metrics = []
        for name, value in summary.items():
            step, time = 0, run.info.start_time
            if name in run.data.metrics:
                if run.data.metrics[name] == value:
                    continue
                last = max(self.client.get_metric_history(run_id, name), key=lambda metric: metric.step)
                step, time = last.step + 1, last.timestamp + 1
            metrics.append(Metric(name, value, time, step))
        if metrics:
            self.client.log_batch(run_id, metrics)

    def log_content(self, run_id: str, content: Mapping[str, bytes]) -> None:
        """Writes files to the run, by their paths below its artifacts; those of an earlier time are replaced."""
        if not content:
            return
        with TemporaryDirectory(prefix="hpstudy-") as folder:
            for name, data in content.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self.client.log_artifacts(run_id, folder)

    def log_files(self, run_id: str, files: Mapping[str, Path]) -> None:
        """Copies files to the run, each under the name that it is to have there; one that is gone is left out."""
        with TemporaryDirectory(prefix="hpstudy-") as folder:
            links = [Path(folder) / name for name in files]
            for link, path in zip(links, files.values(), strict=True):
                link.symlink_to(path.absolute())
            self.log_artifacts(run_id, links)

    def log_artifacts(self, run_id: str, paths: Sequence[Path], folder: str = "") -> None:
        """Copies files and folders to a folder of the run; one that is gone is named and left out."""
        for path in paths:
            if path.exists():
                self.client.log_artifact(run_id, str(path), folder or None)
            else:
                _logger.warning("artifact %s of run %s is gone and was left out", path.name, run_id)
