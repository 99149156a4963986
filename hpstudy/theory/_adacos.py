"""AdaCos: its fixed scale, and where the dynamic rule comes to rest."""

import math
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from hpstudy.theory import _checks as checks
from hpstudy.theory._checks import Floats
from hpstudy.theory._fixed_points import FixedPoints, crossings, one_less_cosine
from hpstudy.theory._kernel import kernel_gap


@overload
def adacos_fixed_scale(num_classes: float) -> float: ...
@overload
def adacos_fixed_scale(num_classes: ArrayLike) -> Floats: ...
def adacos_fixed_scale(num_classes: ArrayLike) -> float | Floats:
    """AdaCos' fixed scale and the start of the dynamic one: s = √2·log(C−1).

    AdaCos (Zhang et al., CVPR 2019, arXiv:1905.00292): log B / cos θ at θ = π/4 with B = C−1. It is 0 for C = 2, where
    nothing can be learnt with it.

    Args:
        num_classes: Number of classes C.

    Returns:
        s (dimensionless), in the shape of `num_classes`.

    Raises:
        InputError: If `num_classes` is not a whole number of at least 2.
    """
    return checks.as_given(math.sqrt(2) * np.log(checks.classes(num_classes) - 1))


@overload
def adacos_collapse_limit(num_classes: float) -> float: ...
@overload
def adacos_collapse_limit(num_classes: ArrayLike) -> Floats: ...
def adacos_collapse_limit(num_classes: ArrayLike) -> float | Floats:
    """Where the dynamic scale ends on a collapsed, balanced training set with C ≤ K+1: (C−1)/C·log(C−1).

    Every feature is then at its prototype and the prototypes form a simplex, so that log B = log(C−1) − s/(C−1) and
    s = log B has this one solution: CosFace's eq. 6 at P_W = 1/2. The training loss ends at ln 2.

    Args:
        num_classes: Number of classes C.

    Returns:
        s (dimensionless), in the shape of `num_classes`.

    Raises:
        InputError: If `num_classes` is not a whole number of at least 2.
    """
    count = checks.classes(num_classes)
    return checks.as_given((count - 1) / count * np.log(count - 1))


def adacos_fixed_points(num_classes: int, dim: int, theta: float) -> FixedPoints:
    """The fixed points of the dynamic AdaCos rule among evenly spread classes: s·cos θ = log(C−1) + log A_K(s).

    AdaCos (Zhang et al., CVPR 2019, arXiv:1905.00292): s_t = log B_avg(s_{t−1}) / cos(min(π/4, θ_med)), with
    B_avg = (C−1)·A_K(s) (`log_kernel_mean`) for features and prototypes in independent uniform directions. log A_K is
    convex, so there are two roots, one or none.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.
        theta: θ_med, the median target angle (rad); above π/4 the rule takes π/4. Below 1e-8, where cos θ is 1 in
            float64, it is 0.

    Returns:
        The stable and the unstable root (dimensionless), None where there is none.

    Raises:
        InputError: If `num_classes` or `dim` is not a whole number of at least 2 or `theta` is not in [0, π].
    """
    log_rest = math.log(checks.count("num_classes", num_classes, 2) - 1)
    dims = np.asarray(checks.count("dim", dim, 2), dtype=np.float64)
    less = one_less_cosine(checks.number("theta", checks.angles("theta", theta)))

    def surplus(scale: Floats) -> Floats:
        """s·cos θ − log(C−1) − log A_K(s)."""
        return np.asarray(kernel_gap(dims, scale) - scale * less - log_rest)

    # log A_K ≥ 0, so that no root lies below log(C−1).
    return crossings(surplus, log_rest, start_is_root=log_rest == 0, falls=less > 0)


@overload
def adacos_cosine_spread_limit(num_classes: float, theta: float) -> float: ...
@overload
def adacos_cosine_spread_limit(num_classes: ArrayLike, theta: ArrayLike) -> Floats: ...
def adacos_cosine_spread_limit(num_classes: ArrayLike, theta: ArrayLike) -> float | Floats:
    """The standard deviation of non-target cosines above which the dynamic rule is estimated to run away.

    With log B ≈ log(C−1) + s²σ²/2 (normally distributed cosines of mean 0) the rule has a fixed point only if
    σ ≤ cos(min(π/4, θ_med)) / √(2·log(C−1)). An estimate, and a cautious one: log A_K(s) lies below s²/2K.
    For random prototypes σ² = 1/K.

    Args:
        num_classes: Number of classes C, at least 3.
        theta: θ_med, the median target angle (rad).

    Returns:
        σ (a cosine), in the broadcast shape of the arguments.

    Raises:
        InputError: If `num_classes` is not a whole number of at least 3 or `theta` is not in [0, π].
    """
    count, angle = checks.classes(num_classes, minimum=3), checks.angles("theta", theta)
    return checks.as_given(np.cos(np.minimum(angle, math.pi / 4)) / np.sqrt(2 * np.log(count - 1)))
