"""From a study to its finished record."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.exceptions import StudyConflictError
from hpstudy.execution._order import TrialOrder
from hpstudy.execution._preflight import Capacity, check_cluster, check_data
from hpstudy.execution._progress import Progress, ProgressKeeper
from hpstudy.execution._provenance import provenance
from hpstudy.execution._ray import prepare_environment, ray_session
from hpstudy.record import StudyFolder, TrialRequest, TrialResult
from hpstudy.search import Planner
from hpstudy.spec import Study, diff_studies
from hpstudy.tracking import Tracker

MAX_WORKER_DEATHS = 3
"""How often a trial whose worker or node died is tried again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """How a session of a study ended."""

    finished: bool
    """False if it was interrupted; `hpstudy resume` continues it."""
    progress: Progress


class _Listener:
    """Passes events on to the tracker and to whoever watches."""

    def __init__(self, folder: StudyFolder, tracker: Tracker, keeper: ProgressKeeper, show: Callable[[], None]) -> None:
        self._folder = folder
        self._tracker = tracker
        self._keeper = keeper
        self._show = show

    def trial_started(self, order: TrialOrder) -> None:
        request = order.request
        self._keeper.started(request.arm, request.condition, request.trial_id)
        self._tracker.trial_started(_opening_row(order))
        self._show()

    def trial_reported(self, order: TrialOrder, epoch: int, value: float) -> None:
        request = order.request
        self._keeper.reported(request.arm, request.condition, request.trial_id, epoch, value)
        self._show()

    def trial_finished(self, order: TrialOrder, result: TrialResult) -> None:
        self._keeper.finished(result)
        self._tracker.trial_finished(result.as_row(), *_details(self._folder, result.trial_id))
        self._show()


def run_study(
    study: Study,
    home: Path | str,
    tracker: Tracker,
    *,
    observe: Callable[[Progress], None] = lambda progress: None,
) -> RunOutcome:
    """Runs a study to its end, or continues one that was begun.

    Trials that the record holds are not run again; those that a killed driver left are continued from their own
    checkpoints. Nothing is written before the study file, the data and the cluster were found fit.

    Args:
        study: The study.
        home: The folder that holds studies.
        tracker: Is started here and told of every trial; the caller tells it of the study's end and closes it.
        observe: Called with every change, in this thread.

    Raises:
        InputError: data are missing or too few, or no node fits a trial.
        StudyConflictError: the name belongs to another study file, or another driver runs the study.
    """
    prepare_environment()
    folder = StudyFolder(home, study.name)
    _refuse_other_file(study, folder)
    hashes = check_data(study, folder.home / "datasets")
    with folder.lock:
        _refuse_other_file(study, folder)
        begun_before = folder.exists()
        with ray_session():
            capacity = check_cluster(study.spec.resources, folder.home)
            if not begun_before:
                folder.begin(study.resolved_yaml)
            facts = provenance(gpus=study.spec.resources.gpus, slots=capacity.slots, nodes=capacity.nodes)
            folder.add_session({**facts, **{f"data {condition}": digest for condition, digest in hashes.items()}})
            outcome = _execute(study, folder, tracker, capacity, observe)
        folder.write_trials()
    return outcome


def _execute(
    study: Study, folder: StudyFolder, tracker: Tracker, capacity: Capacity, observe: Callable[[Progress], None]
) -> RunOutcome:
    from ray import tune

    from hpstudy.execution._adapters import OrderBook, PlanScheduler, PlanSearcher, StartCallback, trial_name
    from hpstudy.execution._trainable import TrialWorker

    resources = study.spec.resources
    planner = Planner(study, folder.journal, lookup=folder.result, slots=capacity.slots)
    keeper = ProgressKeeper(capacity.slots)
    tracker.start()
    before = [result for trial_id in folder.finished_trials() if (result := folder.result(trial_id))]
    for result in before:
        keeper.resumed(result)
    tracker.catch_up([result.as_row() for result in before], lambda row: _details(folder, row["trial_id"]))

    def make_order(request: TrialRequest, stop_at_epoch: int | None) -> TrialOrder:
        return TrialOrder(
            request=request,
            settings=study.trial_settings(request.arm, request.condition, request.params),
            home=os.fspath(folder.home),
            study=study.name,
            objective=study.spec.search.objective,
            cpus=resources.cpus,
            gpus=resources.gpus,
            stop_at_epoch=stop_at_epoch,
        )

    def show() -> None:
        observe(keeper.snapshot(planner.states()))

    book = OrderBook(planner, folder, _Listener(folder, tracker, keeper, show), make_order)
    show()
    if not planner.finished:
        with tempfile.TemporaryDirectory(prefix="hpstudy-tune-") as scratch:
            tuner = tune.Tuner(
                tune.with_resources(TrialWorker, {"cpu": resources.cpus, "gpu": resources.gpus}),
                tune_config=tune.TuneConfig(
                    search_alg=PlanSearcher(book),
                    scheduler=PlanScheduler(book),
                    num_samples=-1,
                    max_concurrent_trials=capacity.slots,
                    reuse_actors=True,
                    trial_name_creator=trial_name,
                    trial_dirname_creator=trial_name,
                ),
                run_config=tune.RunConfig(
                    name=study.name,
                    storage_path=scratch,
                    verbose=0,
                    # Each trial keeps its own checkpoints, and finds them by itself.
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False, checkpoint_frequency=0),
                    failure_config=tune.FailureConfig(max_failures=MAX_WORKER_DEATHS),
                    callbacks=[StartCallback(book)],
                ),
            )
            # SIGTERM, as Ray passes it on, ends the session: the record is whole and the study can be resumed.
            with contextlib.suppress(SystemExit):
                tuner.fit()
    show()
    return RunOutcome(finished=planner.finished, progress=keeper.snapshot(planner.states()))


def _refuse_other_file(study: Study, folder: StudyFolder) -> None:
    if not folder.exists():
        return
    kept = folder.resolved_yaml()
    if kept != study.resolved_yaml:
        raise StudyConflictError(
            f"study {study.name!r} was begun in {folder.path} with another file; give this one another name, or "
            f"delete that folder\n{diff_studies(kept, study.resolved_yaml)}"
        )


def _details(folder: StudyFolder, trial_id: str) -> tuple[pd.DataFrame, pd.DataFrame, list[Path]]:
    files = [folder.path / kind / f"{trial_id}.parquet" for kind in ("trajectories", "epochs")]
    return folder.trajectory(trial_id), folder.epochs(trial_id), [path for path in files if path.is_file()]


def _opening_row(order: TrialOrder) -> dict[str, Any]:
    request, head = order.request, order.settings.head
    return {
        "study": order.study,
        "trial_id": request.trial_id,
        "arm": request.arm,
        "condition": request.condition,
        "phase": request.phase,
        "search_seed": request.search_seed,
        "number": request.number,
        "seed": request.seed,
        "loss": head.loss,
        "s": float(head.scale.get("s", "nan")),
        "m": float(head.margin.get("m", "nan")),
        "num_classes": order.settings.data.identities.train,
        "embedding_dim": order.settings.model.embedding_dim,
        "started_at": time.time(),
        **{f"param/{name}": float(value) for name, value in request.params.items()},
    }
