"""The posterior of a target class as a function of its angle."""

from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from hpstudy.exceptions import InputError
from hpstudy.theory import _checks as checks
from hpstudy.theory._checks import Floats

MarginKind = Literal["cosine", "angle", "factor"]


@overload
def target_posterior(theta: float, scale: float, margin: float, log_b: float, kind: MarginKind = "cosine") -> float: ...
@overload
def target_posterior(
    theta: ArrayLike, scale: ArrayLike, margin: ArrayLike, log_b: ArrayLike, kind: MarginKind = "cosine"
) -> Floats: ...
def target_posterior(
    theta: ArrayLike, scale: ArrayLike, margin: ArrayLike, log_b: ArrayLike, kind: MarginKind = "cosine"
) -> float | Floats:
    """The posterior of the target class at an angle: P = e^{s·g(θ)} / (e^{s·g(θ)} + B).

    AdaCos (Zhang et al., CVPR 2019, arXiv:1905.00292), with B = Σ_{j≠y} e^{s cos θ_j}; B is near C−1 when the
    other prototypes are at right angles. g is cos θ − m (`cosine`, CosFace), ψ(θ + m) (`angle`, ArcFace) or ψ(m·θ)
    (`factor`, SphereFace), where ψ(φ) = (−1)^k·cos φ − 2k with k = ⌊φ/π⌋ is the cosine continued past π, so that P
    falls everywhere.

    Args:
        theta: Target angle θ (rad).
        scale: Scale s.
        margin: Margin m: a cosine, an angle (rad) or a factor of at least 1. No margin is 0, and 1 for `factor`.
        log_b: log B.
        kind: What the margin acts on.

    Returns:
        P in [0, 1], in the broadcast shape of the arguments.

    Raises:
        InputError: If an argument is outside its range.
    """
    angle, s, b = checks.angles("theta", theta), checks.not_negative("scale", scale), checks.finite("log_b", log_b)
    cosine = _cosine_with_margin(angle, margin, kind)
    return checks.as_given(np.exp(-np.logaddexp(0.0, b - s * cosine)))


def _cosine_with_margin(theta: Floats, margin: ArrayLike, kind: MarginKind) -> Floats:
    if kind == "cosine":
        return np.cos(theta) - checks.not_negative("margin", margin)
    if kind == "angle":
        return falling_cosine(theta + checks.not_negative("margin", margin))
    if kind == "factor":
        return falling_cosine(theta * checks.factors("margin", margin))
    raise InputError(f"kind must be 'cosine', 'angle' or 'factor', but got {kind!r}")


def falling_cosine(angle: Floats) -> Floats:
    """ψ(φ) = (−1)^k·cos φ − 2k, k = ⌊φ/π⌋."""
    half_turns = np.floor(angle / np.pi)
    return np.where(half_turns % 2 == 0, 1.0, -1.0) * np.cos(angle) - 2 * half_turns
