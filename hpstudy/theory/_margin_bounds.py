"""Bounds on the margin m, from above by packing and from below by what a margin is for."""

import math
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from hpstudy.theory import _checks as checks
from hpstudy.theory._checks import Floats
from hpstudy.theory._spherical_codes import separation_bound


def cosface_margin_bound(num_classes: int, dim: int) -> float:
    """CosFace's own upper bound on m (a cosine): 1 − cos(2π/C) for K = 2, C/(C−1) above.

    CosFace (Wang et al., CVPR 2018, arXiv:1801.09414), eq. 7, for prototypes spread evenly. For K > 2 and C > K+1 the
    paper has only m ≪ C/(C−1) and says that it can't give the strict bound; C/(C−1) is returned there.
    `margin_upper_bound` is sharp or close to it everywhere.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.

    Returns:
        The bound on m (a cosine, in (0, 2]).

    Raises:
        InputError: If either is not a whole number of at least 2.
    """
    count, dims = checks.count("num_classes", num_classes, 2), checks.count("dim", dim, 2)
    return 2 * math.sin(math.pi / count) ** 2 if dims == 2 else count / (count - 1)


def margin_upper_bound(num_classes: int, dim: int) -> float:
    """The largest m (a cosine) that every class can meet at its own centre: 1 − min_W max_{i≠j} W_i·W_j, or just above.

    The problem of spherical codes, behind CosFace's eq. 7 (Wang et al., CVPR 2018, arXiv:1801.09414).

    - C ≤ K+1: C/(C−1), exact (simplex).
    - K = 2: 1 − cos(2π/C), exact (regular polygon).
    - K+2 ≤ C ≤ 2K: exactly 1 (Rankin; part of the cross-polytope).
    - K = 3: (4 − csc²(πC/(6(C−2))))/2 (Fejes Tóth's bound on the squared least distance, halved), exact for C = 3, 4,
      6, 12; and the solved cases of Tammes' problem, C = 7 … 14 and 24.
    - K ≥ 4: 1 − x where Levenshtein's bound L_τ(K, x) equals C; L_3(K, x) = K(1−x)(2+(K+1)x)/(1−Kx²). Exact where a
      code attains it.
    - Some single codes proved optimal below that: the 24-cell, the 600-cell, the Petersen code, Kerdock codes.

    Elsewhere an upper bound, the tightest of these; `margin_optimum` adds what is known from below. For an angular
    margin see `arcface_margin_upper_bound`. CosFace's m ≪ C/(C−1) for C > K+1 is too pessimistic: at K = 512, C = 10575
    the bound is 0.975.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.

    Returns:
        The bound on m (a cosine, in (0, 2]).

    Raises:
        InputError: If either is not a whole number of at least 2.
    """
    return separation_bound(checks.count("num_classes", num_classes, 2), checks.count("dim", dim, 2)).value


def arcface_margin_upper_bound(num_classes: int, dim: int) -> float:
    """The largest m (rad) that every class can meet at its own centre: the widest least angle, or just above.

    `margin_upper_bound` as an angle, arccos(1 − m): cos(0 + m) ≥ W_y·W_j is the same condition. At a simplex
    (C ≤ K+1) it is arccos(−1/(C−1)), on the circle (K = 2) 2π/C.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.

    Returns:
        The bound on m (rad, in (0, π]).

    Raises:
        InputError: If either is not a whole number of at least 2.
    """
    # arccos(1 − m) without the cancellation at small m.
    return 2 * math.asin(math.sqrt(min(margin_upper_bound(num_classes, dim) / 2, 1.0)))


@overload
def welch_cosine_bound(num_classes: float, dim: float) -> float: ...
@overload
def welch_cosine_bound(num_classes: ArrayLike, dim: ArrayLike) -> Floats: ...
def welch_cosine_bound(num_classes: ArrayLike, dim: ArrayLike) -> float | Floats:
    """Welch's bound: the root mean square of W_i·W_j over i ≠ j is at least √((C−K)/(K(C−1))), and 0 for C ≤ K.

    It bounds the size of the cosines, so also max |W_i·W_j|, but not the largest cosine: it is no bound on m
    (`margin_upper_bound` is). It bounds the spread of the non-target cosines, hence AdaCos' B_avg, from below: 0.043 at
    K = 512 and C = 10575. Compare `adacos_cosine_spread_limit`.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.

    Returns:
        A cosine in [0, 1), in the broadcast shape of the arguments.

    Raises:
        InputError: If either is not a whole number of at least 2.
    """
    count, dims = checks.classes(num_classes), checks.dimensions(dim)
    return checks.as_given(np.sqrt(np.maximum(count - dims, 0.0) / dims / (count - 1)))


@overload
def cosface_lower_margin(neighbour_angle: float) -> float: ...
@overload
def cosface_lower_margin(neighbour_angle: ArrayLike) -> Floats: ...
def cosface_lower_margin(neighbour_angle: ArrayLike) -> float | Floats:
    """The least CosFace margin (a cosine) that keeps each class tighter than the gap to the next: 2·sin(t/2)·sin(t/4).

    SphereFace's criterion (largest angle within a class ≤ least angle between classes) applied to cos θ_1 − m = cos θ_2
    for two prototypes at an angle t. The margin can be met at all only up to 1 − cos t.

    Args:
        neighbour_angle: t, the angle between neighbouring prototypes (rad).

    Returns:
        m (a cosine), in the shape of `neighbour_angle`.

    Raises:
        InputError: If the angle is not in [0, π].
    """
    t = checks.angles("neighbour_angle", neighbour_angle)
    return checks.as_given(2 * np.sin(t / 2) * np.sin(t / 4))


@overload
def arcface_lower_margin(neighbour_angle: float) -> float: ...
@overload
def arcface_lower_margin(neighbour_angle: ArrayLike) -> Floats: ...
def arcface_lower_margin(neighbour_angle: ArrayLike) -> float | Floats:
    """The least ArcFace margin (rad) that keeps each class tighter than the gap to the next: t/2.

    As `cosface_lower_margin`, for θ_1 + m = θ_2. The margin can be met at all only up to t.

    Args:
        neighbour_angle: t, the angle between neighbouring prototypes (rad).

    Returns:
        m (rad), in the shape of `neighbour_angle`.

    Raises:
        InputError: If the angle is not in [0, π].
    """
    return checks.as_given(checks.angles("neighbour_angle", neighbour_angle) / 2)


def sphereface_lower_margin(num_classes: int) -> float:
    """The least SphereFace margin (a factor) that keeps each class tighter than the gap: 2 + √3 for C = 2, else 3.

    SphereFace (Liu et al., CVPR 2017, arXiv:1704.08063): m² − 4m + 1 ≥ 0 for two classes; for many, spread evenly,
    2θ/(m+1) ≤ (m−1)θ/(m+1). There is no upper bound of this kind, because the margin vanishes with θ.

    Args:
        num_classes: Number of classes C.

    Returns:
        m (a factor).

    Raises:
        InputError: If `num_classes` is not a whole number of at least 2.
    """
    return 2 + math.sqrt(3) if checks.count("num_classes", num_classes, 2) == 2 else 3.0
