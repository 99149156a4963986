"""Which searched value moved the objective: functional analysis of variance of the fitted response."""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd

from hpstudy.analysis._box import SearchedValue, Values
from hpstudy.analysis._response import Response

_SEED = 20_140_621
_PROCESSES, _DRAWS = 12, 20
_NODES = 1000
"""Most quadrature nodes, in all."""
_MOST_VALUES = 6
_NOISE_NODES = 9
UNEXPLAINED, HIGHER = "unexplained", "higher"
_LEAST_KNOWN = 0.5
"""Share of the searched box where the surface has to be known, else its variance is mostly made up."""

_COLUMNS = [
    "condition", "arm", "epoch", "source", "kind", "share", "low", "high", "std", "n", "q2", "known_share", "reason",
]  # fmt: skip


def importance(responses: Iterable[Response], early: Iterable[Response] = ()) -> pd.DataFrame:
    """Shares of the variance of a trial at a point drawn uniformly from the searched box, on the scale searched.

    The surface f is split as f = f₀ + Σ f_i + Σ f_ij + … with terms that average to zero over each of their arguments;
    their variances add up (Hoeffding 1948, Sobol' 1993; for hyperparameters Hutter, Hoos & Leyton-Brown 2014).
    Variances are of the objective itself (of a rate, not of its logit), with the variance of a trial around the surface
    as one more term, `unexplained`: training noise and whatever is rougher than the surface. Averages are
    Gauss–Legendre sums over a full grid (16 × 16 nodes for two values; of a list of values, the list itself).

    The interval is from 240 functions of the posterior, over hyperparameters that the trials allow as well: its upper
    end is the 97.5 % quantile of their shares, its lower end that quantile reflected at the share if this is lower than
    the 2.5 % quantile, since what is uncertain adds variance to every function and never takes any away. In simulations
    (four functions of two values, little noise and much) it covers 79 % to 100 %, in the median 97 %, with 24 or 60
    trials, and 68 % to 100 %, in the median 91 %, with 12; an interaction that isn't there is covered by 97 % to 100 %.
    Where noise is most of what there is, only fits that came out well pass as a surface, and their shares of the values
    are too large.

    There is no share where less than half of the box is known: what early stopping ended is not, and extrapolation
    would make the variance up.

    Args:
        responses: `fit_responses`.
        early: `early_responses`, which stand in for arms that have no share at the end.

    Returns:
        `condition`, `arm`; `epoch`, 0 for the end; `source`, e.g. `s`, `m`, `s × m`, `unexplained`, or `higher` for
        what three or more values do together; `kind` (`main`, `interaction`, `unexplained`); `share`, `low`, `high` (95
        %); `std`, the standard deviation that the term is, in the objective's unit; `n`, `q2`; `known_share`, the share
        of the box where the surface is known; `reason`. Shares of an arm add up to 1. An arm without a surface has one
        row, with `reason` and without a share.
    """
    instead = {(response.condition, response.arm): response for response in early}
    rows: list[dict[str, object]] = []
    for response in responses:
        of_arm = _rows(response)
        other = instead.get((response.condition, response.arm))
        if of_arm[0]["reason"] and other is not None and not (rows_there := _rows(other))[0]["reason"]:
            of_arm = rows_there
        rows += of_arm
    # Further digits depend on the machine.
    return pd.DataFrame(rows, columns=_COLUMNS).round(dict.fromkeys(("share", "low", "high", "std"), 6))


def _rows(response: Response) -> list[dict[str, object]]:
    """The terms of one arm, or one row with the reason why there are none."""
    about: dict[str, object] = {
        "condition": response.condition,
        "arm": response.arm,
        "epoch": response.epoch,
        "n": response.n,
        "q2": response.q2,
    }
    known, reason = np.nan, response.reason
    if len(response.values) > _MOST_VALUES:
        reason = f"more than {_MOST_VALUES} searched values"
    elif not reason:
        places, weights = _full_grid(response)
        known = float(response.known(places) @ _outer(weights))
        if known >= _LEAST_KNOWN:
            return [about | row | {"known_share": known, "reason": ""} for row in _shares(response, places, weights)]
        reason = f"the surface is known on {100 * known:.0f} % of the searched box"
    return [about | {"source": "", "kind": "", "known_share": known, "reason": reason}]


def _full_grid(response: Response) -> tuple[Values, list[Values]]:
    """Nodes in the unit cube, a row each, and the weights along each value."""
    nodes, weights = zip(*(_quadrature(value, len(response.values)) for value in response.values), strict=True)
    return np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1).reshape(-1, len(nodes)), list(weights)


def _shares(response: Response, places: Values, weights: list[Values]) -> list[dict[str, object]]:
    process, rng = response.process, np.random.default_rng(_SEED)
    assert process is not None
    fitted = _decomposed(response, process.mean(places)[None], process.noise_std, weights)
    drawn = [
        _decomposed(response, other.draws(places, _DRAWS, rng), other.noise_std, weights)
        for other in process.others(_PROCESSES, rng)
    ]
    rows: list[dict[str, object]] = []
    for names, variance in fitted.items():
        best = float(variance[0] / sum(float(term[0]) for term in fitted.values()))
        shares = np.concatenate([terms[names] / sum(terms.values()) for terms in drawn])
        low, high = np.quantile(shares, [0.025, 0.975])
        low, high = max(0.0, min(low, 2 * best - high)), max(best, high)
        kind = (
            UNEXPLAINED
            if names == (UNEXPLAINED,)
            else "main"
            if len(names) == 1 and names != (HIGHER,)
            else "interaction"
        )
        rows.append(
            {
                "source": " × ".join(names),
                "kind": kind,
                "share": best,
                "low": float(low),
                "high": float(high),
                "std": float(np.sqrt(variance[0])),
            }
        )
    return rows


def _quadrature(value: SearchedValue, values: int) -> tuple[Values, Values]:
    """Nodes in the unit interval and their weights, for the uniform measure."""
    if value.levels:
        return value.to_unit(value.levels), np.full(len(value.levels), 1 / len(value.levels))
    count = {1: 48, 2: 16}.get(values, max(3, int(_NODES ** (1 / values) + 1e-9)))
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def _outer(weights: list[Values]) -> Values:
    """Weights of all nodes, in the order of the full grid."""
    product = weights[0]
    for other in weights[1:]:
        product = np.multiply.outer(product, other).ravel()
    return product


def _decomposed(
    response: Response, surfaces: Values, noise_std: float, weights: list[Values]
) -> dict[tuple[str, ...], Values]:
    """Variance of every term, one value a surface, from (surfaces, nodes) fitted values."""
    level, noise = _with_noise(response, surfaces, noise_std)
    terms = _terms(level.reshape(len(level), *(len(axis) for axis in weights)), weights, response.names)
    return terms | {(UNEXPLAINED,): noise @ _outer(weights)}


def _with_noise(response: Response, surfaces: Values, noise_std: float) -> tuple[Values, Values]:
    """Mean and variance of a trial's objective where the surface has these values."""
    if not response.is_rate:
        return surfaces, np.full_like(surfaces, noise_std**2)
    offsets, weights = np.polynomial.hermite_e.hermegauss(_NOISE_NODES)
    weights = weights / weights.sum()
    mean, square = np.zeros_like(surfaces), np.zeros_like(surfaces)
    for offset, weight in zip(offsets, weights, strict=True):
        rate = response.shown(surfaces + noise_std * offset)
        mean += weight * rate
        square += weight * rate**2
    return mean, np.maximum(square - mean**2, 0.0)


def _terms(level: Values, weights: list[Values], names: tuple[str, ...]) -> dict[tuple[str, ...], Values]:
    """Variance of each main effect, each pair's interaction and all the rest, one value a draw.

    Args:
        level: (draws, nodes of the first value, nodes of the second, …).
        weights: Weights of the nodes of each value, which sum to 1.
        names: Names of the values.
    """
    count = len(names)
    closed = {kept: _closed(level, weights, kept) for size in (1, 2) for kept in combinations(range(count), size)}
    whole = _closed(level, weights, tuple(range(count)))
    terms: dict[tuple[str, ...], Values] = {(names[i],): closed[(i,)] for i in range(count)}
    for i, j in combinations(range(count), 2):
        terms[(names[i], names[j])] = np.maximum(closed[(i, j)] - closed[(i,)] - closed[(j,)], 0.0)
    if count > 2:
        terms[(HIGHER,)] = np.maximum(whole - sum(terms.values(), np.zeros(len(level))), 0.0)
    return terms


def _closed(level: Values, weights: list[Values], kept: tuple[int, ...]) -> Values:
    """Variance over the `kept` values of the mean over the others."""
    mean = level
    for axis in reversed(range(len(weights))):
        if axis not in kept:
            mean = np.tensordot(mean, weights[axis], axes=(axis + 1, 0))
    square = mean**2
    for axis in reversed(kept):
        mean = np.tensordot(mean, weights[axis], axes=(1 + kept.index(axis), 0))
        square = np.tensordot(square, weights[axis], axes=(1 + kept.index(axis), 0))
    return np.asarray(np.maximum(square - mean**2, 0.0))
