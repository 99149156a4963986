"""Optuna's samplers and distributions from the words of a study file."""

import warnings
from collections.abc import Mapping

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler

from hpstudy.spec import Choice, IntRange, LinearRange, LogRange, SearchRange

MAX_STARTUP_TRIALS = 10


def make_sampler(name: str, *, seed: int, trials: int) -> BaseSampler:
    """A sampler whose every draw follows from `seed`.

    Args:
        name: `tpe`, `random` or `qmc`.
        seed: Seed of the next draw.
        trials: The search's budget; TPE's random start is a third of it, at most 10 trials.
    """
    if name == "tpe":
        startup = min(MAX_STARTUP_TRIALS, max(2, trials // 3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True
            )
    if name == "qmc":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    raise AssertionError(f"the study file admits no sampler {name!r}")


def make_distributions(space: Mapping[str, SearchRange]) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each searched parameter."""
    return {name: _distribution(entry) for name, entry in space.items()}


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
