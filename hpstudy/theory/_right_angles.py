"""The posterior of a target class against its angle, under each margin, where all other angles are right."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from hpstudy.exceptions import InputError
from hpstudy.theory import _checks as checks
from hpstudy.theory._checks import Floats
from hpstudy.theory._posterior import falling_cosine

_Psi: TypeAlias = Callable[..., tuple[Floats, Floats | float]]
"""From θ_y and a margin's parameters to the logits over s, of the target and of every other class."""


def right_angle_posterior(
    theta: ArrayLike, num_classes: ArrayLike, scale: ArrayLike, margin: str = "none", **values: float | str
) -> float | Floats:
    """The posterior of the target class at an angle, with every other prototype at a right angle to the feature.

    P = 1/(1 + (C−1)·e^{s(ψ_j − ψ_y)}), with ψ_y and ψ_j the logits over s of the target and of each other class. The
    right angle leaves ψ_j = 0 except that `divided_angle` has cos(π/(2m)), `circle` −m², and `mv_cosine` and `mv_angle`
    t where the margined target falls below 0 (`curricular` weighs such a cosine of 0 as well, but it stays 0).

    Margins with a state: `adaface` is that of features of average norm (ẑ = 0), `magface` that of norms up to l_a,
    `annealed_multiplicative_angle` the end of the annealing (λ = λ_min).

    Args:
        theta: Target angle θ_y (rad).
        num_classes: Number of classes C.
        scale: Scale s.
        margin: Name of the margin in the catalogue.
        values: Its parameters, one number each, and its option `past_pi` (left out: `monotone`); what has no bearing on
            P may be left out or given.

    Returns:
        P in [0, 1], in the broadcast shape of the first three arguments.

    Raises:
        InputError: If one of these is outside its range, or there is no such margin or `past_pi`.
    """
    angle, s = checks.angles("theta", theta), checks.not_negative("scale", scale)
    log_others = np.log(checks.classes(num_classes) - 1)
    if margin not in PSI:
        raise InputError(f"margin must be one of {', '.join(PSI)}, but got {margin!r}")
    target, other = PSI[margin](angle, **values)
    return checks.as_given(np.exp(-np.logaddexp(0.0, log_others + s * (other - target))))


def _shifted_cosine(theta: Floats, m: float, past_pi: str) -> Floats:
    """cos(θ + m), and what stands for it past π."""
    shifted = np.cos(theta + m)
    past = theta + m > np.pi
    match past_pi:
        case "monotone":
            return falling_cosine(theta + m)
        case "clamp":
            return np.where(past, -1.0, shifted)
        case "wrap":
            return shifted
        case "linear":
            return np.where(past, np.cos(theta) - m * np.sin(m), shifted)
        case "easy":
            return np.where(theta < np.pi / 2, shifted, np.cos(theta))
    raise InputError(f"past_pi must be one of clamp, easy, linear, monotone, wrap, but got {past_pi!r}")


def _none(theta: Floats) -> tuple[Floats, float]:
    return np.cos(theta), 0.0


def _additive_cosine(theta: Floats, *, m: float) -> tuple[Floats, float]:
    return np.cos(theta) - m, 0.0


def _additive_angle(theta: Floats, *, m: float, past_pi: str = "monotone", **_: object) -> tuple[Floats, float]:
    return _shifted_cosine(theta, m, past_pi), 0.0


def _multiplicative_angle(theta: Floats, *, m: float, past_pi: str = "monotone", **_: object) -> tuple[Floats, float]:
    if past_pi not in ("clamp", "monotone"):
        raise InputError(f"past_pi must be clamp or monotone, but got {past_pi!r}")
    return falling_cosine(m * theta) if past_pi == "monotone" else np.cos(np.minimum(m * theta, np.pi)), 0.0


def _annealed(theta: Floats, *, m: float, lambda_min: float, **_: object) -> tuple[Floats, float]:
    return (lambda_min * np.cos(theta) + falling_cosine(m * theta)) / (1 + lambda_min), 0.0


def _divided_angle(theta: Floats, *, m: float, **_: object) -> tuple[Floats, float]:
    return np.cos(theta), float(np.cos(np.pi / 2 / m))


def _combined(theta: Floats, *, m1: float, m2: float, m3: float) -> tuple[Floats, float]:
    return falling_cosine(m1 * theta + m2) - m3, 0.0


def _adaface(theta: Floats, *, m: float, **_: object) -> tuple[Floats, float]:
    return _additive_cosine(theta, m=m)


def _magface(theta: Floats, *, l_m: float, past_pi: str = "monotone", **_: object) -> tuple[Floats, float]:
    return _additive_angle(theta, m=l_m, past_pi=past_pi)


def _mv_cosine(theta: Floats, *, m: float, t: float) -> tuple[Floats, Floats]:
    target = np.cos(theta) - m
    return target, np.where(target < 0, t, 0.0)


def _mv_angle(theta: Floats, *, m: float, t: float, past_pi: str = "monotone") -> tuple[Floats, Floats]:
    return _shifted_cosine(theta, m, past_pi), np.where(np.cos(theta + m) < 0, t, 0.0)


def _circle(theta: Floats, *, m: float) -> tuple[Floats, float]:
    cosine = np.cos(theta)
    return np.maximum(1 + m - cosine, 0) * (cosine - 1 + m), -m * m


PSI: Mapping[str, _Psi] = {
    "none": _none,
    "additive_cosine": _additive_cosine,
    "additive_angle": _additive_angle,
    "multiplicative_angle": _multiplicative_angle,
    "annealed_multiplicative_angle": _annealed,
    "divided_angle": _divided_angle,
    "combined": _combined,
    "adaface": _adaface,
    "magface": _magface,
    "curricular": _additive_angle,
    "mv_cosine": _mv_cosine,
    "mv_angle": _mv_angle,
    "circle": _circle,
}
