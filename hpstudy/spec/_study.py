"""A checked study, its arms and its conditions."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from hpstudy.catalog import ParameterInfo
from hpstudy.exceptions import InputError
from hpstudy.spec._arms import ArmSpec
from hpstudy.spec._conditions import Condition, make_conditions
from hpstudy.spec._heads import filled_parts, head_table
from hpstudy.spec._levels import fewest_points, full_factorial
from hpstudy.spec._names import listed, nearest
from hpstudy.spec._paths import SEARCHABLE, Trained
from hpstudy.spec._ranges import SearchRange
from hpstudy.spec._search import SearchSpec
from hpstudy.spec._study_spec import StudySpec
from hpstudy.spec._trial_settings import HeadSettings, TrialSettings

Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One method of a study, with its own search budget."""

    name: str
    spec: ArmSpec
    trained: Trained
    """The study's data, model and training, before conditions."""

    @property
    def kind(self) -> str:
        """`searched`, `grid`, or `fixed`: nothing to tune."""
        return "searched" if self.spec.search else "grid" if self.spec.grid else "fixed"

    @property
    def loss(self) -> str:
        """Name of the loss; of an arm of parts `margin+scale`."""
        table = head_table(self.spec)
        return table.label if table else str(self.spec.loss)

    @property
    def space(self) -> dict[str, SearchRange]:
        """Range of every searched parameter, in the order of the file; empty unless searched."""
        return dict(self.spec.search or {})

    def grid_points(self) -> list[dict[str, float]]:
        """Every combination of the listed values, the last name varying fastest; empty unless a grid."""
        grid = self.spec.grid
        if not grid:
            return []
        return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]

    def paper_default_point(self) -> dict[str, float] | None:
        """The published default of every searched parameter (the study's own value of a training field).

        None where there is nothing to search, a parameter has no default, or one lies outside its range.
        """
        parameters: Mapping[str, ParameterInfo] = table.parameters if (table := head_table(self.spec)) else {}
        point: dict[str, float] = {}
        for name, entry in self.space.items():
            default = parameters[name].default if name in parameters else None
            if name in SEARCHABLE:
                default = self.trained.get(name)
            if default is None or not entry.contains(default):
                return None
            point[name] = default
        return point or None

    def first_points(self, search: SearchSpec) -> list[dict[str, float]]:
        """The points that a search tries before its sampler has a say: the paper's default, or none."""
        point = self.paper_default_point() if search.paper_defaults else None
        return [point] if point else []

    def factorial_points(self, search: SearchSpec) -> list[dict[str, float]]:
        """The points of sampler `grid` besides `first_points`; both together are at most `search.trials`.

        A default that is a point of the factorial is not tried twice. Empty with any other sampler.
        """
        if search.sampler != "grid" or not self.space:
            return []
        first = self.first_points(search)
        for affordable in (search.trials, search.trials - len(first)):
            points = [point for point in full_factorial(self.space, affordable) if point not in first]
            if len(points) + len(first) <= search.trials:
                break
        return points

    def fewest_factorial_trials(self, search: SearchSpec) -> int:
        """The fewest `search.trials` with which sampler `grid` tries both ends of every range."""
        fewest = fewest_points(self.space)
        known = full_factorial(self.space, fewest)
        return fewest + sum(point not in known for point in self.first_points(search))

    def search_trials(self, search: SearchSpec) -> int:
        """How many trials one search of this arm has: `search.trials`, or what a grid makes of them."""
        if not self.space:
            return 0
        if search.sampler == "grid":
            return len(self.first_points(search)) + len(self.factorial_points(search))
        return search.trials


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study file without mistakes."""

    spec: StudySpec = field(hash=False)
    """Everything the file says, with every default filled in and absolute paths."""
    source: str = field(compare=False)
    """The file it was read from."""
    resolved_yaml: str
    """Canonical text of `spec`; parsing it gives the same study."""
    sha256: str
    """Of `resolved_yaml`: tells studies apart."""

    @property
    def name(self) -> str:
        """Name of the study and of its folder."""
        return self.spec.name

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """The arms in the order of the file."""
        return tuple(Arm(name=name, spec=arm, trained=self._trained) for name, arm in self.spec.arms.items())

    @cached_property
    def _conditions(self) -> tuple[Condition, ...]:
        return make_conditions(self._trained, self.spec.conditions)

    @property
    def _trained(self) -> Trained:
        return Trained(data=self.spec.data, model=self.spec.model, training=self.spec.training)

    @property
    def is_survey(self) -> bool:
        """Whether nothing is chosen: every listed point of every arm is trained with every search seed, and judged."""
        return self.spec.confirm.seeds == 0

    def listed_points(self, arm: Arm) -> list[dict[str, float]]:
        """The points of an arm that run as listed; in a survey an arm with nothing to tune is a grid of one point."""
        return arm.grid_points() or ([{}] if self.is_survey else [])

    def arm(self, name: str) -> Arm:
        """The arm of that name.

        Raises:
            InputError: If there is none.
        """
        return _find("arm", name, {arm.name: arm for arm in self.arms})

    def conditions(self) -> tuple[Condition, ...]:
        """Every combination of the blocking factors; one named `default` where there are none."""
        return self._conditions

    def paper_default_point(self, arm: str) -> dict[str, float] | None:
        """`Arm.paper_default_point` of the arm of that name."""
        return self.arm(arm).paper_default_point()

    def planned_trials(self) -> dict[str, int]:
        """How many trials the study asks for, by phase: `search`, `grid` and `confirm`."""
        spec = self.spec
        places, seeds = len(self.conditions()), len(spec.search.seeds)
        kinds = [arm.kind for arm in self.arms]
        lanes = sum(1 if kind == "fixed" else seeds for kind in kinds)
        return {
            "search": places * seeds * sum(arm.search_trials(spec.search) for arm in self.arms),
            "grid": places * seeds * sum(len(self.listed_points(arm)) for arm in self.arms),
            "confirm": places * lanes * spec.confirm.seeds,
        }

    def trial_settings(self, arm: str, condition: str, params: Mapping[str, float]) -> TrialSettings:
        """What a trial of an arm in a condition runs with.

        Args:
            arm: Name of the arm.
            condition: Id of the condition.
            params: A value for every searched or listed name of the arm, and no others.

        Raises:
            InputError: If there is no such arm or condition, or `params` are not those of the arm.
        """
        method = self.arm(arm)
        place = _find("condition", condition, {entry.id: entry for entry in self.conditions()})
        expected = {*method.space, *(method.spec.grid or {})}
        if set(params) != expected:
            raise InputError(
                f"a trial of arm {arm!r} needs values for {listed(sorted(expected))}, but got {listed(sorted(params))}"
            )
        fields = {name: _typed(name, value) for name, value in params.items() if name in SEARCHABLE}
        head = {name: value for name, value in params.items() if name not in SEARCHABLE}
        trained = Trained(data=place.data, model=place.model, training=place.training).having(fields)
        return TrialSettings(
            data=trained.data, model=trained.model, training=trained.training, head=_head_settings(method.spec, head)
        )


def _head_settings(arm: ArmSpec, params: Mapping[str, float]) -> HeadSettings:
    table = head_table(arm)
    if table is None:
        assert arm.loss is not None
        return HeadSettings(loss=arm.loss, params={**arm.settings, **params})
    filled = filled_parts(arm, table, {name: float(value) for name, value in params.items()})
    parts = {kind: {"name": part.name, **filled[kind]} for kind, part in table.parts.items()}
    return HeadSettings(loss=table.label, regularisers={name: filled[name] for name in table.regularisers}, **parts)


def _typed(path: str, value: float) -> float:
    """Whole numbers come back from a record as 64.0."""
    if SEARCHABLE[path] is int:
        if value != int(value):
            raise InputError(f"{path} is a whole number, but got {value}")
        return int(value)
    return float(value)


def _find(kind: str, name: str, table: Mapping[str, Row]) -> Row:
    if name not in table:
        raise InputError(f"the study has no {kind} {name!r}{nearest(name, table)} (it has: {listed(table)})")
    return table[name]
