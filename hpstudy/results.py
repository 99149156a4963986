"""What a study has found, as its user sees it: its record opened, its report, its comparison with others."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpstudy.analysis import (
    Audit,
    ComparedStudy,
    Place,
    StudyFacts,
    Verdict,
    confirm_metric,
    confirm_summary,
    deviations,
    protocol_checks,
    self_check_line,
    stopping_rungs,
    survey_verdict,
    verdict,
)
from hpstudy.exceptions import InputError
from hpstudy.record import Location, ObjectPath, StudyFolder, home_folder, upload_folder, workplace
from hpstudy.spec import Condition, Study

if TYPE_CHECKING:
    import pandas as pd

    from hpstudy.reporting import ReportFacts


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
        self.study: Study = folder.study()
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
        if self.study.is_survey:
            return survey_verdict(self.facts(), self.audit)
        return verdict(self.facts(), self.trials)

    @cached_property
    def audit(self) -> Audit:
        """What the trials say of CosFace's bounds, NormFace's floor of the loss and AdaCos's rule."""
        return Audit(self.trials, self.metric, epochs=self.epochs, trajectory=self.trajectory, plane=self.folder.plane)

    def facts(self) -> StudyFacts:
        """What the words of the verdict need."""
        spec = self.study.spec
        return StudyFacts(
            name=spec.name,
            question=spec.question,
            objective=spec.search.primary,
            equivalence_margin=spec.confirm.equivalence_margin,
            planned=self.study.planned_trials(),
            arms=[arm.name for arm in self.study.arms],
            sampler=spec.search.sampler,
            objectives=spec.search.objectives,
            given_first=self._given_first(),
        )

    def _given_first(self) -> list[str]:
        """Arms whose searches begin with the published default."""
        if not self.study.spec.search.paper_defaults:
            return []
        return [arm.name for arm in self.study.arms if arm.paper_default_point()]

    def self_check(self) -> dict[str, Any]:
        """Whether the trials keep the laws that none can break: `line` in words, `laws` held against, `broken` ones."""
        checks = self.audit.checks
        judged = checks[checks["held"] != "not applicable"]
        return {"line": self_check_line(checks), "laws": len(judged), "broken": self.audit.broken}

    @property
    def metric(self) -> str:
        """The metric that judges confirm trials."""
        return confirm_metric(self.trials, self.study.spec.search.primary)

    def confirmed(self) -> "pd.DataFrame":
        """Every arm's confirmed mean with its interval and chosen point, for each condition."""
        return confirm_summary(self.trials, self.metric)


def open_results(name: str, home: Location | str | None = None) -> Results:
    """Opens a study by its name.

    Raises:
        InputError: there is no such study in `home`.
    """
    return Results(StudyFolder(home_folder(home), name))


def write_report(results: Results) -> Path:
    """Writes the PDF report of a study, with its figures and tables beside it.

    Returns:
        The path of `report.pdf` on this machine. Where the study is in an object store, the report is put there too.

    Raises:
        InputError: no trial has ended yet.
    """
    if results.trials.empty:
        raise InputError(f"study {results.study.name!r} has no finished trial yet: run it first")
    return written_report(results)[1]


def written_report(results: Results) -> tuple["ReportFacts", Path]:
    """What the report of a study with finished trials says, and the path that `write_report` returns."""
    from hpstudy.reporting import build_report

    facts = _report_facts(results)
    path = build_report(facts, results.folder.report)
    results.folder.publish_report()
    return facts, path


def _report_facts(results: Results) -> "ReportFacts":
    from hpstudy.reporting import ReportFacts

    spec = results.study.spec
    sessions = results.folder.sessions()
    rungs, keep = stopping_rungs(spec.search.early_stopping, spec.training.epochs)
    return ReportFacts(
        name=spec.name,
        question=spec.question,
        resolved_yaml=results.study.resolved_yaml,
        sha256=results.study.sha256,
        trials=_in_study_order(results),
        trajectory=results.trajectory,
        epochs=results.epochs,
        evaluations=results.folder.evaluations,
        survey=results.study.is_survey,
        plane=results.folder.plane,
        objective=spec.search.primary,
        equivalence_margin=spec.confirm.equivalence_margin,
        planned=results.study.planned_trials(),
        arms=[arm.name for arm in results.study.arms],
        sampler=spec.search.sampler,
        objectives=spec.search.objectives,
        given_first=results.facts().given_first,
        ranges={arm.name: arm.space for arm in results.study.arms if arm.space},
        rungs=rungs,
        keep=keep,
        protocol=protocol_checks(
            results.study, results.trials, sessions, epochs=results.epochs, trajectory=results.trajectory
        ),
        deviations=deviations(results.study, results.trials, sessions),
        provenance={
            **(sessions[0] if sessions else {}),
            "trials ran on": ", ".join(sorted(set(results.trials["device"]) - {""})),
        },
    )


def compare_studies(results: Sequence[Results], folder: Path) -> Path:
    """Writes one PDF about several studies, with its figures and tables beside it: does the verdict hold?

    A study without a finished trial is listed as such. Studies are called by the names of their folders, and by more of
    the path where those are alike.

    Args:
        results: The studies, in the order in which the report has them.
        folder: A new or empty folder, or one that an earlier comparison was written into.

    Returns:
        The path of `report.pdf`.

    Raises:
        InputError: fewer than two studies have a finished trial, a study is given twice, or the folder holds other
            files.
    """
    places: list[Location] = [result.folder.path.resolve() for result in results]
    twice = sorted({str(place) for place in places if places.count(place) > 1})
    if twice:
        raise InputError(f"a study is compared with others, not with itself, but {', '.join(twice)} is given twice")
    surveys = [result.study.name for result in results if result.study.is_survey]
    if surveys:
        raise InputError(
            f"studies are compared by their verdicts, and {' and '.join(surveys)} "
            + (
                "is a survey without one: leave it out"
                if len(surveys) == 1
                else "are surveys without one: leave them out"
            )
        )
    begun = [place for place, result in zip(places, results, strict=True) if not result.trials.empty]
    if len(begun) < 2:
        waiting = ", ".join(place.name for place in places if place not in begun)
        raise InputError(
            "a comparison needs at least two studies with a finished trial, "
            + (f"but {waiting} has none yet: run it first" if waiting else f"but got {len(results)}")
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "across.typ").is_file():
        raise InputError(f"{folder} holds other files: name a new or an empty folder for the comparison")
    from hpstudy.reporting import build_comparison

    studies = [_compared(result, label) for result, label in zip(results, _labels(places), strict=True)]
    return build_comparison(studies, folder)


def comparison_folder(home: Location, name: str) -> Path:
    """Where a comparison is built if nobody says where: in `reports/` of the home or, of an object store, here."""
    return workplace(home) / "reports" / name


def publish_comparison(home: Location, path: Path) -> None:
    """Puts a comparison that was built in `comparison_folder` into an object store; a folder has it already."""
    if isinstance(home, ObjectPath):
        upload_folder(path.parent, home / "reports" / path.parent.name)


def _compared(results: Results, label: str) -> ComparedStudy:
    """What a comparison reads of a study."""
    study, sessions, begun = results.study, results.folder.sessions(), not results.trials.empty
    settings = study.spec.model_dump(mode="json")
    arms = {name: {k: v for k, v in arm.items() if v is not None} for name, arm in settings["arms"].items()}
    rules = protocol_checks(study, results.trials, sessions).to_dict("records") if begun else []
    told = deviations(study, results.trials, sessions).to_dict("records") if begun else []
    return ComparedStudy(
        label=label,
        facts=results.facts(),
        trials=_in_study_order(results) if begun else results.trials,
        settings=settings | {"arms": arms},
        places={condition.id: _place(condition, sessions) for condition in study.conditions()},
        sha256=study.sha256,
        sessions=sessions,
        deviations={row["what"]: row["detail"] for row in told if row["what"] != "unfinished"},
        broken={row["rule"]: row["evidence"] for row in rules if row["held"] == "no"},
    )


def _place(condition: Condition, sessions: Sequence[Mapping[str, str]]) -> Place:
    hashes = [session[f"data {condition.id}"] for session in sessions if session.get(f"data {condition.id}")]
    # The hash tells what path and fonts held.
    data = condition.data.model_dump(mode="json", exclude={"path", "fonts", "max_bad"})
    trained = [condition.model.model_dump(mode="json"), condition.training.model_dump(mode="json")]
    return Place(
        data_hash=hashes[0] if hashes else "",
        judged=json.dumps(data, sort_keys=True),
        setting=json.dumps([data, *trained], sort_keys=True),
    )


def _labels(places: Sequence[Location]) -> list[str]:
    """The last part of each path, or as many parts as no other path ends with."""
    labels = []
    for place in places:
        length = 1
        while sum(other.parts[-length:] == place.parts[-length:] for other in places) > 1:
            length += 1
        labels.append("/".join(place.parts[-length:]))
    return labels


def _in_study_order(results: Results) -> "pd.DataFrame":
    """The trials with the conditions in the order of the study file; within one, as the record has them."""
    order = {condition.id: place for place, condition in enumerate(results.study.conditions())}
    ranks = results.trials["condition"].map(order)
    return results.trials.loc[ranks.sort_values(kind="stable").index].reset_index(drop=True)
