"""SphereFace2's answer to "is it this class?"."""

import numpy as np
from numpy.typing import ArrayLike

from hpstudy.theory import _checks as checks
from hpstudy.theory._checks import Floats


def sphereface2_bias(
    num_classes: ArrayLike, scale: ArrayLike, margin: ArrayLike, power: ArrayLike = 3.0, balance: ArrayLike = 0.7
) -> float | Floats:
    """The bias b at which SphereFace2 (Wen et al., ICLR 2022, arXiv:2108.01513) starts.

    There the loss is stationary in b while every cosine is 0: z·σ(−(a_y + b)) = σ(a_j + b) with the odds
    z = λ/((1−λ)(C−1)) and the logits without bias a_y = s(g(0) − m), a_j = s(g(0) + m). With u = e^{b + a_j} it is the
    positive root of e^{−2sm}·u² + (1−z)·u − z = 0.

    Args:
        num_classes: Number of classes C.
        scale: Scale s (r in the paper).
        margin: Margin m, a cosine.
        power: t in g(z) = 2·((z+1)/2)^t − 1, at least 1.
        balance: λ in (0, 1), the weight of the target against all others.

    Returns:
        b, in the broadcast shape of the arguments.

    Raises:
        InputError: If an argument is outside its range.
    """
    s, m = checks.not_negative("scale", scale), checks.not_negative("margin", margin)
    weight = checks.between("balance", balance, np.nextafter(0, 1), np.nextafter(1, 0), "(0, 1)")
    odds = weight / ((1 - weight) * (checks.classes(num_classes) - 1))
    # log(g + √(g² + r²)): the root in whichever of its two forms adds.
    with np.errstate(divide="ignore"):
        log_gap = np.log(np.abs(1 - odds))
    log_root = np.log(2) + 0.5 * np.log(odds) - s * m
    log_sum = np.logaddexp(log_gap, 0.5 * np.logaddexp(2 * log_gap, 2 * log_root))
    at_right_angle = _similarity(np.zeros(()), power)
    above = log_sum - np.log(2) - s * (at_right_angle - m)
    below = np.log(2 * odds) - log_sum - s * (at_right_angle + m)
    return checks.as_given(np.where(odds > 1, above, below))


def sphereface2_posterior(
    theta: ArrayLike,
    num_classes: ArrayLike,
    scale: ArrayLike,
    margin: ArrayLike,
    power: ArrayLike = 3.0,
    balance: ArrayLike = 0.7,
) -> float | Floats:
    """The probability that SphereFace2 gives the target class at an angle: P = σ(s(g(cos θ_y) − m) + b).

    Every class is a yes or no of its own, so that the other classes matter only through b, which is learned; this is
    its start, `sphereface2_bias`.

    Args:
        theta: Target angle θ_y (rad).
        num_classes: Number of classes C, for b.
        scale: Scale s (r in the paper).
        margin: Margin m, a cosine.
        power: t in g(z) = 2·((z+1)/2)^t − 1, at least 1.
        balance: λ in (0, 1), for b.

    Returns:
        P in [0, 1], in the broadcast shape of the arguments.

    Raises:
        InputError: If an argument is outside its range.
    """
    similarity = _similarity(np.cos(checks.angles("theta", theta)), power)
    b = sphereface2_bias(num_classes, scale, margin, power, balance)
    s, m = checks.not_negative("scale", scale), checks.not_negative("margin", margin)
    return checks.as_given(np.exp(-np.logaddexp(0.0, -(s * (similarity - m) + b))))


def _similarity(cosine: Floats, power: ArrayLike) -> Floats:
    """g(z) = 2·((z+1)/2)^t − 1."""
    return 2 * ((cosine + 1) / 2) ** checks.factors("power", power) - 1
