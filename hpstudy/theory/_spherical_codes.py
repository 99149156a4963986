"""How far apart C unit vectors in R^K can stand: bounds on the least possible largest cosine."""

import math
from typing import NamedTuple

import numpy as np

from hpstudy.theory._checks import Floats
from hpstudy.theory._known_codes import KNOWN_CODES
from hpstudy.theory._roots import bisect


class SeparationBound(NamedTuple):
    """An upper bound on 1 − max_{i≠j} W_i·W_j, and whose result it is."""

    value: float
    source: str


def separation_bound(num_classes: int, dim: int) -> SeparationBound:
    """An upper bound on 1 − max_{i≠j} W_i·W_j over unit W_1 … W_C in R^K: the tightest of those that apply."""
    if num_classes <= dim + 1:
        return SeparationBound(num_classes / (num_classes - 1), "simplex")
    if dim == 2:
        return SeparationBound(2 * math.sin(math.pi / num_classes) ** 2, "regular polygon")
    if num_classes <= 2 * dim:
        return SeparationBound(1.0, "Rankin")
    if dim == 3:
        general = SeparationBound(_fejes_toth(num_classes), "Fejes Tóth")
    else:
        general = SeparationBound(min(_levenshtein(num_classes, dim), 1.0), "Levenshtein")
    # More classes than an optimal code has are no further apart.
    known = (code for code in KNOWN_CODES if code.dim == dim and num_classes >= code.num_classes)
    return min([general, *(SeparationBound(code.separation, code.source) for code in known)], key=lambda b: b.value)


def _fejes_toth(num_classes: int) -> float:
    """Fejes Tóth: some two of C points on the sphere are at most √(4 − csc² ω) apart, ω = πC/(6(C−2))."""
    # With ω = π/6 + δ, because 4 − csc² ω loses its digits as C grows.
    delta = math.pi / (3 * (num_classes - 2))
    sine = math.sin(math.pi / 6 + delta)
    twice_sine_less_one = math.sqrt(3) * math.sin(delta) - 2 * math.sin(delta / 2) ** 2
    return twice_sine_less_one * (2 * sine + 1) / sine**2 / 2


def _levenshtein(num_classes: int, dim: int) -> float:
    """Levenshtein's bound: C ≤ L_τ(K, x) for every code with largest cosine x, solved for x.

    L_τ holds between the largest zeros of two Jacobi polynomials, and there runs from D(K, τ) to D(K, τ+1), the sizes
    that a τ- and a (τ+1)-design must have (Delsarte, Goethals, Seidel), so that C itself tells which τ applies.
    """
    degree = 1
    while _design_size(dim, degree + 1) <= num_classes:
        degree += 1
    k = (degree + 1) // 2
    odd = degree % 2 == 1
    low = _largest_zero(k - 1 if odd else k, dim, symmetric=odd)
    high = _largest_zero(k, dim, symmetric=not odd)

    def lacking(cosine: Floats) -> Floats:
        polynomials = _gegenbauer(k + 1, dim, float(cosine))
        return np.asarray(_levenshtein_size(polynomials, k, dim, float(cosine), odd=odd) - num_classes)

    return 1 - float(bisect(lacking, np.asarray(low), np.asarray(high)))


def _levenshtein_size(polynomials: list[float], k: int, dim: int, cosine: float, *, odd: bool) -> float:
    """L_{2k−1}(K, x) if `odd`, else L_{2k}(K, x)."""
    lower, upper = (polynomials[k - 1], polynomials[k]) if odd else (polynomials[k], polynomials[k + 1])
    if odd:
        ratio = (lower - upper) / ((1 - cosine) * upper)
        return math.comb(k + dim - 3, k - 1) * ((2 * k + dim - 3) / (dim - 1) - ratio)
    ratio = (1 + cosine) * (lower - upper) / ((1 - cosine) * (lower + upper))
    return math.comb(k + dim - 2, k) * ((2 * k + dim - 1) / (dim - 1) - ratio)


def _design_size(dim: int, degree: int) -> int:
    """The least size of a spherical design of that degree in R^dim."""
    k = (degree + 1) // 2
    if degree % 2 == 1:
        return 2 * math.comb(dim + k - 2, dim - 1)
    return math.comb(dim + k - 1, dim - 1) + math.comb(dim + k - 2, dim - 1)


def _gegenbauer(degree: int, dim: int, x: float) -> list[float]:
    """P_0 … P_degree at x, the polynomials orthogonal on the sphere in R^dim with P_i(1) = 1."""
    values = [1.0, x]
    for i in range(1, degree):
        values.append(((2 * i + dim - 2) * x * values[i] - i * values[i - 1]) / (i + dim - 2))
    return values


def _largest_zero(degree: int, dim: int, *, symmetric: bool) -> float:
    """The largest zero of the Jacobi polynomial of that degree with parameters (K−1)/2 and (K−1 or K−3)/2.

    An eigenvalue of the matrix of its recurrence (Golub and Welsch).
    """
    if degree == 0:
        return -1.0
    a = (dim - 1) / 2
    b = a if symmetric else (dim - 3) / 2
    n = np.arange(degree, dtype=np.float64)
    total = 2 * n + a + b
    diagonal = (b * b - a * a) / (total * (total + 2)) if not symmetric else np.zeros(degree)
    n, total = n[1:], total[1:]
    square = 4 * n * (n + a) * (n + b) * (n + a + b) / (total**2 * (total + 1) * (total - 1))
    off = np.sqrt(square)
    return float(np.linalg.eigvalsh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))[-1])
