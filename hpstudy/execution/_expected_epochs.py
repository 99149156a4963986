"""How many epochs a search with early stopping is expected to train."""

from bisect import bisect_left, insort
from dataclasses import dataclass
from statistics import median

import numpy as np

from hpstudy.spec import EarlyStoppingSpec

MODEL = "trials come one by one in random order of merit, which no epoch changes"
"""What `expect` supposes of a search."""

_WORK = 400_000
_LEAST_OTHERS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """Means over the searches that the model draws."""

    epochs: float
    """Epochs of a trial."""
    completed: float
    """Fraction of the trials that train all of theirs."""


def expect(rule: EarlyStoppingSpec, *, trials: int, epochs: int) -> Expected:
    """Simulates searches under `MODEL`.

    Args:
        rule: Early stopping of the search.
        trials: Budget of one search.
        epochs: Epochs of a trial that is not stopped.
    """
    looks = _looks(rule, epochs)
    if not looks:
        return Expected(epochs=epochs, completed=1.0)
    generator = np.random.default_rng(0)
    searches = max(16, min(2000, _WORK // (trials * len(looks))))
    spent = completed = 0
    for _ in range(searches):
        seen: dict[int, list[int]] = {epoch: [] for epoch in looks}
        for value in generator.permutation(trials).tolist():
            end = next((epoch for epoch in looks if _stops(rule, value, seen[epoch])), epochs)
            spent += end
            completed += end == epochs
            for epoch in looks:
                if epoch <= end:
                    insort(seen[epoch], value)
    return Expected(epochs=spent / (searches * trials), completed=completed / (searches * trials))


def _looks(rule: EarlyStoppingSpec, epochs: int) -> list[int]:
    """Epochs after which the rule may stop a trial."""
    if rule.kind == "asha":
        looks, rung = [], rule.grace_epochs
        while rung < epochs:
            looks.append(rung)
            rung *= rule.reduction_factor
        return looks
    return list(range(rule.grace_epochs, epochs)) if rule.kind == "median" else []


def _stops(rule: EarlyStoppingSpec, value: int, others: list[int]) -> bool:
    """Whether a trial of that merit stops where `others` (ascending) were seen before it."""
    if rule.kind == "median":
        return len(others) >= _LEAST_OTHERS and value < median(others)
    better = len(others) - bisect_left(others, value)
    return better >= max(1, (len(others) + 1) // rule.reduction_factor)
