"""Gaussian-process regression on the unit cube, the same for the same trials every time."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import Bounds, minimize
from scipy.spatial.distance import cdist

Values = NDArray[np.float64]

_SEED = 20_180_129
_MOST_TUNED, _MOST_KNOWN = 160, 800
"""Points that the hyperparameters are chosen by, and points that predictions rest on; more are sampled."""

_STARTS = ((0.5, 0.1), (0.25, 0.01), (1.5, 0.5))
"""Length scale and noise variance that the search for the likeliest starts at."""

_SHORTEST, _LONGEST = 0.1, 10.0
_SIGNAL, _NOISE = (0.05, 20.0), (1e-4, 2.0)
_DECIMALS, _STEP = 3, 0.05
_VAGUE = 1.5
"""Prior standard deviation of the logarithm of a hyperparameter, where its uncertainty is asked for."""

_JITTER = 1e-9
_LEVEL = 10.0
"""Prior variance of the function's mean level, which is thus learned from the points and not taken as known."""


@dataclass(frozen=True, slots=True, eq=False)
class GaussianProcess:
    """A function with a Matérn-5/2 prior (its own length along each input) given noisy values; all of it is normal.

    Rasmussen & Williams 2006: prediction eq. 2.23–2.24, leave-one-out eq. 5.12.
    """

    inputs: Values
    """(n, d), in the unit cube."""
    targets: Values
    """(n,), standardised."""
    centre: float
    spread: float
    """Mean and standard deviation that the targets were standardised with."""
    logs: Values
    """(d + 2,) logarithms of the hyperparameters: variance of the function, d lengths, variance of the noise.

    Variances are in units of the targets' variance.
    """
    error: Values
    """A root of the covariance of `logs`, which are estimated."""
    factor: Values = field(init=False)
    """Lower Cholesky factor of the covariance of the targets."""

    def __post_init__(self) -> None:
        covariance = self._covariance(self.inputs, self.inputs) + self.noise * np.eye(len(self.targets))
        object.__setattr__(self, "factor", _cholesky(covariance, _JITTER))

    @property
    def signal(self) -> float:
        """Prior variance of the function around its level, in units of the targets' variance."""
        return float(np.exp(self.logs[0]))

    @property
    def lengths(self) -> Values:
        """(d,) how far along each input values are alike."""
        return np.asarray(np.exp(self.logs[1:-1]))

    @property
    def noise(self) -> float:
        """Variance of a value around the function, in units of the targets' variance."""
        return float(np.exp(self.logs[-1]))

    @property
    def noise_std(self) -> float:
        """Standard deviation of a value around the function."""
        return float(np.sqrt(self.noise)) * self.spread

    def mean(self, points: Values) -> Values:
        """Mean of the function at (N, d) points."""
        weights = cho_solve((self.factor, True), self.targets)
        return self.centre + self.spread * (self._covariance(points, self.inputs) @ weights)

    def std(self, points: Values) -> Values:
        """Standard deviation of the function (without the noise) at (N, d) points."""
        reduced = solve_triangular(self.factor, self._covariance(self.inputs, points), lower=True)
        return self.spread * np.sqrt(np.maximum(_LEVEL + self.signal - (reduced**2).sum(axis=0), 0.0))

    @property
    def prior_std(self) -> float:
        """Standard deviation of the function around its mean level."""
        return self.spread * float(np.sqrt(self.signal))

    def draws(self, points: Values, count: int, rng: np.random.Generator) -> Values:
        """(count, N) functions of the posterior, at (N, d) points."""
        reduced = solve_triangular(self.factor, self._covariance(self.inputs, points), lower=True)
        covariance = self._covariance(points, points) - reduced.T @ reduced
        root = _cholesky(covariance, 1e-7 * self.signal)
        return self.mean(points) + self.spread * (rng.standard_normal((count, len(points))) @ root.T)

    def others(self, count: int, rng: np.random.Generator) -> "list[GaussianProcess]":
        """Processes with hyperparameters that these points allow as well."""
        low, high = _bounds(*self.inputs.shape).T
        moves = rng.standard_normal((count, len(self.logs))) @ self.error.T
        return [replace(self, logs=np.clip(self.logs + move, low, high)) for move in moves]

    def left_out(self) -> Values:
        """(n,) what is predicted at each point from all the others, with the hyperparameters of all."""
        inverse = cho_solve((self.factor, True), np.eye(len(self.targets)))
        residuals = (inverse @ self.targets) / np.diag(inverse)
        return self.centre + self.spread * (self.targets - residuals)

    def _covariance(self, first: Values, second: Values) -> Values:
        return _LEVEL + _matern(first, second, self.lengths, self.signal)


def fit_gaussian_process(inputs: Values, targets: Values) -> GaussianProcess:
    """Fits length scales, signal and noise by maximum likelihood from three starts.

    Hyperparameters come from at most 160 points and predictions from at most 800, drawn with a fixed seed where there
    are more, so that the time stays bounded. They are rounded to three decimals of their logarithm: the last digits of
    an optimiser depend on the machine.

    Args:
        inputs: (n, d) in the unit cube.
        targets: (n,), not all equal.
    """
    rng = np.random.default_rng(_SEED)
    kept = _sample(len(targets), _MOST_KNOWN, rng)
    inputs, targets = inputs[kept], targets[kept]
    centre, spread = float(targets.mean()), float(targets.std())
    assert spread > 0, "constant targets have no surface"
    standard = (targets - centre) / spread
    tuned = _sample(len(standard), _MOST_TUNED, rng)
    logs, error = _hyperparameters(inputs[tuned], standard[tuned])
    return GaussianProcess(inputs, standard, centre, spread, logs, error)


def _hyperparameters(inputs: Values, targets: Values) -> tuple[Values, Values]:
    """Logarithms of signal variance, lengths and noise variance of highest likelihood, and a root of their covariance.

    The covariance is Laplace's, from the curvature of the likelihood there, with a standard deviation of 1.5 each a
    priori.
    """
    bounds = _bounds(*inputs.shape)
    gaps = (inputs[:, None, :] - inputs[None, :, :]) ** 2
    width = inputs.shape[1]

    def lack(logs: Values) -> tuple[float, Values]:
        return _lack(logs, gaps, targets)

    found = []
    for length, noise in _STARTS:
        start = np.clip(np.log([1.0, *[length] * width, noise]), *bounds.T)
        found.append(minimize(lack, start, jac=True, method="L-BFGS-B", bounds=Bounds(*bounds.T)))
    best = np.round(min(found, key=lambda end: float(end.fun)).x, _DECIMALS)
    steps = _STEP * np.eye(len(best))
    slopes = [lack(best + step)[1] - lack(best - step)[1] for step in steps]
    curvature = np.array(slopes) / (2 * _STEP)
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    precision = np.maximum(values, 0.0) + _VAGUE**-2
    covariance = (vectors / precision) @ vectors.T
    return best, np.linalg.cholesky(covariance)


def _bounds(count: int, width: int) -> Values:
    """Ends of the logarithms, a row each; how short a length may be depends on the number of points."""
    # What bends within two spacings of the points is noise to them; else few points are easily overfitted.
    shortest = max(_SHORTEST, 2 * count ** (-1 / min(width, 2)))
    return np.log([_SIGNAL, *[(shortest, _LONGEST)] * width, _NOISE])


def _lack(logs: Values, gaps: Values, targets: Values) -> tuple[float, Values]:
    """−log likelihood of the targets and its gradient in the logarithms (Rasmussen & Williams 2006, eq. 5.8–5.9)."""
    signal, lengths, noise = np.exp(logs[0]), np.exp(logs[1:-1]), np.exp(logs[-1])
    parts = gaps / lengths**2
    distance = np.sqrt(5.0 * parts.sum(axis=-1))
    decay = signal * np.exp(-distance)
    kernel = (1 + distance + distance**2 / 3) * decay
    factor = _cholesky(_LEVEL + kernel + noise * np.eye(len(targets)), _JITTER)
    inverse = cho_solve((factor, True), np.eye(len(targets)))
    weights = inverse @ targets
    outer = inverse - np.outer(weights, weights)
    slope = outer * (5.0 / 3.0) * (1 + distance) * decay
    gradient = [(outer * kernel).sum(), *np.einsum("ij,ijk->k", slope, parts), noise * np.trace(outer)]
    value = 0.5 * targets @ weights + np.log(np.diag(factor)).sum()
    return float(value), 0.5 * np.asarray(gradient)


def _matern(first: Values, second: Values, lengths: Values, signal: float) -> Values:
    distance = np.sqrt(5.0) * cdist(first / lengths, second / lengths)
    return np.asarray(signal * (1 + distance + distance**2 / 3) * np.exp(-distance))


def _cholesky(matrix: Values, jitter: float) -> Values:
    """Lower factor of a covariance, of which rounding may have left an eigenvalue below zero."""
    while True:
        try:
            return np.asarray(np.linalg.cholesky(matrix + jitter * np.eye(len(matrix))), dtype=float)
        except np.linalg.LinAlgError:
            jitter *= 10


def _sample(count: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(rng.choice(count, most, replace=False)) if count > most else np.arange(count)
