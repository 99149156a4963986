"""The record as an Optuna storage: one Optuna study a search, for optuna-dashboard and Optuna's own plots."""

import errno
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages import RDBStorage

from hpstudy.record import StudyFolder, TrialResult, frames_of, write_atomically
from hpstudy.search._bulk import add_trials
from hpstudy.search._exported_trials import Course, ExportedLane, shown_values
from hpstudy.search._lanes import directions_of
from hpstudy.spec import Study


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What an Optuna storage was written with."""

    studies: int
    trials: int
    """Finished trials; a place that is kept for one that has not ended is not counted."""


def write_optuna_storage(folder: StudyFolder, study: Study, path: Path) -> Exported:
    """Writes the finished trials of a study as a SQLite file that `optuna.load_study` and optuna-dashboard open.

    There is one Optuna study for each arm, condition, search seed and phase, named as its trials begin, e.g.
    `cosface.default.search.s0`, in the order of the study file. In a search a trial has its number, the values that the
    search heard, and its validation values by epoch. Trials that are judged, those of the confirm phase and of a
    survey, have the metric on the test identities as their value. What else is known of a trial is in its user
    attributes; the one that a search chose has `chosen` and the mean of its confirm trials.

    Args:
        folder: The study's record; Optuna's journal is not read.
        study: The study.
        path: The file, which is replaced whole.

    Raises:
        OSError: the file can't be written, or the store is away.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    results = folder.results()
    courses = _courses(folder, study, [result.trial_id for result in results])
    lanes = list(_lanes(study, results))
    chosen = {(lane.condition, lane.arm.name, lane.search_seed): lane for lane in lanes if lane.phase == "confirm"}
    # In memory first: in a file every trial would be flushed to the disk.
    with closing(sqlite3.connect(":memory:")) as connection:
        storage = RDBStorage("sqlite://", engine_kwargs={"creator": lambda: connection})
        first_id = 1
        for lane in lanes:
            confirming = chosen.get((lane.condition, lane.arm.name, lane.search_seed))
            told = confirming.confirmed() if confirming and confirming is not lane else {}
            trials = lane.trials(courses, told)
            add_trials(storage, _make_study(storage, lane), trials, first_id=first_id)
            first_id += len(trials)
        storage.remove_session()
        write_atomically(path, lambda temporary: _save(connection, temporary))
        storage.engine.dispose()
    return Exported(studies=len(lanes), trials=len(results))


def _courses(folder: StudyFolder, study: Study, trial_ids: Sequence[str]) -> Mapping[str, Course]:
    metric = study.spec.search.primary
    courses = {trial_id: Course() for trial_id in trial_ids}
    for trial_id, frame in frames_of(folder, "epochs", trial_ids, ["epoch", metric]):
        if metric in frame:
            courses[trial_id].values.update(zip(map(int, frame["epoch"]), map(float, frame[metric]), strict=True))
    for trial_id, frame in frames_of(folder, "trajectories", trial_ids, ["theta_med", "log_b_avg"]):
        if len(frame):
            courses[trial_id].end.update({f"{name}_end": float(frame[name].iloc[-1]) for name in frame})
    return courses


def _lanes(study: Study, results: Sequence[TrialResult]) -> Iterator[ExportedLane]:
    """The lanes that have a finished trial, conditions and arms in the order of the file."""
    members: dict[tuple[str, str], dict[tuple[int, bool, str], list[TrialResult]]] = {}
    for result in results:
        lane = (result.search_seed, result.phase == "confirm", result.phase)
        members.setdefault((result.condition, result.arm), {}).setdefault(lane, []).append(result)
    for condition in study.conditions():
        for arm in study.arms:
            for (search_seed, confirms, phase), trials in sorted(members.get((condition.id, arm.name), {}).items()):
                yield ExportedLane(
                    study=study,
                    arm=arm,
                    condition=condition.id,
                    phase=phase,
                    search_seed=search_seed,
                    results=sorted(trials, key=lambda trial: trial.number),
                    shown=shown_values(study, trials, judged=confirms or study.is_survey),
                )


def _make_study(storage: RDBStorage, lane: ExportedLane) -> int:
    made = optuna.create_study(storage=storage, study_name=lane.name, directions=directions_of(lane.shown))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made.set_metric_names(list(lane.shown))
    for name, value in lane.attributes().items():
        made.set_user_attr(name, value)
    study_id: int = made._study_id
    return study_id


def _save(connection: sqlite3.Connection, path: Path) -> None:
    try:
        with closing(sqlite3.connect(path)) as file:
            connection.backup(file)
    except sqlite3.OperationalError as error:  # its folder was there, so the disk is what is left to blame
        raise OSError(errno.ENOSPC, str(error), str(path)) from error
