"""Dynamic AdaCos where some labels are wrong: the rule as published, and with the geometric mean of B."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hpstudy.theory import _checks as checks
from hpstudy.theory._adacos import adacos_fixed_points, adacos_fixed_scale
from hpstudy.theory._checks import Floats
from hpstudy.theory._fixed_points import AdaCosOutcome, FixedPoints, crossings, one_less_cosine
from hpstudy.theory._kernel import kernel_gap


def adacos_noisy_fixed_points(num_classes: int, dim: int, theta: float, noise: float, cosine: float) -> FixedPoints:
    """The fixed points of the dynamic AdaCos rule where a fraction ρ of the labels is wrong.

    AdaCos (Zhang et al., CVPR 2019, arXiv:1905.00292): s_t = log B_avg(s_{t−1}) / cos(min(π/4, θ_med)). A sample with a
    right label has C−1 non-target prototypes in independent uniform directions, B = (C−1)·A_K(s) (`log_kernel_mean`). A
    mislabelled one sits at its true class, which is one of its C−1 non-targets, at cosine c₋; the C−2 others are
    uniform, B = (C−2)·A_K(s) + e^{s·c₋}. Over both

        B_avg(s) = (C−1−ρ)·A_K(s) + ρ·e^{s·c₋}, which is C−1 at s = 0.

    log B_avg is convex, so that there are two roots, one or none. For c₋ ≥ cos θ more noise raises the stable root and
    lowers the unstable one until both are gone; alone, ρ·e^{s·c₋} has its root at log(1/ρ)/(c₋ − cos θ), which
    lies above the unstable one; for c₋ < cos θ it has none. ρ = 0 gives `adacos_fixed_points`. For C = 2 the rule rests
    at 0, where it starts; (0, 0) says that it would run away from any other scale.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.
        theta: θ_med, the median target angle (rad) over right and wrong labels; above π/4 the rule takes π/4. Below
            1e-8, where cos θ is 1 in float64, it is 0.
        noise: ρ, the fraction of samples whose label is another class.
        cosine: c₋, the cosine of a mislabelled sample with the prototype of its true class.

    Returns:
        The stable and the unstable root (dimensionless), None where there is none.

    Raises:
        InputError: If `num_classes` or `dim` is not a whole number of at least 2, `theta` is not in [0, π], `noise` not
            in [0, 1] or `cosine` not in [−1, 1].
    """
    rule = _rule(num_classes, dim, theta, noise, cosine)
    if rule.noise == 0:
        return adacos_fixed_points(num_classes, dim, theta)
    rest = rule.others - rule.noise
    log_rest, log_noise = math.log(rest) if rest > 0 else -math.inf, math.log(rule.noise)

    def surplus(scale: Floats) -> Floats:
        """s·cos θ − log B_avg(s), as s − log B_avg(s) less s·(1 − cos θ)."""
        at_random = log_rest - kernel_gap(rule.dims, scale)
        at_true_class = log_noise - scale * (1 - rule.cosine)
        return np.asarray(-np.logaddexp(at_random, at_true_class) - scale * rule.less)

    return rule.roots(surplus, (0.0 if rest > 0 else 1 - rule.cosine) - rule.less)


def adacos_geometric_fixed_points(num_classes: int, dim: int, theta: float, noise: float, cosine: float) -> FixedPoints:
    """The same for the rule that reads the geometric mean of B; it rests here or below.

    In `adacos_noisy_fixed_points` the arithmetic mean of B over samples gives way to the mean of their logarithms,

        log B = (1−ρ)·log((C−1)·A_K(s)) + ρ·log((C−2)·A_K(s) + e^{s·c₋}),

    so that a few mislabelled samples pull at s with their share alone, not with e^{s·c₋}. Among samples of one kind B
    still varies, and by Jensen's inequality the mean of log B_i lies below the log of their mean, which is what this
    takes: the rule rests at the stable root or below it, and may rest where this has none.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.
        theta: θ_med, the median target angle (rad); above π/4 the rule takes π/4.
        noise: ρ, the fraction of samples whose label is another class.
        cosine: c₋, the cosine of a mislabelled sample with the prototype of its true class.

    Returns:
        The stable and the unstable root (dimensionless), None where there is none.

    Raises:
        InputError: As `adacos_noisy_fixed_points`.
    """
    rule = _rule(num_classes, dim, theta, noise, cosine)
    if rule.noise == 0:
        return adacos_fixed_points(num_classes, dim, theta)
    log_others = math.log(rule.others)
    log_rest = math.log(rule.others - 1) if rule.others > 1 else -math.inf

    def surplus(scale: Floats) -> Floats:
        """s·cos θ − log B(s), as s − log B(s) less s·(1 − cos θ)."""
        gap = kernel_gap(rule.dims, scale)
        of_wrong = np.logaddexp(log_rest - gap, -scale * (1 - rule.cosine))
        of_right = log_others - gap
        return np.asarray(-(1 - rule.noise) * of_right - rule.noise * of_wrong - scale * rule.less)

    return rule.roots(surplus, (0.0 if rule.others > 1 else rule.noise * (1 - rule.cosine)) - rule.less)


def adacos_outcome(num_classes: int, dim: int, theta: float, noise: float, cosine: float) -> AdaCosOutcome:
    """Where s ← log B_avg(s) / cos θ goes from AdaCos' own start s₀ = √2·log(C−1), if θ stays where it is.

    It rests at the stable root of `adacos_noisy_fixed_points` unless there is none or s₀ lies above the unstable one.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.
        theta: θ_med, the median target angle (rad); above π/4, as at the start of training, the rule takes π/4.
        noise: ρ, the fraction of samples whose label is another class.
        cosine: c₋, the cosine of a mislabelled sample with the prototype of its true class.

    Returns:
        `rests` or `runs away`.

    Raises:
        InputError: As `adacos_noisy_fixed_points`.
    """
    points = adacos_noisy_fixed_points(num_classes, dim, theta, noise, cosine)
    return points.outcome(adacos_fixed_scale(num_classes))


class _Rule(NamedTuple):
    others: int
    """C−1."""
    dims: Floats
    less: float
    """1 − cos(min(π/4, θ))."""
    noise: float
    cosine: float

    def roots(self, surplus: Callable[[Floats], Floats], slope: float) -> FixedPoints:
        """Roots of a surplus whose slope in the end is `slope`."""
        if self.others == 1 and slope < 0 and self.noise * self.cosine >= 1 - self.less:
            return FixedPoints(0.0, 0.0)
        if self.others > 1 and self.noise == 1 and self.cosine == 1:  # B > e^s; beyond s of about 1e40 no float tells
            return FixedPoints(None, None)
        return crossings(surplus, 0.0, start_is_root=self.others == 1, falls=slope < 0)


def _rule(num_classes: int, dim: int, theta: float, noise: float, cosine: float) -> _Rule:
    return _Rule(
        others=checks.count("num_classes", num_classes, 2) - 1,
        dims=np.asarray(checks.count("dim", dim, 2), dtype=np.float64),
        less=one_less_cosine(checks.number("theta", checks.angles("theta", theta))),
        noise=checks.number("noise", checks.between("noise", noise, 0.0, 1.0, "[0, 1]")),
        cosine=checks.number("cosine", checks.between("cosine", cosine, -1.0, 1.0, "[−1, 1]")),
    )
