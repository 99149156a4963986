"""Spherical codes found numerically, for the numbers of classes that no formula covers."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpstudy.exceptions import InputError
from hpstudy.theory import _checks as checks
from hpstudy.theory._checks import Floats
from hpstudy.theory._spherical_codes import separation_bound

# Exponents are in units of 1/(upper bound on the separation). A random first one sends restarts to different places.
_FIRST_EXPONENTS = (2.0, 60.0)
_SELECTION_EXPONENT = 100.0
_LAST_EXPONENT = 1000.0
_GROWTH = 5.0
_STEPS_PER_EXPONENT = 120
_SELECTED = 0.3
_POLISHED = 3
_POLISHING_STEPS = 25
_PRECISION = 1e-10
_FIRST_RADIUS = 0.02
_WORTH_POLISHING = 3e-4
_DISTINCT = 1e-6


@dataclass(frozen=True, eq=False)
class SphericalCode:
    """Unit vectors that stand far apart."""

    vectors: NDArray[np.float64]
    """W, float64 of shape (C, K), every row of length 1."""
    max_cosine: float
    """max_{i≠j} W_i·W_j."""

    @property
    def separation(self) -> float:
        """1 − max_{i≠j} W_i·W_j: the largest CosFace margin (a cosine) that every class can meet at its own centre."""
        return 1 - self.max_cosine


def solve_spherical_code(
    num_classes: int, dim: int, *, generator: np.random.Generator, restarts: int = 64
) -> SphericalCode:
    """C unit vectors in R^K whose largest cosine is as small as could be found: a lower end for m*(C, K).

    m*(C, K) = 1 − min_W max_{i≠j} W_i·W_j is the strict bound on m that CosFace (Wang et al., CVPR 2018,
    arXiv:1801.09414), eq. 7, can't give for C > K+1. From each random start (1/e)·log Σ_{i≠j} exp(e·W_i·W_j) is
    minimised with L-BFGS for rising exponents e; the best few are then polished by linear programs over small steps,
    which lower the largest cosine itself, mostly to 1e-10. The result is a local optimum; the codes proved optimal are
    all found up to C = 56 in at most 8 dimensions. `separation` never exceeds `margin_upper_bound` but for rounding.

    Time and memory grow with C²: a start takes some 10 ms for C = 32, a second for C = 300, and polishing as long
    again or, in many dimensions, far longer. What has been solved is in the table behind `margin_optimum`.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.
        generator: Where the random starts come from; equal states give equal codes on one machine.
        restarts: Number of random starts.

    Returns:
        The best code found; `vectors` has the shape (C, K).

    Raises:
        InputError: If `num_classes` or `dim` is not a whole number of at least 2 or `restarts` not of at least 1, or
            `generator` is not a NumPy generator.
    """
    count, dims = checks.count("num_classes", num_classes, 2), checks.count("dim", dim, 2)
    starts = checks.count("restarts", restarts, 1)
    if not isinstance(generator, np.random.Generator):
        raise InputError(f"generator must be a numpy.random.Generator, but got {generator!r}")
    unit = 1 / separation_bound(count, dims).value
    low, high = np.log(_FIRST_EXPONENTS)
    found = []
    for _ in range(starts):
        vectors = _normalised(generator.normal(size=(count, dims)))
        first = float(np.exp(generator.uniform(low, high)))
        found.append(_continue(vectors, first * unit, _SELECTION_EXPONENT * unit))
    found.sort(key=_cosine_of)
    promising = found[: max(_POLISHED, round(_SELECTED * starts))]
    last = _LAST_EXPONENT * unit
    finalists = sorted((_continue(candidate.vectors, last, last) for candidate in promising), key=_cosine_of)
    polished = [_polish(candidate.vectors, _FIRST_RADIUS / unit) for candidate in _distinct(finalists, unit)]
    return min(polished, key=lambda code: code.max_cosine)


class _Candidate(NamedTuple):
    cosine: float
    """Where the largest cosine is heading."""
    vectors: Floats


def _cosine_of(candidate: _Candidate) -> float:
    return candidate.cosine


def _normalised(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float64)


def _cosines(vectors: Floats) -> Floats:
    """W·Wᵀ with −2 on the diagonal, below every cosine."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2.0)
    return cosines


def _weights(cosines: Floats, exponent: float) -> tuple[Floats, float]:
    """The share of each pair in Σ exp(e·cosine), and the logarithm of that sum over e."""
    top = float(cosines.max())
    shares = np.exp(exponent * (cosines - top))
    np.fill_diagonal(shares, 0.0)
    total = float(shares.sum())
    return shares / total, top + np.log(total) / exponent


def _continue(vectors: Floats, first: float, last: float) -> _Candidate:
    """Minimise the energy for exponents that rise from `first` to `last`."""
    from scipy.optimize import minimize

    def energy(flat: Floats) -> tuple[float, Floats]:
        free = flat.reshape(vectors.shape)
        norms = np.linalg.norm(free, axis=1, keepdims=True)
        unit = free / norms
        shares, value = _weights(_cosines(unit), exponent)
        pull = shares @ unit
        gradient = 2 * (pull - (pull * unit).sum(axis=1, keepdims=True) * unit) / norms
        return value, gradient.ravel()

    exponent = min(first, last)
    while True:
        done = minimize(
            energy,
            vectors.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _STEPS_PER_EXPONENT, "ftol": 1e-15, "gtol": 1e-9},
        )
        vectors = _normalised(np.asarray(done.x).reshape(vectors.shape))
        if exponent == last:
            break
        exponent = min(exponent * _GROWTH, last)
    # Where the energy is stationary the mean cosine under its weights is nearer to the optimum than the largest one.
    cosines = _cosines(vectors)
    return _Candidate(float((_weights(cosines, last)[0] * cosines).sum()), vectors)


def _distinct(finalists: list[_Candidate], unit: float) -> list[_Candidate]:
    """The best of the sorted finalists and those that polishing might lift above it, each code once."""
    chosen: list[_Candidate] = []
    for candidate in finalists:
        if (
            not chosen
            or chosen[-1].cosine + _DISTINCT / unit < candidate.cosine < chosen[0].cosine + _WORTH_POLISHING / unit
        ):
            chosen.append(candidate)
    return chosen[:_POLISHED]


def _polish(vectors: Floats, radius: float) -> SphericalCode:
    """Lower the largest cosine itself by linear programs in a trust region of that radius."""
    best = float(_cosines(vectors).max())
    for _ in range(_POLISHING_STEPS):
        step, expected = _linear_step(vectors, best, radius)
        moved = _normalised(vectors + step)
        reached = float(_cosines(moved).max())
        gain = best - reached
        if gain > 0:
            vectors, best = moved, reached
        if expected < _PRECISION * (1 - best):
            break
        if gain < 0.25 * expected:
            radius *= 0.1
        elif expected > 0.1 * radius:
            radius *= 2
        if expected < 0.01 * radius:
            radius *= 0.01
    return SphericalCode(vectors, best)


def _linear_step(vectors: Floats, best: float, radius: float) -> tuple[Floats, float]:
    """The step of at most `radius` a coordinate that lowers the linearised largest cosine most, and by how much."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    count, dims = vectors.shape
    i, j = np.triu_indices(count, 1)
    cosine = _cosines(vectors)[i, j]
    near = cosine >= best - 4 * radius * math.sqrt(dims)
    i, j, cosine = i[near], j[near], cosine[near]
    # d(W_i·W_j) along a step of W_i is W_j less its part along W_i; the last variable is the largest cosine's change.
    slopes = np.hstack(
        [
            vectors[j] - cosine[:, None] * vectors[i],
            vectors[i] - cosine[:, None] * vectors[j],
            np.full((len(i), 1), -1.0),
        ]
    )
    axes = np.arange(dims)
    columns = np.hstack([i[:, None] * dims + axes, j[:, None] * dims + axes, np.full((len(i), 1), count * dims)])
    starts = np.arange(len(i) + 1) * (2 * dims + 1)
    matrix: Any = csr_array((slopes.ravel(), columns.ravel(), starts), shape=(len(i), count * dims + 1))
    cost = np.zeros(count * dims + 1)
    cost[-1] = 1.0
    bounds = [(-1.0, 1.0)] * (count * dims) + [(-4 * math.sqrt(dims), 0.0)]
    # In units of the radius, so that the program's tolerance shrinks with the steps.
    done = linprog(cost, A_ub=matrix, b_ub=(best - cosine) / radius, bounds=bounds, method="highs")
    if done.x is None:
        return np.zeros_like(vectors), 0.0
    return radius * done.x[:-1].reshape(count, dims), -radius * float(done.x[-1])
