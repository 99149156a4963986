"""Margin that follows the feature norm within the batch (AdaFace)."""

import torch
from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses._cosines import Targets
from hpstudy.losses.margins._angles import shifted_cosine
from hpstudy.losses.margins._base import Margin

_SHORTEST, _LONGEST = 1e-3, 100.0
_SMALLEST_DEVIATION = 1e-3


class AdaFaceMargin(Margin):
    """ψ = cos(clip(θ_y − m·ẑ, 0, π)) − (m + m·ẑ); AdaFace (Kim et al., CVPR 2022).

    ẑ = clip((a − μ)/(σ + 0.001)·h, −1, 1), where a is ‖x‖ clipped to [0.001, 100], without gradient, and μ and σ are
    running averages of its mean and standard deviation (unbiased) over the global batch, from 20 and 100, moved before
    use. Short features (ẑ = −1) have ArcFace's margin m in radians, average ones (0) CosFace's m, long ones (1) lose 2m
    and gain an angle m.

    The public code keeps all cosines, of non-targets too, 0.001 away from ±1 for the sake of its arc cosine; here there
    is none to protect. It also moves the averages when it is not training.

    Args:
        m: Margin, radians and cosine.
        h: How much of the spread of norms the margin uses, dimensionless; 0 is CosFace.
        t_alpha: Weight of the new batch in μ and σ. A batch of one sample leaves σ as it is.

    Raises:
        InputError: If a parameter is outside the catalogue's hard range.
    """

    name = "adaface"
    adaptive = True
    norm_mean: Tensor
    """μ, 0-d, float32."""
    norm_std: Tensor
    """σ, 0-d, float32."""

    def __init__(self, *, m: float, h: float, t_alpha: float) -> None:
        super().__init__()
        parameters = MARGINS[self.name].parameters
        self.m = parameters["m"].check(m)
        self.h = parameters["h"].check(h)
        self.t_alpha = parameters["t_alpha"].check(t_alpha)
        self.register_buffer("norm_mean", torch.tensor(20.0, dtype=torch.float32))
        self.register_buffer("norm_std", torch.tensor(100.0, dtype=torch.float32))

    def step(self, targets: Targets) -> None:
        """Move μ and σ."""
        norm_N = targets.norm_N.clamp(_SHORTEST, _LONGEST)
        self.norm_mean.lerp_(norm_N.mean().to(self.norm_mean.dtype), self.t_alpha)
        if len(norm_N) > 1:
            self.norm_std.lerp_(norm_N.std().to(self.norm_std.dtype), self.t_alpha)

    def forward(self, targets: Targets) -> Tensor:
        """ψ of the targets at their norms."""
        cos_N = targets.cos_N
        m_by_z_N = self.m * self.standardised_norm(targets.norm_N.detach())
        shifted_N = shifted_cosine(cos_N, -m_by_z_N)
        below_zero_N = (m_by_z_N > 0.0) & (cos_N > m_by_z_N.cos())
        past_pi_N = (m_by_z_N < 0.0) & (cos_N < -m_by_z_N.cos())
        clipped_N = torch.where(below_zero_N, 1.0, torch.where(past_pi_N, -1.0, shifted_N))
        return clipped_N - (self.m + m_by_z_N)

    def standardised_norm(self, norm_N: Tensor) -> Tensor:
        """ẑ in [−1, 1]."""
        deviation_N = norm_N.clamp(_SHORTEST, _LONGEST) - self.norm_mean
        spread = self.norm_std.to(norm_N.dtype) + _SMALLEST_DEVIATION
        return (deviation_N / spread * self.h).clamp(-1.0, 1.0)

    def extra_repr(self) -> str:
        """The parameters with their units."""
        return f"m={self.m:g} rad and cosine, h={self.h:g}, t_alpha={self.t_alpha:g}"
