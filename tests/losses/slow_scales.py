"""The scales that adapt, as their rules read: s after the batch from s before it, in float64."""

import math

from slow_reference import Array, cosines, log_sum_exp, mean


def adacos_fixed_scale(num_classes: int) -> float:
    return math.sqrt(2) * math.log(num_classes - 1)


def log_b_of_samples(x: Array, w: Array, y: Array, s: float) -> list[float]:
    return [
        log_sum_exp([s * c for j, c in enumerate(cos) if j != label])
        for cos, label in zip(cosines(x, w), y, strict=True)
    ]


def theta_med(x: Array, w: Array, y: Array) -> float:
    """Lower median of the target angles."""
    angles = sorted(math.acos(cos[label]) for cos, label in zip(cosines(x, w), y, strict=True))
    return angles[(len(angles) - 1) // 2]


def adacos_log_b(x: Array, w: Array, y: Array, s: float) -> float:
    return log_sum_exp(log_b_of_samples(x, w, y, s)) - math.log(len(y))


def adacos_scale(x: Array, w: Array, y: Array, *, s: float) -> float:
    return adacos_log_b(x, w, y, s) / math.cos(min(math.pi / 4, theta_med(x, w, y)))


def adacos_geometric_scale(x: Array, w: Array, y: Array, *, s: float) -> float:
    return mean(log_b_of_samples(x, w, y, s)) / math.cos(min(math.pi / 4, theta_med(x, w, y)))


def adacos_capped_scale(x: Array, w: Array, y: Array, *, s: float, cap: float) -> float:
    return min(cap, adacos_scale(x, w, y, s=s))


def adacos_ema_scale(
    x: Array,
    w: Array,
    y: Array,
    *,
    s: float,
    log_b: float,
    theta: float,
    momentum: float = 0.95,
    clamp_first: bool = True,
) -> tuple[float, float, float]:
    """(s, averaged log B, averaged θ_med) after the batch; from log(C − 1) and π/4, which give the published s₀."""
    angle = theta_med(x, w, y)
    log_b = momentum * log_b + (1 - momentum) * adacos_log_b(x, w, y, s)
    theta = momentum * theta + (1 - momentum) * (min(math.pi / 4, angle) if clamp_first else angle)
    return log_b / math.cos(min(math.pi / 4, theta)), log_b, theta
