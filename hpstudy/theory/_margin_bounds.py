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

    Raises:
        InputError: If either is not a whole number of at least 2.
    """
    count, dims = int(checks.classes(num_classes)), int(checks.dimensions(dim))
    return 2 * math.sin(math.pi / count) ** 2 if dims == 2 else count / (count - 1)


def margin_upper_bound(num_classes: int, dim: int) -> float:
    """The largest m (a cosine) that every class can meet at its own centre: 1 − min_W max_{i≠j} W_i·W_j, or just above.

    The problem of spherical codes. Exact for C ≤ K+1 (simplex, C/(C−1)), for K+2 ≤ C ≤ 2K (exactly 1; Rankin), for
    K = 2 (1 − cos(2π/C)), for K = 3 at C = 3, 4, 6, 12 (Fejes Tóth) and wherever a code attains Levenshtein's bound or
    is proved optimal; elsewhere the tightest of these, an upper bound. For an angular margin the same limit is
    arccos(1 − m). CosFace's m ≪ C/(C−1) for C > K+1 is too pessimistic: at K = 512, C = 10575 the bound is 0.975.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.

    Raises:
        InputError: If either is not a whole number of at least 2.
    """
    return separation_bound(int(checks.classes(num_classes)), int(checks.dimensions(dim)))


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

    Raises:
        InputError: If `num_classes` is not a whole number of at least 2.
    """
    return 2 + math.sqrt(3) if int(checks.classes(num_classes)) == 2 else 3.0
