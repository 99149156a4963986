"""A study in MLflow: study → arms → trials."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from hpstudy.exceptions import InputError
from hpstudy.tracking import _describe
from hpstudy.tracking._curves import TrialCurves
from hpstudy.tracking._describe import is_given
from hpstudy.tracking._environment import tracking_uri
from hpstudy.tracking._logged_models import log_model, register_model
from hpstudy.tracking._notes import trial_note
from hpstudy.tracking._pages import OpeningPages, Page
from hpstudy.tracking._protocol import DrawTrial, LoadTrial, Row, Tracker
from hpstudy.tracking._showing import log_inputs, show
from hpstudy.tracking._store import DELIVERED, NOTE, RESULT, RunStore, store_errors
from hpstudy.tracking._trained import TrainedModel

LEVEL = "level"
_REPORTED = "completed"
"""Status of a study or an arm that holds what came of it."""
FINISHED_AS = {"completed": "FINISHED", "pruned": "FINISHED", "diverged": "FAILED", "failed": "FAILED"}

_logger = logging.getLogger(__name__)


class MlflowTracker(Tracker):
    """Delivers a study to MLflow, at once and in the caller's thread.

    The experiment is the study; its runs form a tree through the tag `mlflow.parentRunId` and are found by the tag
    `hpstudy.key` (study name, `study:arm`, trial id). A trial's run shows one attempt: a later result of the same trial
    takes the place of the earlier run.

    Args:
        home: Holds `mlflow.db` and `mlartifacts/`, unless `$MLFLOW_TRACKING_URI` names another store.
        study_name: The experiment's name.
        question: Shown as the experiment's description.
        sha256: Of `resolved_yaml`; runs of another file under the same name are left alone.
        resolved_yaml: Stored with the study's run as `study.yaml`.
        arms: Names of the arms to show from the start; others appear with their first trial.
        max_points: The most points of θ_med, log B_avg, s, the implied P_W and the loss, at least 4; extremes are
            kept.
        max_points_of_others: The same of the other curves over the steps.
        describe: Gives what the study, its arms and its data say of themselves; called when the study is first opened,
            where the deliveries are made.
        draw: Draws a trial that ended; called where the deliveries are made.
    """

    def __init__(
        self,
        home: Path,
        study_name: str,
        question: str,
        sha256: str,
        resolved_yaml: str,
        *,
        arms: Sequence[str] = (),
        max_points: int = 1000,
        max_points_of_others: int = 160,
        describe: Callable[[], OpeningPages] = OpeningPages,
        draw: DrawTrial = lambda row, epochs: {},
    ) -> None:
        self._study_name = study_name
        self._question = question
        self._resolved_yaml = resolved_yaml
        self._arms = tuple(arms)
        self._max_points = (max_points, max_points_of_others)
        self._describe = describe
        self._draw = draw
        self._store = RunStore(tracking_uri(home), home / "mlartifacts", study_name, sha256)
        self._study_run_id = ""

    def start(self) -> None:
        """Opens the experiment, the study's run and the arms' runs, or reopens them."""
        with store_errors():
            self._open()
            self._reopen(self._study_run_id, self._opening.study)
            for arm in self._arms:
                self._reopen(self._arm_run(arm), self._opening.arms.get(arm, Page()))
            if self._opening.study.note:
                self._store.describe(self._opening.study.note)

    def _reopen(self, run_id: str, page: Page) -> None:
        self._store.client.update_run(run_id, status="RUNNING")
        show(self._store, run_id, replace(page, tags={**page.tags, "status": "running"}))

    @cached_property
    def _opening(self) -> OpeningPages:
        return self._describe()

    def _open(self) -> None:
        if self._study_run_id:
            return
        self._store.open(self._question)
        tags = {LEVEL: "study", NOTE: self._question}
        run_id, _ = self._store.ensure(self._study_name, self._study_name, tags=tags)
        self._store.client.log_text(run_id, self._resolved_yaml, "study.yaml")
        self._study_run_id = run_id

    def _arm_run(self, arm: str) -> str:
        key = f"{self._study_name}:{arm}"
        return self._store.ensure(key, arm, parent=self._study_run_id, tags={LEVEL: "arm", "arm": arm})[0]

    def _trial_run(self, row: Row) -> tuple[str, bool]:
        return self._store.ensure(
            row["trial_id"],
            _describe.run_name(row),
            parent=self._arm_run(row["arm"]),
            start_ms=round(row["started_at"] * 1000) if is_given(row.get("started_at")) else None,
            tags={LEVEL: "trial", **_describe.tags(row)},
        )

    def trial_started(self, row: Row) -> None:
        """Shows a trial as running, with its params."""
        with store_errors():
            self._open()
            run_id, existed = self._trial_run(row)
            tags = {**_describe.tags(row), "status": "running", NOTE: trial_note(row), DELIVERED: "0"}
            self._store.log(run_id, params=_describe.params(row), tags=tags)
            if existed:
                self._store.client.update_run(run_id, status="RUNNING", name=_describe.run_name(row))

    def trial_finished(self, row: Row, load: LoadTrial) -> None:
        """Delivers the curves, the end metrics and the artifacts of a trial; the mark of delivery comes last."""
        result = f"attempt {row.get('attempt', 0)} ended {row.get('ended_at')}"
        with store_errors():
            self._open()
            run_id, existed = self._trial_run(row)
            if existed:
                run = self._store.client.get_run(run_id)
                same = run.data.tags.get(RESULT) == result
                if same and run.data.tags.get(DELIVERED) == "1":
                    return
                if not same and run.data.metrics:
                    self._store.discard(row["trial_id"])
                    run_id, _ = self._trial_run(row)
            trajectory, epochs, artifacts = load(row)
            curves = TrialCurves(row, trajectory, epochs, *self._max_points)
            tags = {**_describe.tags(row), **curves.remarks, NOTE: trial_note(row), RESULT: result}
            self._store.log(run_id, metrics=curves.metrics, params=_describe.params(row), tags=tags)
            self._store.log_files(run_id, artifacts)
            self._store.log_content(run_id, self._drawn(row, epochs))
            log_inputs(self._store, run_id, self._opening.data.get(row["condition"], ()))
            status = FINISHED_AS[row["status"]]
            self._store.client.update_run(run_id, status=status, name=_describe.run_name(row))
            end_ms = round(row["ended_at"] * 1000) if is_given(row.get("ended_at")) else None
            self._store.client.set_terminated(run_id, status, end_time=end_ms)
            self._store.client.set_tag(run_id, DELIVERED, "1")

    def _drawn(self, row: Row, epochs: pd.DataFrame) -> Mapping[str, bytes]:
        """Pictures of a trial; one that can't be drawn is told of, and the trial's numbers arrive without it."""
        try:
            return self._draw(row, epochs)
        except Exception as error:
            _logger.warning("trial %s has no picture in MLflow: %r", row["trial_id"], error)
            return {}

    def arm_finished(self, arm: str, page: Page) -> None:
        """Writes what came of the arm and closes it."""
        with store_errors():
            self._open()
            self._finish(self._arm_run(arm), page)

    def model_finished(self, model: TrainedModel) -> None:
        """Logs the best network of an arm on the arm's run, with its signature and an example."""
        with store_errors():
            self._open()
            log_model(self._store, self._arm_run(model.arm), model)

    def register(self, model: TrainedModel, name: str) -> str:
        """Logs a network, if it isn't yet, and makes it a version in MLflow's registry, if it isn't yet.

        Returns:
            The version.

        Raises:
            InputError: the record has no weights to log, or MLflow does not allow the name.
        """
        with store_errors():
            self._open()
            run_id = self._arm_run(model.arm)
            model_id = log_model(self._store, run_id, model)
            if model_id is None:
                raise InputError(
                    f"{model.row['trial_id']} has no weights that a model can be made of in "
                    f"{model.folder.path / 'models'}"
                )
            return register_model(self._store, run_id, model_id, model, name)

    def study_finished(self, page: Page) -> None:
        """Writes what came of the study and closes it; the experiment says the same of itself."""
        with store_errors():
            self._open()
            if page.note:
                self._store.describe(page.note)
            self._finish(self._study_run_id, page)

    def _finish(self, run_id: str, page: Page, status: str = _REPORTED) -> None:
        show(self._store, run_id, replace(page, tags={**page.tags, "status": status}))
        self._store.client.set_terminated(run_id, "FINISHED")

    def trials_finished(self) -> None:
        """Closes the runs of the study and its arms with the status `unreported`."""
        with store_errors():
            self._open()
            for run_id in (self._study_run_id, *map(self._arm_run, self._arms)):
                self._finish(run_id, Page(), "unreported")

    def interrupted(self) -> None:
        """Shows what is running as killed."""
        with store_errors():
            self._open()
            for run in list(self._store.find("attributes.status = 'RUNNING'")):
                if run.data.tags.get("status") == "running":
                    self._store.client.set_tag(run.info.run_id, "status", "interrupted")
                self._store.client.set_terminated(run.info.run_id, "KILLED")

    def delivered(self) -> set[str]:
        """The ids of the trials whose delivery is complete."""
        with store_errors():
            self._open()
            return {key for key, run in self._store.by_key().items() if run.data.tags.get(DELIVERED) == "1"}

    def is_finished(self) -> bool:
        """Whether the study's run holds what `study_finished` delivers, and no session was begun since."""
        with store_errors():
            self._open()
            run = self._store.client.get_run(self._study_run_id)
            return bool(run.info.status == "FINISHED" and run.data.tags.get("status") == _REPORTED)

    def catch_up(self, rows: Iterable[Row], load: LoadTrial) -> None:
        """Delivers those finished trials that are not delivered yet."""
        done = self.delivered()
        for row in rows:
            if row["trial_id"] not in done:
                self.trial_finished(row, load)

    def close(self, timeout: float = 30.0) -> tuple[str, ...]:
        """Nothing waits: every method delivers before it returns."""
        return ()
