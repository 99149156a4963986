"""The frames of one report, each computed once and when it is first asked for."""

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
import pandas as pd

from hpstudy.analysis import (
    Audit,
    Response,
    Surface,
    Verdict,
    angle_histograms,
    arm_kinds,
    bound_audit,
    break_even,
    conditions,
    confirm_by_seed,
    confirm_metric,
    confirm_summary,
    cost_table,
    divergence_rates,
    divergences,
    expected_best,
    fit_responses,
    identity_intervals,
    metric_name,
    search_curve,
    search_points,
    settings_table,
    surfaces,
    survey_verdict,
    variance_components,
    verdict,
)
from hpstudy.reporting._courses import ArmCourse, Course, arm_course, crossings
from hpstudy.reporting._facts import ReportFacts
from hpstudy.reporting._style import arm_styles

SINGLE = 3
"""Up to so many conditions each has figures of its own; more share them, a panel or a row each."""


class Evidence:
    """What the sections of a report read.

    Args:
        facts: What the study was and what came of it.
    """

    def __init__(self, facts: ReportFacts) -> None:
        self.facts = facts
        self.trials = facts.trials
        self.metric = confirm_metric(facts.trials, facts.objective)
        self.name, self.objective = metric_name(self.metric), metric_name(facts.objective)
        self.kinds = arm_kinds(facts.trials)
        self.styles = arm_styles(self.kinds)
        self.conditions = conditions(facts.trials)

    @property
    def margin(self) -> float:
        """δ, in the metric's own unit."""
        return self.facts.equivalence_margin

    @property
    def many(self) -> bool:
        """Whether conditions share figures."""
        return len(self.conditions) > SINGLE

    def batches(self, size: int, among: list[str] | None = None) -> Iterator[tuple[list[str], str]]:
        """Conditions whose figure is one, and how a caption names them: empty where the study has one alone.

        Args:
            size: Conditions that fit one figure, if they are to share.
            among: The conditions to draw; all if None.
        """
        wanted = [c for c in self.conditions if among is None or c in among]
        step = size if self.many else 1
        for start in range(0, len(wanted), step):
            batch = wanted[start : start + step]
            yield batch, ", ".join(batch) if len(self.conditions) > 1 else ""

    def of(self, frame: pd.DataFrame, batch: list[str]) -> pd.DataFrame:
        """Rows of some conditions."""
        return frame[frame["condition"].isin(batch)]

    @cached_property
    def verdict(self) -> Verdict:
        """The answer."""
        if self.facts.survey:
            return survey_verdict(self.facts.study, self.audit)
        return verdict(self.facts.study, self.trials)

    @property
    def comparisons(self) -> pd.DataFrame:
        """Every tuned arm against every adaptive one."""
        return self.verdict.table

    @property
    def duels(self) -> pd.DataFrame:
        """The best of both in every condition."""
        return self.verdict.duels

    @cached_property
    def summary(self) -> pd.DataFrame:
        """`confirm_summary`."""
        return confirm_summary(self.trials, self.metric)

    @cached_property
    def by_seed(self) -> pd.DataFrame:
        """`confirm_by_seed`."""
        return confirm_by_seed(self.trials, self.metric)

    @cached_property
    def bounds(self) -> pd.DataFrame:
        """`bound_audit`."""
        return bound_audit(self.trials)

    @cached_property
    def audit(self) -> Audit:
        """What the trials say of the bounds, of the floor of the loss and of AdaCos."""
        facts = self.facts
        return Audit(self.trials, self.metric, epochs=facts.epochs, trajectory=facts.trajectory, plane=facts.plane)

    @cached_property
    def diverged(self) -> pd.DataFrame:
        """`divergences`."""
        return divergences(self.trials)

    @cached_property
    def rates(self) -> pd.DataFrame:
        """`divergence_rates`."""
        return divergence_rates(self.trials)

    @cached_property
    def cost(self) -> pd.DataFrame:
        """`cost_table`."""
        return cost_table(self.trials)

    @cached_property
    def curve(self) -> pd.DataFrame:
        """`search_curve`."""
        return search_curve(self.trials)

    @cached_property
    def points(self) -> pd.DataFrame:
        """`search_points`."""
        return search_points(self.trials, self.facts.objectives)

    @cached_property
    def settings(self) -> pd.DataFrame:
        """`settings_table`."""
        return settings_table(self.trials)

    @cached_property
    def best(self) -> pd.DataFrame:
        """`expected_best`."""
        return expected_best(self.facts.study, self.trials)

    @cached_property
    def prices(self) -> pd.DataFrame:
        """`break_even`."""
        return break_even(self.facts.study, self.trials)

    @cached_property
    def variance(self) -> pd.DataFrame:
        """`variance_components`."""
        return variance_components(self.trials, self.metric, self._evaluations)

    @cached_property
    def identities(self) -> pd.DataFrame:
        """`identity_intervals` of the comparisons."""
        return identity_intervals(self.comparisons, self.trials, self.metric, self._evaluations)

    @cached_property
    def _evaluations(self) -> Callable[[str], pd.DataFrame]:
        """Bootstrap samples of a trial's test metrics, read once."""
        found: dict[str, pd.DataFrame] = {}

        def read(trial_id: str) -> pd.DataFrame:
            if trial_id not in found:
                frame = _read(self.facts.evaluations, trial_id)
                found[trial_id] = frame[[self.metric]] if self.metric in frame else pd.DataFrame()
            return found[trial_id]

        return read

    @cached_property
    def responses(self) -> list[Response]:
        """`fit_responses` of the searches."""
        return fit_responses(self.trials, self.facts.objective, self.facts.ranges)

    @cached_property
    def surfaces(self) -> list[Surface]:
        """`surfaces` of the searches."""
        return surfaces(self.responses, self.margin)

    @property
    def device(self) -> str:
        """What the compute of trials is counted in."""
        return "GPU" if bool((self.cost["gpu_hours"] > 0).any()) else "CPU"

    @cached_property
    def courses(self) -> list[Course]:
        """How the confirm trials of each condition went; conditions without a trajectory are left out."""
        found = [self._course(condition) for condition in self.conditions]
        return [course for course in found if course.arms]

    def _course(self, condition: str) -> Course:
        arms: dict[str, ArmCourse] = {}
        for arm in self.styles:
            ids = self._counted_ids(condition, arm)
            course = arm_course(_read(self.facts.trajectory, trial_id) for trial_id in ids)
            if course is not None:
                arms[arm] = course
        adaptive = [arm for arm, kind in self.kinds.items() if kind == "adaptive"]
        here = self.settings[(self.settings["condition"] == condition) & self.settings["confirmed"]]
        chosen = here.loc[
            here["arm"].isin(arms) & ~here["arm"].isin(adaptive) & here["s"].notna(), ["arm", "search_seed", "s"]
        ].reset_index(drop=True)
        return Course(condition, arms, chosen, crossings(condition, arms, adaptive, chosen))

    @cached_property
    def angles(self) -> pd.DataFrame:
        """`angle_histograms` of the confirm trials of every arm, with `condition` and `arm`."""
        frames = []
        for condition in self.conditions:
            confirm = self.trials[(self.trials["condition"] == condition) & (self.trials["phase"] == "confirm")]
            last = int(confirm["epochs"].max()) if len(confirm) else 0
            for arm in self.styles:
                ids = self._counted_ids(condition, arm)
                found = angle_histograms((_read(self.facts.epochs, trial_id) for trial_id in ids), last)
                if len(found):
                    found.insert(0, "condition", condition)
                    found.insert(1, "arm", arm)
                    frames.append(found)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["condition", "arm"])

    def _counted_ids(self, condition: str, arm: str) -> list[str]:
        """Trials of an arm at the point that counts: its confirm trials; in a survey those of an arm with one point."""
        rows = self.trials[(self.trials["condition"] == condition) & (self.trials["arm"] == arm)]
        if not self.facts.survey:
            rows = rows[rows["phase"] == "confirm"]
        elif rows["number"].nunique() > 1:
            return []
        return [str(trial_id) for trial_id in rows["trial_id"]]

    def measured(self) -> list[str]:
        """Conditions in which a trial measured its prototypes."""
        rows = self.bounds["posterior_min"].notna() & np.isfinite(self.bounds["s"])
        return [str(c) for c in self.bounds.loc[rows, "condition"].drop_duplicates()]


def _read(read: Callable[[str], pd.DataFrame], trial_id: str) -> pd.DataFrame:
    try:
        return read(trial_id)
    except (KeyError, FileNotFoundError):
        return pd.DataFrame()
