"""Angles from cosines, with gradients that stay finite where the angle is below what a cosine resolves.

d sin θ / d cos θ = −cot θ and dθ / d cos θ = −1/sin θ are infinite at θ = 0 and θ = π, where d cos θ / dx vanishes like
sin θ: the gradient with respect to an embedding is finite, but a product of infinity and rounding noise is not it.
A cosine of two computed vectors is known to a few rounding units ε, so sin²θ below 8ε (float32: 0.06°, float64: 4e-8
rad) is mostly noise. sin θ is therefore taken as it is down to sin²θ = 8ε and from there as sin²θ/√(8ε), a straight
line in sin²θ that reaches 0 at 0. The value is continuous and exact at both ends; the slope is exact down to there and
at most 2/√(8ε) (float32: 2,000) below; the gradient with respect to an embedding fades to 0 with θ and never exceeds
about twice the true one. Clamping the cosine itself (to 1 − 1e-7, say) would move the value, kill the gradient past the
clamp, and do nothing at all in float16.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def sine(cos: Tensor) -> Tensor:
    """sin θ ≥ 0 from cos θ; rounding past ±1 counts as ±1."""
    noise = 8.0 * torch.finfo(cos.dtype).eps
    sin_squared = ((1.0 - cos) * (1.0 + cos)).clamp_min(0.0)  # 1 − cos² would round at cos ≈ 1
    return sin_squared / sin_squared.clamp_min(noise).sqrt()


def angle(cos: Tensor) -> Tensor:
    """θ in [0, π] (radians) from cos θ."""
    return torch.atan2(sine(cos), cos)


def monotone_cosine(angle: Tensor) -> Tensor:
    """cos continued past π so that it keeps falling: ψ(φ) = (−1)^k cos φ − 2k, k = ⌊φ/π⌋.

    SphereFace (Liu et al., CVPR 2017) defines it piece by piece for φ = mθ; it is continuously differentiable, with
    ψ' = −|sin φ|.

    Args:
        angle: φ ≥ 0 in radians, any shape.
    """
    k = (angle.detach() / torch.pi).floor()
    sign = 1.0 - 2.0 * k.remainder(2.0)
    return sign * angle.cos() - 2.0 * k


def shifted_cosine(cos: Tensor, m: Tensor | float) -> Tensor:
    """cos(θ + m) as cos θ cos m − sin θ sin m: no arc cosine, no loss of precision.

    Args:
        cos: cos θ.
        m: Radians of any sign; a tensor may carry gradient.
    """
    if isinstance(m, Tensor):
        return cos * m.cos() - sine(cos) * m.sin()
    return cos * math.cos(m) - sine(cos) * math.sin(m)


def shifted_cosine_past_pi(cos: Tensor, m: Tensor | float, rule: str) -> Tensor:
    """cos(θ + m), and what stands for it where θ + m > π.

    Args:
        cos: cos θ.
        m: Radians in [0, π/2]; a tensor may carry gradient.
        rule: `monotone`: −cos(θ+m) − 2, which keeps falling and is continuously differentiable; `clamp`: −1; `wrap`:
            cos(θ+m) as it is; `linear`: cos θ − m·sin m, a step down; `easy`: as `wrap`, and cos θ itself where
            θ ≥ π/2, a step up.
    """
    shifted = shifted_cosine(cos, m)
    if rule == "wrap":
        return shifted
    if rule == "easy":
        return torch.where(cos > 0.0, shifted, cos)
    cos_m, sin_m = (m.cos(), m.sin()) if isinstance(m, Tensor) else (math.cos(m), math.sin(m))
    if rule == "linear":
        return torch.where(cos > -cos_m, shifted, cos - m * sin_m)
    past = torch.full_like(shifted, -1.0) if rule == "clamp" else -shifted - 2.0
    return torch.where(cos >= -cos_m, shifted, past)


def as_offset(function: Callable[[Tensor], Tensor], cos: Tensor) -> Tensor:
    """The function's value with slope 1: the margin as an offset that gradients do not see."""
    fixed = cos.detach()
    return cos + (function(fixed) - fixed)
