"""A study as its user sees it: plan it, run or continue it, deliver it to MLflow."""

import logging
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hpstudy.record import Location, StudyFolder, home_folder
from hpstudy.spec import Study, load_study

if TYPE_CHECKING:
    from hpstudy.delivery import Delivered, StudySummary
    from hpstudy.execution import Plan, Progress, RunOutcome
    from hpstudy.results import Results

_logger = logging.getLogger(__name__)


def run(
    study: Study | Path | str,
    home: Location | str | None = None,
    *,
    observe: "Callable[[Progress], None]" = lambda progress: None,
) -> "Results":
    """Runs a study, or continues it if it was begun, logs it to MLflow and writes its report.

    Args:
        study: The study, or the path of its file.
        home: Holds studies; `$HPSTUDY_HOME` or `./hpstudy-runs` if not given.
        observe: Called with every change.

    Returns:
        Its results; `Results.verdict` says what they amount to. Of an interrupted study, what there is.

    Raises:
        StudyFileError: the file has mistakes; all of them are carried.
        InputError: data are missing or too few, or no node fits a trial.
        StudyConflictError: the name belongs to another study file, or another driver runs the study.
    """
    loaded = study if isinstance(study, Study) else load_study(Path(study))
    run_session(loaded, home_folder(home), observe)
    # Here, as scipy takes seconds to import and no trial waits for it any more.
    from hpstudy.results import open_results

    return open_results(loaded.name, home)


def plan(
    study: Study | Path | str, home: Location | str | None = None, *, probe: bool = True, budget_s: float = 20.0
) -> "Plan":
    """Says what a study will run, take and be able to show, without starting it; nothing is written.

    Args:
        study: The study, or the path of its file.
        home: Holds studies; `$HPSTUDY_HOME` or `./hpstudy-runs` if not given. An earlier record of the study there
            tells how far paired differences spread.
        probe: Whether to time a few steps of each condition.
        budget_s: Seconds that this may take for each condition, roughly.

    Raises:
        StudyFileError: the file has mistakes; all of them are carried.
        InputError: data are missing or too few, or a part can't be built.
    """
    from hpstudy.execution import plan_study

    loaded = study if isinstance(study, Study) else load_study(Path(study))
    return plan_study(loaded, home_folder(home), probe=probe, budget_s=budget_s)


def run_session(
    study: Study, home: Location, observe: "Callable[[Progress], None]", *, report: bool = True
) -> "RunOutcome":
    """One driver's session: trials, MLflow and, once all have ended, the report if one is asked for (or see `sync`).

    Of a study that had ended before, only what MLflow or the report still lacks is written.
    """
    from hpstudy.delivery import deliver_summary, make_tracker
    from hpstudy.execution import run_study
    from hpstudy.tracking import BackgroundTracker, check_access

    folder = StudyFolder(home, study.name)
    check_access(folder.workplace, study.name)
    elsewhere = "" if home == home_folder() else f" --home {shlex.quote(str(home))}"
    tracker = BackgroundTracker(partial(make_tracker, study, folder), remedy=f"hpstudy sync {study.name}{elsewhere}")
    patience_s = 120.0
    try:
        outcome = run_study(study, home, tracker, observe=observe)
        if not outcome.finished:
            tracker.interrupted()
        elif outcome.ran and report:
            deliver_summary(tracker, folder, _summary(folder))
        elif outcome.ran:
            tracker.trials_finished()
    except BaseException:
        patience_s = 10.0
        raise
    finally:
        tracker.close(patience_s)
        folder.drop_copies()
    if not outcome.ran:
        _complete(study, folder, report)
    return outcome


def _complete(study: Study, folder: StudyFolder, report: bool) -> None:
    """Makes up for what an earlier session left of a study that has ended; what is there already stays."""
    from hpstudy.delivery import deliver_missing
    from hpstudy.results import Results, write_report
    from hpstudy.tracking import TrackingUnavailableError

    try:
        deliver_missing(study, folder, partial(_summary, folder) if report else None)
    except TrackingUnavailableError as error:
        _logger.warning("%s", error)
    if report and not (folder.report / "report.pdf").is_file():
        write_report(Results(folder))


def sync(name: str, home: Location | str | None = None) -> "Delivered":
    """Delivers to MLflow what it lacks of a study's record; of a finished study its summary and report as well.

    Raises:
        InputError: there is no such study, or the MLflow server refuses this user.
        StudyConflictError: a driver runs the study; it delivers by itself.
        TrackingUnavailableError: the store is away.
    """
    from hpstudy.delivery import deliver_missing

    folder = StudyFolder(home_folder(home), name)
    return deliver_missing(folder.study(), folder, partial(_summary, folder))


def _summary(folder: StudyFolder) -> "StudySummary":
    """What MLflow shows of a study whose trials have all ended; writes the report anew."""
    from hpstudy.delivery import StudySummary
    from hpstudy.reporting.window import closing_pages
    from hpstudy.results import Results, written_report
    from hpstudy.tracking import trained_models

    results = Results(folder)
    facts, report = written_report(results)
    return StudySummary(
        pages=closing_pages(results.study, facts, report, results.folder.sessions()),
        models=list(trained_models(results.folder, results.study, results.trials)),
    )
