"""The mean of e^{s cos θ} over the sphere, which every dimension-aware statement rests on."""

import math
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from hpstudy.theory import _checks as checks
from hpstudy.theory._checks import Floats

# Where √(ν² + s²) reaches this, five terms of Debye's expansion are good to 1e-13.
_FAR = 100.0
# Where s/√(ν+1) is at most this, the series needs few terms and keeps the relative precision of a small log A.
_SMALL = 20.0
_SERIES_TERMS = 260
_NEGLIGIBLE = 2.0**-60

_lgamma = np.vectorize(math.lgamma, otypes=[np.float64])


@overload
def log_kernel_mean(dim: float, scale: float) -> float: ...
@overload
def log_kernel_mean(dim: ArrayLike, scale: ArrayLike) -> Floats: ...
def log_kernel_mean(dim: ArrayLike, scale: ArrayLike) -> float | Floats:
    """log A_K(s), the logarithm of the mean of e^{s cos θ} over directions spread evenly on the unit sphere in R^K.

    A_K(s) = Γ(K/2)·(2/s)^{K/2−1}·I_{K/2−1}(s). (C−1)·A_K(s) is what AdaCos' B_avg becomes when the prototypes of the
    other classes are spread evenly, and C²·A_K(s) is the least that Σ_{i,j} e^{s W_i·W_j} can be for unit W.

    The Bessel function itself underflows in the range that matters (I_255(9) < 1e-300), so log A_K comes from its power
    series near the origin and from Debye's uniform expansion elsewhere; neither overflows.

    Args:
        dim: Embedding dimension K.
        scale: Scale s.

    Returns:
        log A_K(s) in [0, s], in the broadcast shape of the arguments.

    Raises:
        InputError: If `dim` is not a whole number of at least 2 or `scale` is negative or not finite.
    """
    dims, scales = checks.dimensions(dim), checks.not_negative("scale", scale)
    return checks.as_given(_log_mean(dims, scales, gap=False))


def kernel_gap(dim: Floats, scale: Floats) -> Floats:
    """s − log A_K(s) for checked arrays, without the cancellation at large s."""
    return _log_mean(dim, scale, gap=True)


def _log_mean(dim: Floats, scale: Floats, *, gap: bool) -> Floats:
    order, scale = np.broadcast_arrays(dim / 2 - 1, scale)
    far = (np.hypot(order, scale) >= _FAR) & (scale > _SMALL * np.sqrt(order + 1))
    near_log = _series(np.where(far, 0.0, order), np.where(far, 0.0, scale))
    radius_excess, rest = _debye(np.where(far, order, 0.0), np.where(far, scale, _FAR))
    if gap:
        order_part = order * (1 - order / np.where(far, scale + np.hypot(order, scale), 1.0))
        return np.where(far, order_part - rest, scale - near_log)
    return np.where(far, radius_excess + rest, near_log)


def _series(order: Floats, scale: Floats) -> Floats:
    """log of Σ_k (s²/4)^k / (k!·(K/2)_k)."""
    quarter = scale * scale / 4
    term = np.ones_like(quarter)
    total = np.zeros_like(quarter)
    for k in range(1, _SERIES_TERMS):
        term = term * quarter / (k * (order + k))
        total = total + term
        if (term <= _NEGLIGIBLE * total).all():
            break
    return np.log1p(total)


def _debye(order: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """log A_K(s) as (r − ν) and the rest, with ν = K/2 − 1 and r = √(ν² + s²).

    I_ν(s) ~ e^r·(s/(ν+r))^ν/√(2πr)·Σ_k u_k(ν/r)/ν^k (DLMF 10.41.3). Where ν is large the same sum at s = 0 takes the
    place of Γ(ν+1), so that nothing large cancels.
    """
    radius = np.hypot(order, scale)
    excess = scale * (scale / (radius + order))
    large = order >= _FAR
    safe = np.where(large, order, 1.0)
    rest_large = -safe * np.log1p(excess / (2 * safe)) - np.log(radius / safe) / 2 - _debye_sum(1.0 / safe, np.ones(()))
    rest_small = (
        order + _lgamma(order + 1) + order * np.log(2 / (order + radius)) - np.log(2 * np.pi * radius) / 2
        if not large.all()
        else rest_large
    )
    return excess, np.where(large, rest_large, rest_small) + _debye_sum(1.0 / radius, (order / radius) ** 2)


def _debye_sum(inverse: Floats, squared: Floats) -> Floats:
    """log Σ_{k≤5} u_k(t)/ν^k with `inverse` = 1/r and `squared` = t² = (ν/r)² (DLMF 10.41.10)."""
    t = squared
    return np.log1p(
        inverse * (3 - 5 * t) / 24
        + inverse**2 * (81 + t * (-462 + 385 * t)) / 1152
        + inverse**3 * (30375 + t * (-369603 + t * (765765 - 425425 * t))) / 414720
        + inverse**4 * (4465125 + t * (-94121676 + t * (349922430 + t * (-446185740 + 185910725 * t)))) / 39813120
        + inverse**5
        * (
            1519035525
            + t * (-49286948607 + t * (284499769554 + t * (-614135872350 + t * (566098157625 - 188699385875 * t))))
        )
        / 6688604160
    )
