"""Optuna's samplers and distributions from the words of a study file."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from hpstudy.spec import Choice, IntRange, LinearRange, LogRange, SearchRange

MAX_STARTUP_TRIALS = 10
BLIND_TO_PRUNED = frozenset({"gp", "cmaes"})
"""Samplers that read completed trials only, and would go back to where trials are stopped early again and again."""


class _NumberedSequence(QMCSampler):
    """Sobol's sequence, counted by the trials.

    Optuna counts the draws in the journal, so that one which a kill cut off is counted twice, and draws the first at
    random, with every later one until a trial has ended well.
    """

    def __init__(self, seed: int, number: int, space: Mapping[str, BaseDistribution]) -> None:
        super().__init__(seed=seed, scramble=True)
        self._number = number
        self._space = dict(space)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._space

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> int:
        return self._number


class _DensitiesOfRanges(TPESampler):
    """TPE over the ranges that are searched, which Optuna otherwise looks for in every trial at every draw."""

    def __init__(self, seed: int, startup: int, space: Mapping[str, BaseDistribution]) -> None:
        super().__init__(seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True)
        self._space = {name: space[name] for name in sorted(space) if not space[name].single()}

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._space


class _FeasibleModel(GPSampler):
    """GP that draws at random until a trial is feasible: with nothing to tell points apart, Optuna's divides by 0."""

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if all(any(value > 0 for value in other.constraints.values()) for other in ended):
            return {}
        return super().sample_relative(study, trial, search_space)


def make_sampler(
    name: str, *, seed: int, number: int, trials: int, space: Mapping[str, BaseDistribution]
) -> BaseSampler:
    """A sampler whose every draw follows from `seed` and what the journal holds; it keeps nothing from draw to draw.

    CMA-ES leaves its distribution in the journal, with the first trial of each generation. It moves on when a whole
    generation, 4 + ⌊3 ln d⌋ trials for d ranges, has ended other than as `failed`; known points are in none.

    Args:
        name: `tpe`, `random`, `qmc`, `grid`, `gp` or `cmaes`.
        seed: Seed of the next draw; of the whole sequence with `qmc`.
        number: Number of the trial that is drawn.
        trials: The search's budget; the random start of TPE and GP is a third of it, at most 10 trials.
        space: Searched parameters.
    """
    startup = min(MAX_STARTUP_TRIALS, max(2, trials // 3))
    if name == "tpe":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return _DensitiesOfRanges(seed, startup, space)
    if name == "qmc":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return _NumberedSequence(seed, number, space)
    if name == "gp":
        # Imports torch and scipy when it first draws.
        return _FeasibleModel(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
    if name == "cmaes":
        return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
    if name in ("random", "grid"):
        # A grid's points are all known, so it draws none.
        return optuna.samplers.RandomSampler(seed=seed)
    raise AssertionError(f"the study file admits no sampler {name!r}")


def forget_draw(study: optuna.Study, trial: FrozenTrial) -> None:
    """Takes back what a draw that was cut off left in the journal.

    GP would otherwise see the point as one that another trial is running, and keep away from it.
    """
    for key, value in trial.system_attrs.items():
        if key.startswith("gp:relative_params:") and value:
            study._storage.set_trial_system_attr(trial._trial_id, key, "")


def make_distributions(space: Mapping[str, SearchRange]) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each searched parameter."""
    return {name: _distribution(entry) for name, entry in space.items()}


def grid_distributions(grid: Sequence[Mapping[str, float]]) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each name of an arm's own grid: the values that it lists."""
    return {name: CategoricalDistribution(sorted({point[name] for point in grid})) for name in grid[0]}


def _distribution(entry: SearchRange) -> BaseDistribution:
    match entry:
        case LogRange():
            return FloatDistribution(entry.low, entry.high, log=True)
        case LinearRange():
            return FloatDistribution(entry.low, entry.high)
        case IntRange():
            return IntDistribution(entry.low, entry.high)
        case Choice():
            return CategoricalDistribution(entry.values)
