"""Where two classes part: the angle to the second prototype at which a feature meets the first one's margin."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from hpstudy.exceptions import InputError
from hpstudy.theory import _checks as checks
from hpstudy.theory._checks import Floats
from hpstudy.theory._right_angles import PSI

_KEEPS_COSINES = (
    "none",
    "additive_cosine",
    "additive_angle",
    "multiplicative_angle",
    "annealed_multiplicative_angle",
    "combined",
    "adaface",
    "magface",
    "mv_cosine",
    "mv_angle",
)
"""Margins whose other logit over s is cos θ_j, at least where the margin is just met."""


def decision_boundary(margin: str, theta1: ArrayLike, **values: float | str) -> float | Floats:
    """The angle to prototype 2 on the boundary that class 1 is held to: ψ_y(θ_1) = ψ_j(θ_2), two classes.

    SphereFace (Liu et al., CVPR 2017), CosFace (Wang et al., CVPR 2018) and ArcFace (Deng et al., CVPR 2019) picture
    their margins so: a feature of class 1 meets the margin where θ_2 is this angle or more, one of class 2 where
    θ_1 ≥ `decision_boundary(margin, θ_2)`, and between the two boundaries neither class is satisfied. The scale
    cancels, and so does the norm of the feature. θ_2 is θ_1 without a margin, arccos(cos θ_1 − m) for
    `additive_cosine`, θ_1 + m for `additive_angle`, m·θ_1 for `multiplicative_angle` and `divided_angle`, and
    arccos(cos(m1·θ_1 + m2) − m3) for `combined`, as long as these angles are at most π. θ_1 and θ_2 are taken as free,
    though prototypes at an angle φ allow only |θ_1 − θ_2| ≤ φ ≤ θ_1 + θ_2.

    Margins with a state are as in `right_angle_posterior`. Those of MV-softmax weigh a non-target from where it passes
    the margined target, so that their boundaries are CosFace's and ArcFace's.

    Args:
        margin: One of `DECISION_MARGINS`, names in the catalogue.
        theta1: θ_1, the angle to the own prototype (rad).
        values: The margin's parameters, one number each, and its option `past_pi` (left out: `monotone`).

    Returns:
        θ_2 (rad) in [0, π], NaN where no feature at θ_1 meets the margin, in the shape of `theta1`.

    Raises:
        InputError: If `theta1` is not in [0, π], or there is no such margin or `past_pi`.
    """
    angle = checks.angles("theta1", theta1)
    if margin not in _OTHER:
        raise InputError(f"margin must be one of {', '.join(_OTHER)}, but got {margin!r}")
    target, _ = PSI[margin](angle, **values)
    return checks.as_given(_OTHER[margin](target, **values))


def softmax_boundary(theta1: ArrayLike, norm_ratio: float) -> float | Floats:
    """The angle to prototype 2 where softmax parts two classes: ‖W_1‖·cos θ_1 = ‖W_2‖·cos θ_2, without biases.

    Both classes share it, whatever the norm of the feature. With equal norms, as in modified softmax, it is θ_1
    (SphereFace, Liu et al., CVPR 2017).

    Args:
        theta1: θ_1 (rad).
        norm_ratio: ‖W_1‖/‖W_2‖.

    Returns:
        θ_2 (rad), NaN where class 1 wins (θ_1 < π/2) or loses whatever θ_2 is, in the shape of `theta1`.

    Raises:
        InputError: If an argument is outside its range.
    """
    ratio = checks.number("norm_ratio", checks.not_negative("norm_ratio", norm_ratio))
    return checks.as_given(_angle_of(ratio * np.cos(checks.angles("theta1", theta1))))


def _angle_of(cosine: Floats, **_: object) -> Floats:
    """arccos, NaN where nothing has this cosine; rounding past ±1 counts as ±1."""
    rounded = np.where(np.abs(np.abs(cosine) - 1) < 1e-12, np.sign(cosine), cosine)
    possible = np.abs(rounded) <= 1
    return np.where(possible, np.arccos(np.where(possible, rounded, 0.0)), np.nan)


def _multiplied_angle(cosine: Floats, *, m: float, **_: object) -> Floats:
    """θ_2 of cos(θ_2/m), NaN beyond π."""
    angle = m * _angle_of(cosine)
    return np.where(angle <= np.pi * (1 + 1e-12), np.minimum(angle, np.pi), np.nan)


_OTHER: Mapping[str, Callable[..., Floats]] = {
    **dict.fromkeys(_KEEPS_COSINES, _angle_of),
    "divided_angle": _multiplied_angle,
}
"""From the logit over s of another class to its angle."""

DECISION_MARGINS = tuple(_OTHER)
"""Margins that `decision_boundary` knows."""
