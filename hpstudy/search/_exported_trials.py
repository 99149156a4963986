"""Finished trials of the record as trials of Optuna."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import mean
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpstudy.record import TrialResult
from hpstudy.search._lanes import merit, told_values
from hpstudy.search._samplers import grid_distributions, make_distributions
from hpstudy.spec import Arm, Study, chance_of, is_cost

_PARAM = "param/"
_NOT_HELD_OUT = "geometry/train_accuracy"
_SAID_OF_THE_LANE = {"study", "arm", "condition", "phase", "search_seed", "loss", "num_classes"}
_SAID_BY_OPTUNA = {"number", "objective", "started_at", "ended_at"}


@dataclass(frozen=True, slots=True)
class Course:
    """How a trial went."""

    values: dict[int, float] = field(default_factory=dict)
    """Validation value of the primary objective by epoch."""
    end: dict[str, float] = field(default_factory=dict)
    """What was measured at its last step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedLane:
    """The finished trials of one search, of one grid, or of one point that is confirmed."""

    study: Study
    arm: Arm
    condition: str
    phase: str
    search_seed: int
    results: Sequence[TrialResult]
    """By their numbers."""
    shown: tuple[str, ...]
    """Columns of the record that are the trials' values; each stands for one of the study's objectives, in order."""

    @property
    def name(self) -> str:
        """What the ids of its trials begin with."""
        return f"{self.arm.name}.{self.condition}.{self.phase}.s{self.search_seed}"

    def attributes(self) -> dict[str, Any]:
        """What holds for all its trials."""
        spec = self.study.spec
        return {
            "study": spec.name,
            "question": spec.question,
            "arm": self.arm.name,
            "loss": self.arm.loss,
            "condition": self.condition,
            "phase": self.phase,
            "search_seed": self.search_seed,
            "sampler": spec.search.sampler if self.phase == "search" else "none",
            "values by epoch": spec.search.primary,
            "SHA-256 of the study file": self.study.sha256,
        }

    def trials(self, courses: Mapping[str, Course], chosen: dict[str, Any]) -> list[FrozenTrial]:
        """Its trials; where those of a search are numbered, a trial that has not ended leaves a place that waits.

        Args:
            courses: How each trial went, by its id.
            chosen: What to say of the trial that the search chose; nothing where it has not chosen yet.
        """
        distributions = self._distributions()
        best = self._best() if chosen else None
        made: list[FrozenTrial] = []
        for result in self.results:
            while self.phase != "confirm" and len(made) < result.number:
                made.append(create_trial(state=TrialState.WAITING, user_attrs={"status": "not ended"}))
            course = courses.get(result.trial_id, Course())
            attributes = self._attributes_of(result) | _finite(course.end) | (chosen if result is best else {})
            made.append(self._trial(result, distributions, course, attributes))
        return made

    def confirmed(self) -> dict[str, Any]:
        """What confirm trials say of the point that was chosen."""
        scores = [self.values(result)[0] for result in self.results if result.status != "failed"]
        usual = {f"confirm/{self.shown[0]} (mean)": mean(scores)} if scores and all(map(math.isfinite, scores)) else {}
        return {"chosen": True, "confirm/trials": len(self.results), **usual}

    def values(self, result: TrialResult) -> list[float]:
        """What a trial came to in each of the columns shown; a diverged one is at chance in what it lacks."""
        objectives = self.study.spec.search.objectives
        told = told_values(objectives, result)
        return [
            told[place] if name == objectives[place] else result.groups.get(name, _chance(objectives[place], result))
            for place, name in enumerate(self.shown)
        ]

    def _best(self) -> TrialResult | None:
        objectives = self.study.spec.search.objectives
        completed = [
            (told_values(objectives, result), result) for result in self.results if result.status == "completed"
        ]
        sound = [(values, result) for values, result in completed if all(map(math.isfinite, values))]
        return max(sound, key=lambda each: merit(objectives, each[0], each[1].number))[1] if sound else None

    def _distributions(self) -> dict[str, BaseDistribution]:
        grid = self.arm.grid_points()
        return grid_distributions(grid) if grid else make_distributions(self.arm.space)

    def _attributes_of(self, result: TrialResult) -> dict[str, Any]:
        row = result.as_row()
        if result.diverged_step < 0:
            del row["diverged_step"]
        told = {
            name: value
            for name, value in row.items()
            if name not in _SAID_OF_THE_LANE | _SAID_BY_OPTUNA and not name.startswith(_PARAM) and value != ""
        }
        origin = self._origin(result)
        return _finite(told) | ({"origin": origin} if origin else {})

    def _origin(self, result: TrialResult) -> str:
        """Where its point is from if not from the sampler."""
        search = self.study.spec.search
        if self.phase == "confirm":
            return "chosen" if self.arm.kind != "fixed" else ""
        if self.phase == "search" and result.number < len(self.arm.first_points(search)):
            return "paper default"
        return "grid" if self.phase == "grid" or search.sampler == "grid" else ""

    def _trial(
        self,
        result: TrialResult,
        distributions: Mapping[str, BaseDistribution],
        course: Course,
        attributes: Mapping[str, Any],
    ) -> FrozenTrial:
        values: list[float] | None = self.values(result)
        assert values is not None
        sound = all(map(math.isfinite, values))
        state = TrialState.COMPLETE
        if result.status == "failed" or (not sound and result.status != "pruned"):
            state, values = TrialState.FAIL, None
        elif result.status == "pruned":
            state, values = TrialState.PRUNED, values if sound else None
        params = {name: result.groups[_PARAM + name] for name in distributions if _PARAM + name in result.groups}
        trial = create_trial(
            state=state,
            values=values,
            params={name: _as_drawn(value, distributions[name]) for name, value in params.items()},
            distributions={name: distributions[name] for name in params},
            user_attrs=dict(attributes),
            intermediate_values=course.values,
            # As the search has it: one that diverged would be best at costing little.
            constraints={"diverged": 1.0 if result.status == "diverged" else -1.0} if len(self.shown) > 1 else None,
        )
        trial.datetime_start, trial.datetime_complete = _times(result)
        return trial


def shown_values(study: Study, results: Sequence[TrialResult], *, judged: bool) -> tuple[str, ...]:
    """The columns that stand for a study's objectives in some of its trials, in order.

    Args:
        study: The study.
        results: The trials.
        judged: Whether they are judged on the test identities, whose metrics then stand for those of validation.

    Returns:
        A column for each objective; the training accuracy alone where nothing is held out to be judged on.
    """
    objectives = study.spec.search.objectives
    measured = {name for result in results for name in result.groups}
    if not measured & {"val/" + _metric(objectives[0]), "test/" + _metric(objectives[0])}:
        sound = any(math.isfinite(result.objective) for result in results)
        return objectives if sound or _NOT_HELD_OUT not in measured else (_NOT_HELD_OUT,)
    twins = {name: f"test/{_metric(name)}" for name in objectives} if judged else {}
    return tuple(twins[name] if twins.get(name) in measured else name for name in objectives)


def _metric(objective: str) -> str:
    return objective.partition("/")[2]


def _chance(objective: str, result: TrialResult) -> float:
    """What a diverged trial scores in a column that it lacks."""
    if result.status != "diverged" or is_cost(objective):
        return math.nan
    return chance_of(objective) if math.isfinite(result.objective) else 1 / result.num_classes


def _as_drawn(value: float, distribution: BaseDistribution) -> float:
    """A number of the record as the distribution has it: there every one is real."""
    if isinstance(distribution, CategoricalDistribution):
        return next((choice for choice in distribution.choices if choice == value), value)
    return int(value) if isinstance(distribution, IntDistribution) else value


def _finite(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Without numbers that JSON doesn't know."""
    return {name: value for name, value in attributes.items() if not isinstance(value, float) or math.isfinite(value)}


def _times(result: TrialResult) -> tuple[datetime, datetime]:
    """Begin and end in this machine's time, which Optuna reckons in; both the same where only one is known."""
    known = [moment for moment in (result.started_at, result.ended_at) if math.isfinite(moment)] or [0.0]
    return datetime.fromtimestamp(known[0]), datetime.fromtimestamp(known[-1])
