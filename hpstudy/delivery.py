"""What MLflow is given of a study: by the driver while it runs, or afterwards from the record."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from hpstudy.record import StudyFolder
from hpstudy.search import Planner
from hpstudy.spec import Study
from hpstudy.tracking import (
    Page,
    Tracker,
    TrackingRefusedError,
    TrackingUnavailableError,
    TrainedModel,
    check_access,
    record_loader,
    shown,
    tracking_uri,
)

if TYPE_CHECKING:
    from hpstudy.tracking import MlflowTracker

T = TypeVar("T")

TRIES = 3
"""How often one trial is offered to a store that is away, before the command gives up."""
DELAY_S = 1.0
"""Before the second try; doubles from there."""
ALL_TRIALS = 100_000
"""Points in MLflow of one curve in all planned trials together, within the limits below."""
FINE = (160, 1000)
"""Points of each curve that a study is about: at least, and at most."""
OTHERS = (60, 160)
"""Points of any other curve."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySummary:
    """What a finished study has to show beyond its trials."""

    pages: Mapping[str, Page]
    """What came of each arm, by its name, and of the study, under the empty name."""
    models: Sequence[TrainedModel]
    """The best network of each arm in each condition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """What a delivery from the record came to."""

    trials: int
    """Trials that MLflow lacked and has now."""
    kept: int
    """Finished trials that the record holds."""
    summary: bool
    """Whether the summary and the report of a finished study were delivered."""
    store: str
    """Where to, without credentials."""


def make_tracker(study: Study, folder: StudyFolder) -> "MlflowTracker":
    """The tracker of a study, for whoever `check_access` has let in.

    It takes seconds, as MLflow and what draws are imported here.
    """
    from hpstudy.reporting.window import draw_trial, opening_pages
    from hpstudy.tracking import MlflowTracker

    points = ALL_TRIALS // max(1, sum(study.planned_trials().values()))
    return MlflowTracker(
        folder.workplace,
        study.name,
        study.spec.question,
        study.sha256,
        study.resolved_yaml,
        arms=[arm.name for arm in study.arms],
        max_points=max(FINE[0], min(FINE[1], points)),
        max_points_of_others=max(OTHERS[0], min(OTHERS[1], points)),
        describe=lambda: opening_pages(study, folder.sessions()),
        draw=draw_trial,
    )


def deliver_summary(tracker: Tracker, folder: StudyFolder, summary: StudySummary) -> None:
    """Closes the arms and the study in MLflow, after whatever trial it still lacks."""
    tracker.catch_up([result.as_row() for result in folder.results()], record_loader(folder))
    _close(tracker, folder, summary)


def _close(tracker: Tracker, folder: StudyFolder, summary: StudySummary) -> None:
    for model in summary.models:
        tracker.model_finished(model)
    for arm, page in summary.pages.items():
        if arm:
            tracker.arm_finished(arm, page)
    whole = summary.pages[""]
    tracker.study_finished(replace(whole, files={**whole.files, "": folder.local_files("trials.parquet")}))


def deliver_missing(study: Study, folder: StudyFolder, summarise: Callable[[], StudySummary] | None) -> Delivered:
    """Delivers what MLflow lacks of a study that nobody runs; holds the study against drivers meanwhile.

    Args:
        study: The study.
        folder: Its record.
        summarise: Makes the summary of a finished study; called only if MLflow lacks it. Without one, what came of the
            study is left to be told later.

    Raises:
        StudyConflictError: a driver runs the study.
        TrackingRefusedError: the server refuses this user, or is none.
        TrackingUnavailableError: the store is away; the message says how far the delivery came.
    """
    with folder.lock:
        results = {result.trial_id: result for result in folder.results()}
        check_access(folder.workplace, study.name)
        tracker = make_tracker(study, folder)
        count = 0
        try:
            done = _patiently(tracker.delivered)
            missing = [result.as_row() for name, result in results.items() if name not in done]
            finished = Planner(study, folder.journal, lookup=lambda trial_id: results.get(trial_id)).finished
            closing = finished and (bool(missing) or not _patiently(tracker.is_finished))
            if missing or closing:
                _patiently(tracker.start)
            load = record_loader(folder)
            for row in missing:
                _patiently(partial(tracker.trial_finished, row, load))
                count += 1
            if closing and summarise is None:
                _patiently(tracker.trials_finished)
            elif closing and summarise:
                folder.write_trials()
                summary = summarise()
                _patiently(lambda: _close(tracker, folder, summary))
            if not finished:
                _patiently(tracker.interrupted)
        except TrackingUnavailableError as error:
            told = f"{error} (delivered {count} of {len(results)} trials; the record holds them all"
            raise type(error)(f"{told}: run `hpstudy sync {study.name} --home {folder.home}` again)") from error
        finally:
            folder.drop_copies()
    return Delivered(
        trials=count,
        kept=len(results),
        summary=closing and summarise is not None,
        store=shown(tracking_uri(folder.workplace)),
    )


def _patiently(call: Callable[[], T]) -> T:
    """The call's value, tried again where the store is away."""
    for attempt in range(TRIES - 1):
        try:
            return call()
        except TrackingRefusedError:
            raise
        except TrackingUnavailableError:
            time.sleep(DELAY_S * 2**attempt)
    return call()
