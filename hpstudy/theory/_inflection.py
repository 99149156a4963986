"""Where the target posterior is steepest, and the scale that AdaCos' own condition asks for."""

from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from hpstudy.theory import _checks as checks
from hpstudy.theory._checks import Floats
from hpstudy.theory._roots import bisect


@overload
def adacos_exact_scale(num_classes: float, theta: float) -> float: ...
@overload
def adacos_exact_scale(num_classes: ArrayLike, theta: ArrayLike) -> Floats: ...
def adacos_exact_scale(num_classes: ArrayLike, theta: ArrayLike) -> float | Floats:
    """The scale at which the target posterior is truly steepest at θ_0, or NaN where no scale does that.

    AdaCos (Zhang et al., CVPR 2019, arXiv:1905.00292) wants ∂²P/∂θ² = 0 at θ_0 with B = C−1, and approximates it by
    P(θ_0) = 1/2, hence s = log(C−1)/cos θ_0 (`adacos_fixed_scale` at π/4). The condition itself is
    s·sin²θ_0·(1 − 2P) = cos θ_0, which keeps P below 1/2. Of its two solutions this is the larger, the one near AdaCos'
    and below it: 2 % below for C = 10575 at 45°, 11 % for C = 100. For few classes or a small θ_0 there is none (C = 10
    at 45°), and none at π/2 or above.

    Args:
        num_classes: Number of classes C.
        theta: θ_0, the target angle (rad).

    Returns:
        s (dimensionless), NaN where there is no solution, in the broadcast shape of the arguments.

    Raises:
        InputError: If `num_classes` is not a whole number of at least 2 or `theta` is not in [0, π].
    """
    count, angle = np.broadcast_arrays(checks.classes(num_classes), checks.angles("theta", theta))
    log_b, cosine, sine = np.log(count - 1), np.cos(angle), np.sin(angle)
    possible = (cosine > 0) & (angle < np.pi / 2) & (sine > 0) & (log_b > 0)
    log_b = np.where(possible, log_b, 1.0)
    # With u = s·cos θ_0, since 1 − 2P = tanh((log B − u)/2): u·tanh((log B − u)/2) = cot²θ_0, 0 < u < log B.
    with np.errstate(over="ignore"):
        wanted = np.where(possible, (cosine / np.where(possible, sine, 1.0)) ** 2, np.inf)

    def less(product: Floats) -> Floats:
        return np.asarray(wanted - product * np.tanh((log_b - product) / 2))

    peak = bisect(lambda u: u - np.sinh(log_b - u), np.zeros(()), log_b)
    solvable = possible & (less(peak) <= 0)
    wanted = np.where(solvable, wanted, 0.0)
    product = bisect(less, peak, log_b)
    return checks.as_given(np.where(solvable, product / np.where(solvable, cosine, 1.0), np.nan))


@overload
def steepest_angle(scale: float, log_b: float) -> float: ...
@overload
def steepest_angle(scale: ArrayLike, log_b: ArrayLike) -> Floats: ...
def steepest_angle(scale: ArrayLike, log_b: ArrayLike) -> float | Floats:
    """The target angle (rad) at which the posterior falls fastest: the one root of s·sin²θ·(1 − 2P(θ)) = cos θ.

    P(θ) = e^{s cos θ}/(e^{s cos θ} + B) as in AdaCos (Zhang et al., CVPR 2019, arXiv:1905.00292), without a margin. The
    inverse of `adacos_exact_scale`: with that scale it is θ_0. With AdaCos' own, log(C−1)/cos θ_0, it is not: for
    C = 10 it stays above 53° however small θ_0 is. log |∂P/∂θ| is strictly concave in cos θ, so that there is exactly
    one such angle; it is π/2 at s = 0.

    Args:
        scale: Scale s.
        log_b: log B, log(C−1) where the other prototypes are at right angles.

    Returns:
        θ (rad) in (0, π), in the broadcast shape of the arguments.

    Raises:
        InputError: If `scale` is negative or not finite or `log_b` is not finite.
    """
    s, b = np.broadcast_arrays(checks.not_negative("scale", scale), checks.finite("log_b", log_b))

    def fallen(angle: Floats) -> Floats:
        cosine = np.cos(angle)
        return np.asarray(-cosine - s * np.sin(angle) ** 2 * np.tanh((s * cosine - b) / 2))

    return checks.as_given(bisect(fallen, np.zeros(()), np.full(s.shape, np.pi)))
