"""When a trial of a search ends before its last epoch.

Each rule is a function of validation values alone. It keeps no state that could be lost between a value and the
decision on it: a driver that was killed in between decides again, and the same.
"""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Protocol

from hpstudy.spec import EarlyStoppingSpec

Values = Mapping[int, float]
"""Validation value by epoch."""

_LEAST_OTHERS = 3


class EarlyStopping(Protocol):
    """Compares a trial with the others of its search."""

    def stops(self, epoch: int, own: Values, others: Iterable[Values]) -> bool:
        """Whether the trial ends after `epoch`, of which `own` holds the value; higher is better."""
        ...


class SuccessiveHalving:
    """ASHA (Li et al., MLSys 2020) in its stopping form: at each rung go on with the best 1/η seen there so far.

    Rungs are at epochs grace·η^k. The best of a rung always goes on, and so does whoever comes first.

    Args:
        grace_epochs: Epoch of the first rung.
        reduction_factor: η.
    """

    def __init__(self, grace_epochs: int, reduction_factor: int) -> None:
        self._grace = grace_epochs
        self._factor = reduction_factor

    def stops(self, epoch: int, own: Values, others: Iterable[Values]) -> bool:
        """At a rung, whether the value is below the best 1/η of those at this rung, itself among them."""
        if not self._is_rung(epoch):
            return False
        seen = sorted([own[epoch], *(other[epoch] for other in others if epoch in other)], reverse=True)
        return own[epoch] < seen[max(1, len(seen) // self._factor) - 1]

    def _is_rung(self, epoch: int) -> bool:
        rung = self._grace
        while rung < epoch:
            rung *= self._factor
        return rung == epoch


class MedianStopping:
    """Stops a trial whose best value so far is below the median of the others at this epoch (Golovin et al., KDD 2017).

    Args:
        grace_epochs: First epoch at which a trial may end; three others must have got there.
    """

    def __init__(self, grace_epochs: int) -> None:
        self._grace = grace_epochs

    def stops(self, epoch: int, own: Values, others: Iterable[Values]) -> bool:
        """Whether the best value so far is below the median of the others at this epoch."""
        there = [other[epoch] for other in others if epoch in other]
        if epoch < self._grace or len(there) < _LEAST_OTHERS:
            return False
        return max(value for at, value in own.items() if at <= epoch) < median(there)


class NoStopping:
    """Every trial runs its whole budget."""

    def stops(self, epoch: int, own: Values, others: Iterable[Values]) -> bool:
        """Never."""
        return False


def make_early_stopping(spec: EarlyStoppingSpec) -> EarlyStopping:
    """The rule of a study file."""
    if spec.kind == "asha":
        return SuccessiveHalving(spec.grace_epochs, spec.reduction_factor)
    if spec.kind == "median":
        return MedianStopping(spec.grace_epochs)
    return NoStopping()
