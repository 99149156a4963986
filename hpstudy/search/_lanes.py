"""Lanes: the independent sequences of trials that a study consists of."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from hpstudy.record import TrialRequest
from hpstudy.search._early_stopping import EarlyStopping, NoStopping, make_early_stopping
from hpstudy.search._samplers import (
    BLIND_TO_PRUNED,
    forget_draw,
    grid_distributions,
    make_distributions,
    make_sampler,
)
from hpstudy.seeds import derive_seed
from hpstudy.spec import SearchRange, SearchSpec, chance_of, is_cost

_LENGTH = "training.epochs"


class Lookup(Protocol):
    """Finds what a finished trial came to."""

    def __call__(self, trial_id: str) -> "Outcome | None": ...


class Outcome(Protocol):
    """What a lane needs to know of a finished trial (`record.TrialResult` has it)."""

    @property
    def status(self) -> str: ...
    @property
    def objective(self) -> float: ...
    @property
    def groups(self) -> Mapping[str, float]:
        """Metrics and costs by their names; a search of several objectives reads them."""
        ...


class SearchLane:
    """One search: an arm in a condition under one search seed, over one Optuna study of its own.

    Every draw is seeded by the lane and the number of the trial, so a search that was killed and continued asks for the
    same points as one that never was. The budget is what the study file gives every search, however its trials end;
    with sampler `grid` it is the known points and the factorial, never more than that. Where there are several
    objectives, no trial is stopped early, and a diverged one is told with what it cost but as infeasible: it would
    otherwise be best at costing little. Ownership: one thread of one driver.

    Args:
        arm: The arm's name.
        condition: The condition's id.
        search_seed: Seeds the sampler and the training of this search.
        space: Searched parameters; empty for an arm's own grid.
        grid: Points of an arm's own grid, to run as listed; empty for a search.
        known_points: Points to try before the sampler chooses.
        factorial: What sampler `grid` tries after them, in an order drawn for the search: early stopping then compares
            trials from all over the ranges. Empty for any other sampler.
        spec: Objectives, budget, sampler and early stopping.
        storage: The study's journal.
        lookup: Results that the record already holds.
    """

    def __init__(
        self,
        arm: str,
        condition: str,
        search_seed: int,
        *,
        space: Mapping[str, SearchRange],
        grid: Sequence[Mapping[str, float]],
        known_points: Sequence[Mapping[str, float]],
        factorial: Sequence[Mapping[str, float]],
        spec: SearchSpec,
        storage: JournalStorage,
        lookup: Lookup,
    ) -> None:
        self.arm = arm
        self.condition = condition
        self.phase = "grid" if grid else "search"
        self.search_seed = search_seed
        listed = len(known_points) + len(factorial)
        self.budget = len(grid) or (listed if spec.sampler == "grid" else spec.trials)
        self._sampler = spec.sampler
        self._objectives = spec.objectives
        self._name = f"{arm}.{condition}.{self.phase}.s{search_seed}"
        self._early_stopping: EarlyStopping = NoStopping() if grid else make_early_stopping(spec.early_stopping)
        self._study = optuna.create_study(
            storage=storage,
            study_name=self._name,
            directions=directions_of(spec.objectives),
            load_if_exists=True,
            pruner=optuna.pruners.NopPruner(),
        )
        if grid:
            self._distributions = grid_distributions(grid)
            enqueued = [(point, "grid") for point in grid]
        else:
            self._distributions = make_distributions(space)
            enqueued = [(point, "paper default") for point in known_points]
            enqueued += [(point, "grid") for point in self._shuffled(factorial)]
        # They are the first trials of the journal; a driver may have been killed while writing them.
        for point, origin in enqueued[len(self._trials()) :]:
            self._study.enqueue_trial(dict(point), user_attrs={"origin": origin})
        # Counted here, as thousands of trials are asked for it at every turn; nobody else writes the journal.
        self._handed_out = sum(trial.state != TrialState.WAITING for trial in self._trials())
        self._choice: tuple[TrialRequest | None] | None = None
        self._live: dict[int, optuna.Trial] = {}
        self._recovered = self._recover(lookup)

    def _shuffled(self, points: Sequence[Mapping[str, float]]) -> list[Mapping[str, float]]:
        order = sorted(range(len(points)), key=lambda index: derive_seed(self._name, "order", index))
        return [points[index] for index in order]

    def _recover(self, lookup: Lookup) -> list[optuna.Trial]:
        """Tells Optuna of trials that ended unheard; returns those that a killed driver left running."""
        left: list[optuna.Trial] = []
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._seed_draw(frozen.number)
            trial = optuna.Trial(self._study, frozen._trial_id)
            if frozen.params.keys() < self._distributions.keys():
                self._draw_again(trial, frozen)
            outcome = lookup(self._request(trial).trial_id)
            if outcome is None:
                left.append(trial)
            else:
                self._live[trial.number] = trial
                self.finish(trial.number, outcome)
        return left

    def _draw_again(self, trial: optuna.Trial, frozen: FrozenTrial) -> None:
        """Leads a draw that was cut off to where it was: past the random numbers behind the values that it wrote."""
        forget_draw(self._study, frozen)
        for name, distribution in frozen.distributions.items():
            known = name in frozen.system_attrs.get("fixed_params", {}) or distribution.single()
            if not known and name not in trial.relative_params:
                self._study.sampler.sample_independent(self._study, frozen, name, distribution)

    @property
    def outstanding(self) -> int:
        """Trials handed out and not finished."""
        return len(self._live)

    @property
    def started(self) -> int:
        """Trials handed out so far, finished or not."""
        return self._handed_out - len(self._recovered)

    @property
    def finished(self) -> bool:
        """Whether the budget is spent and every trial has ended."""
        return not self._recovered and not self._live and self.started >= self.budget

    def next(self) -> TrialRequest | None:
        """The next trial to run, those that a killed driver left first; None when the budget is handed out."""
        if self._recovered:
            trial = self._recovered.pop(0)
        elif self.started < self.budget:
            self._seed_draw(len(self._trials()))
            trial = self._study.ask()
            self._handed_out += 1
        else:
            return None
        self._live[trial.number] = trial
        return self._request(trial)

    def _seed_draw(self, number: int) -> None:
        """Seeds the draw of trial `number`; a quasi-random sequence keeps one seed."""
        seed = derive_seed(self._name, "sequence" if self._sampler == "qmc" else number) % 2**32
        self._study.sampler = make_sampler(
            self._sampler, seed=seed, number=number, trials=self.budget, space=self._distributions
        )

    def _request(self, trial: optuna.Trial) -> TrialRequest:
        # For a trial that a killed driver left, suggest returns what was drawn and draws what was not.
        params = {name: _suggest(trial, name, distribution) for name, distribution in self._distributions.items()}
        return self._request_of(trial.number, params, trial.user_attrs)

    def _request_of(self, number: int, params: Mapping[str, float], attributes: Mapping[str, str]) -> TrialRequest:
        return TrialRequest(
            arm=self.arm,
            condition=self.condition,
            phase=self.phase,
            search_seed=self.search_seed,
            number=number,
            seed=self.search_seed,
            params=params,
            origin=attributes.get("origin", ""),
        )

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Notes a validation value where trials stop early; returns whether this one should.

        A trial that continues from a checkpoint reports the checkpoint's epoch once more and is decided on as before.
        Trials of different lengths are not compared: after equally many epochs, their learning rates have come to
        different points of their schedules.
        """
        if len(self._objectives) > 1 or isinstance(self._early_stopping, NoStopping):
            return False
        live = self._live[number]
        own = self._study._storage.get_trial(live._trial_id)
        values = own.intermediate_values
        if epoch not in values:
            live.report(value, epoch)
            values = {**values, epoch: value}
        return self._early_stopping.stops(epoch, values, self._others(number, own.params.get(_LENGTH)))

    def _others(self, number: int, length: float | None) -> Iterator[Mapping[int, float]]:
        """The values of the other trials of that length; read when they are asked for, as few epochs are rungs."""
        for trial in self._trials():
            if trial.number != number and trial.params.get(_LENGTH) == length:
                yield trial.intermediate_values

    def hand_back(self, number: int) -> None:
        """Takes back a trial that did not end."""
        self._recovered.append(self._live.pop(number))

    def finish(self, number: int, outcome: Outcome) -> None:
        """Tells Optuna how a trial ended: diverged scores its objective (chance), failed does not count as evidence.

        A sampler that reads completed trials only hears of a pruned one as completed with its last value.
        """
        trial = self._live.pop(number)
        trial.set_user_attr("status", outcome.status)
        values = told_values(self._objectives, outcome)
        # One that a killed driver left may have it; GP-based samplers want it of every trial.
        if len(values) > 1 and not self._trials()[number].constraints:
            trial.set_constraint("diverged", 1.0 if outcome.status == "diverged" else -1.0)
        if outcome.status == "failed" or not all(map(math.isfinite, values)):
            self._study.tell(trial, state=TrialState.FAIL)
        elif outcome.status == "pruned" and self._sampler not in BLIND_TO_PRUNED:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, values)

    def chosen(self) -> TrialRequest | None:
        """The point with the highest primary objective among trials that ran their whole budget, or None.

        Diverged trials can't be chosen. Of equal points the one that is better in the next objective is, of points
        equal in all of them the earlier one.
        """
        if self._choice is not None:
            return self._choice[0]
        choice = self._choose()
        if self.finished:
            self._choice = (choice,)
        return choice

    def _choose(self) -> TrialRequest | None:
        completed = [
            trial
            for trial in self._trials()
            if trial.state == TrialState.COMPLETE and trial.user_attrs.get("status") == "completed"
        ]
        if not completed:
            return None
        best = max(completed, key=lambda trial: merit(self._objectives, trial.values, trial.number))
        return self._request_of(best.number, best.params, best.user_attrs)

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)


def directions_of(objectives: Sequence[str]) -> list[str]:
    """Which way each objective is better, in Optuna's words."""
    return ["minimize" if is_cost(name) else "maximize" for name in objectives]


def told_values(objectives: Sequence[str], outcome: Outcome) -> list[float]:
    """What a trial came to in each objective; a metric that it lacks is at chance."""
    others = objectives[1:]
    groups = outcome.groups if others else {}
    return [
        outcome.objective,
        *(groups.get(name, math.nan if is_cost(name) else chance_of(name)) for name in others),
    ]


def merit(objectives: Sequence[str], values: Sequence[float], number: int) -> tuple[float, ...]:
    """What a search chooses its point by, the highest: the primary objective, then the others, then the earlier."""
    better = [-value if is_cost(name) else value for name, value in zip(objectives, values, strict=True)]
    return (*better, -number)


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> float:
    match distribution:
        case FloatDistribution(low=low, high=high, log=log):
            return float(trial.suggest_float(name, low, high, log=log))
        case IntDistribution(low=low, high=high):
            return int(trial.suggest_int(name, low, high))
        case CategoricalDistribution(choices=choices):
            value: float = trial.suggest_categorical(name, choices)
            return value
    raise AssertionError(f"no such distribution is made here: {distribution}")
