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
