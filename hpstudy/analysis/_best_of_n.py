"""What the best of n trials is worth: order statistics of values that carry noise."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Values = NDArray[np.float64]
"""Values of trials along the last axis; what is returned has n = 1, 2, … there."""

_DRAWS = 1000


class BestOfN(Protocol):
    """How the trials of one search make the best of its first n."""

    def best(self, values: Values) -> Values:
        """Expected largest of the first n values."""
        ...

    def picked(self, values: Values, worth: Values) -> Values:
        """Expected `worth` of the trial that has the largest of the first n values."""
        ...

    def variance(self, values: Values, noise: float, rng: np.random.Generator) -> Values:
        """Variance of `best` over searches like this one; NaN where one search can't tell."""
        ...


class AnyOrder:
    """Trials drawn independently: each order was as likely, and the first n stand for any n.

    `best` is the unbiased order-statistic estimator E[max of n] = Σ_i x_(i)·C(i − 1, n − 1)/C(N, n) (Tang, Lee, Xin,
    Liu, Yu, Lin: Showing Your Work Doesn't Always Work, ACL 2020).

    Args:
        trials: How many trials a search has, N.
        given: How many of them, at the start, were given and not drawn.
    """

    def __init__(self, trials: int, given: int = 0) -> None:
        self._given = min(given, trials)
        self._weights = order_weights(trials - self._given)

    def best(self, values: Values) -> Values:
        return self.picked(values, values)

    def picked(self, values: Values, worth: Values) -> Values:
        k = self._given
        start = AsAsked().picked(values[..., :k], worth[..., :k])
        drawn, worth_drawn = values[..., k:], worth[..., k:]
        if k:
            # Whatever is below the best given trial leaves that one the best.
            above = drawn > values[..., :k].max(-1, keepdims=True)
            worth_drawn = np.where(above, worth_drawn, start[..., -1:])
            drawn = np.where(above, drawn, -np.inf)
        order = np.argsort(drawn, axis=-1, kind="stable")
        return np.concatenate([start, np.take_along_axis(worth_drawn, order, -1) @ self._weights.T], axis=-1)

    def variance(self, values: Values, noise: float, rng: np.random.Generator) -> Values:
        """By bootstrap over the drawn trials; given ones vary by their noise alone."""
        k, count = self._given, values.shape[-1]
        drawn = np.zeros((_DRAWS, 0))
        if count > k:
            drawn = values[rng.integers(k, count, (_DRAWS, count - k))]
        given = values[:k] + noise * rng.standard_normal((_DRAWS, k))
        return _variance(self.best(np.concatenate([given, drawn], axis=-1)))


class ListedInAnyOrder(AnyOrder):
    """Every point of a list, such as a grid: each order was as likely, and there are no other points."""

    def variance(self, values: Values, noise: float, rng: np.random.Generator) -> Values:
        """By the noise of the values alone: the points are no sample."""
        return _variance(self.best(values + noise * rng.standard_normal((_DRAWS, *values.shape))))


class AsAsked:
    """Trials that were chosen in the light of earlier ones: their order is part of the search."""

    def best(self, values: Values) -> Values:
        return np.asarray(np.maximum.accumulate(values, axis=-1))

    def picked(self, values: Values, worth: Values) -> Values:
        best = np.maximum.accumulate(values, axis=-1)
        is_new = np.concatenate([np.ones_like(best[..., :1], dtype=bool), best[..., 1:] > best[..., :-1]], axis=-1)
        holder = np.maximum.accumulate(np.where(is_new, np.arange(values.shape[-1]), 0), axis=-1)
        return np.asarray(np.take_along_axis(worth, holder, -1))

    def variance(self, values: Values, noise: float, rng: np.random.Generator) -> Values:
        """Unknown: only a repetition of the search would tell."""
        return np.full(values.shape[-1], np.nan)


def order_weights(count: int) -> Values:
    """Row n − 1 holds the weights C(i − 1, n − 1)/C(count, n) of the ascending values i = 1 … count."""
    i, n = np.arange(1, count + 1)[None, :], np.arange(1, count + 1)[:, None]
    there = i >= n
    above = gammaln(i) - gammaln(n) - gammaln(np.where(there, i - n, 0) + 1)
    subsets = gammaln(count + 1) - gammaln(n + 1) - gammaln(count - n + 1)
    return np.where(there, np.exp(above - subsets), 0.0)


def luck(rule: BestOfN, values: Values, noise: float, rng: np.random.Generator) -> Values:
    """How much of the best of n is noise that happened to help: it is picked because it looks best.

    The values, drawn together by as much as the noise had spread them, stand for the worth of the trials; noise is
    drawn once more, the best is picked by what then shows, and what it shows is compared with its worth. Zero for n =
    1, and largest where many trials are about as good.

    Args:
        rule: How trials make the best of n.
        values: Values of the trials of one search, in their order.
        noise: Standard deviation of a value at the same point.
        rng: Draws the noise.
    """
    worth_of_trials = _shrunk(values, noise)
    drawn = noise * rng.standard_normal((_DRAWS // 2, values.shape[-1]))
    shown = worth_of_trials + np.concatenate([drawn, -drawn])  # in pairs, so that the luck of one trial is zero exactly
    worth = np.broadcast_to(worth_of_trials, shown.shape)
    return np.asarray((rule.best(shown) - rule.picked(shown, worth)).mean(axis=0))


def _shrunk(values: Values, noise: float) -> Values:
    """Values about their mean with the variance that is left without the noise; trials at −∞ stay there."""
    is_known = np.isfinite(values)
    known = values[is_known]
    spread = float(known.var(ddof=1)) if known.size > 1 else 0.0
    if spread == 0.0:
        return values
    mean, shrunk = float(known.mean()), values.copy()
    shrunk[is_known] = mean + np.sqrt(max(0.0, 1 - noise**2 / spread)) * (known - mean)
    return shrunk


def _variance(draws: Values) -> Values:
    return np.asarray(draws.var(axis=0, ddof=1))
