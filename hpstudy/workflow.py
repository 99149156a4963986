"""A study as its user sees it: run or continue it, open its results, write its report."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hpstudy.analysis import StudyFacts, Verdict, confirm_metric, confirm_summary, verdict
from hpstudy.exceptions import InputError
from hpstudy.record import StudyFolder
from hpstudy.spec import Study, load_study, parse_study

if TYPE_CHECKING:
    import pandas as pd

    from hpstudy.execution import Plan, Progress, RunOutcome

_log = logging.getLogger(__name__)


def home_folder(given: Path | str | None = None) -> Path:
    """The folder that holds studies: the one given, else `$HPSTUDY_HOME`, else `./hpstudy-runs`."""
    return Path(given or os.environ.get("HPSTUDY_HOME") or "hpstudy-runs").absolute()


class Results:
    """What a study has found so far, read from its record.

    Args:
        folder: The study's folder.

    Raises:
        InputError: there is no such study.
        StudyConflictError: the stored study file was changed.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self.folder = folder
        self.study: Study = parse_study(folder.resolved_yaml(), source=str(folder.path / "study.yaml"))
        self.trials: pd.DataFrame = folder.trials()
        """One row a finished trial."""

    def trajectory(self, trial_id: str) -> "pd.DataFrame":
        """The per-step record of a trial: θ_med in radians, log B_avg, s and the rest."""
        return self.folder.trajectory(trial_id)

    def epochs(self, trial_id: str) -> "pd.DataFrame":
        """The per-epoch record of a trial: validation metrics and angle histograms."""
        return self.folder.epochs(trial_id)

    def verdict(self) -> Verdict:
        """The answer to the study's question, as far as the trials give one."""
        return verdict(self.facts(), self.trials)

    def facts(self) -> StudyFacts:
        """What the words of the verdict need."""
        spec = self.study.spec
        return StudyFacts(
            name=spec.name,
            question=spec.question,
            objective=spec.search.objective,
            equivalence_margin=spec.confirm.equivalence_margin,
            planned=self.study.planned_trials(),
            arms=[arm.name for arm in self.study.arms],
            sampler=spec.search.sampler,
            given_first=self._given_first(),
        )

    def _given_first(self) -> list[str]:
        """Arms whose searches begin with the published default."""
        if not self.study.spec.search.paper_defaults:
            return []
        return [arm.name for arm in self.study.arms if arm.paper_default_point()]

    @property
    def metric(self) -> str:
        """The metric that judges confirm trials."""
        return confirm_metric(self.trials, self.study.spec.search.objective)

    def confirmed(self) -> "pd.DataFrame":
        """Every arm's confirmed mean with its interval and chosen point, for each condition."""
        return confirm_summary(self.trials, self.metric)


def open_results(name: str, home: Path | str | None = None) -> Results:
    """Opens a study by its name.

    Raises:
        InputError: there is no such study in `home`.
    """
    return Results(StudyFolder(home_folder(home), name))


def run(
    study: Study | Path | str,
    home: Path | str | None = None,
    *,
    observe: "Callable[[Progress], None]" = lambda progress: None,
) -> Results:
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
    return open_results(loaded.name, home)


def plan(
    study: Study | Path | str, home: Path | str | None = None, *, probe: bool = True, budget_s: float = 20.0
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


def run_session(study: Study, home: Path, observe: "Callable[[Progress], None]") -> "RunOutcome":
    """One driver's session on a study: trials, MLflow and, once all trials have ended, the report."""
    from hpstudy.execution import run_study
    from hpstudy.tracking import BackgroundTracker, MlflowTracker

    tracker = BackgroundTracker(
        MlflowTracker(
            home,
            study.name,
            study.spec.question,
            study.sha256,
            study.resolved_yaml,
            arms=[arm.name for arm in study.arms],
            max_points=160,
        )
    )
    try:
        outcome = run_study(study, home, tracker, observe=observe)
        if outcome.finished:
            results = open_results(study.name, home)
            path = write_report(results)
            summary = results.confirmed()
            for arm, rows in summary.groupby("arm", sort=False):
                tracker.arm_finished(str(arm), _summary_metrics(rows))
            tracker.study_finished(
                {"trials": float(len(results.trials))},
                [path, home / study.name / "trials.parquet"],
                f"**{study.spec.question}**\n\n{results.verdict().paragraph}",
            )
        else:
            tracker.interrupted()
    finally:
        missing = tracker.close(120)
        if missing:
            _log.warning("MLflow has not got %d of this session's deliveries; the next run delivers them", len(missing))
    return outcome


def write_report(results: Results) -> Path:
    """Writes the PDF report of a study, with its figures and tables beside it.

    Returns:
        The path of `report.pdf`.

    Raises:
        InputError: no trial has ended yet.
    """
    from hpstudy.reporting import ReportFacts, build_report

    if results.trials.empty:
        raise InputError(f"study {results.study.name!r} has no finished trial yet: run it first")
    spec = results.study.spec
    facts = ReportFacts(
        name=spec.name,
        question=spec.question,
        resolved_yaml=results.study.resolved_yaml,
        sha256=results.study.sha256,
        trials=results.trials,
        trajectory=results.trajectory,
        epochs=results.epochs,
        objective=spec.search.objective,
        equivalence_margin=spec.confirm.equivalence_margin,
        planned=results.study.planned_trials(),
        arms=[arm.name for arm in results.study.arms],
        sampler=spec.search.sampler,
        given_first=results.facts().given_first,
        provenance={
            **_provenance(results.folder.sessions()),
            "trials ran on": ", ".join(sorted(set(results.trials["device"]) - {""})),
        },
    )
    return build_report(facts, results.folder.report)


def _provenance(sessions: list[dict[str, str]]) -> dict[str, str]:
    """The first session's facts, and how often the study was continued."""
    if not sessions:
        return {}
    facts = dict(sessions[0])
    if len(sessions) > 1:
        later = ", ".join(session["started"] for session in sessions[1:])
        facts["continued"] = f"{len(sessions) - 1} time{'s' * (len(sessions) > 2)}: {later}"
        changed = sorted({name for session in sessions for name in session if session[name] != sessions[0].get(name)})
        changed = [name for name in changed if name != "started"]
        if changed:
            facts["changed between sessions"] = ", ".join(changed)
    return facts


def _summary_metrics(rows: "pd.DataFrame") -> dict[str, float]:
    single = len(rows) == 1
    metrics: dict[str, float] = {}
    for _, row in rows.iterrows():
        prefix = "confirm" if single else f"confirm/{row['condition']}"
        for name in ("mean", "low", "high", "search_best"):
            metrics[f"{prefix}/{name}"] = float(row[name])
    return {name: value for name, value in metrics.items() if value == value}
