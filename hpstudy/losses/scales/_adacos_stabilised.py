"""Dynamic AdaCos that does not run away. Shapes: N samples."""

import math
from abc import abstractmethod
from typing import Any, Self

import torch
from torch import Tensor

from hpstudy.catalog import SCALES
from hpstudy.losses.scales._adacos_dynamic import dynamic_scale, log_mean_exp
from hpstudy.losses.scales._adacos_fixed import initial_scale
from hpstudy.losses.scales._base import BufferedScale, TargetStatistics


class StabilisedScale(BufferedScale):
    """AdaCos's rule with a ceiling: s_t ≤ cap·√2·log(C − 1).

    Where a few classes or few dimensions leave no fixed point, s grows without limit whatever is averaged, so that
    every stabilised rule keeps the ceiling. Published rule: `AdaCosDynamicScale`.

    Args:
        num_classes: C.
        cap: Largest s in units of the fixed scale √2·log(C − 1).

    Raises:
        InputError: If C < 3 or a parameter is outside the catalogue's hard range.
    """

    adaptive = True

    def __init__(self, *, num_classes: int, cap: float) -> None:
        self._fixed = initial_scale(num_classes)
        super().__init__(self._fixed)
        self.cap = SCALES[self.name].parameters["cap"].check(cap)

    @classmethod
    def for_classes(cls, num_classes: int, num_here: int, **params: Any) -> Self:
        """The scale for C classes."""
        del num_here
        return cls(num_classes=num_classes, **params)

    @abstractmethod
    def rule(self, batch: TargetStatistics) -> Tensor:
        """s_t before the ceiling, 0-d."""

    def step(self, batch: TargetStatistics) -> None:
        """Set s from one batch; a NaN stays one, for the trainer to see."""
        self.value.copy_(self.rule(batch).clamp_max(self.cap * self._fixed))

    def extra_repr(self) -> str:
        """The current value and the ceiling."""
        return f"{super().extra_repr()}, cap={self.cap:g}"


class AdaCosCappedScale(StabilisedScale):
    """s_t = min(log B_avg(s_{t−1}) / cos(min(π/4, θ_med)), cap·√2·log(C − 1)); the capped s goes into the next B."""

    name = "adacos_capped"

    def rule(self, batch: TargetStatistics) -> Tensor:
        """AdaCos's rule."""
        return dynamic_scale(log_b_avg=log_mean_exp(batch.log_b_N), theta_med=torch.median(batch.theta_target_N))


class AdaCosGeometricScale(StabilisedScale):
    """AdaCos with the geometric mean of B: s_t = (1/N)·Σ_i log B_i(s_{t−1}) / cos(min(π/4, θ_med)), capped.

    log B_avg is a log-mean-exp over samples, so that a few samples with a non-target cosine above cos θ_med (wrong
    labels, look-alikes) drive s up without limit; their mean of logarithms has no such pull, and lies below by Jensen.
    """

    name = "adacos_geometric"

    def rule(self, batch: TargetStatistics) -> Tensor:
        """AdaCos's rule of the mean log B_i."""
        return dynamic_scale(log_b_avg=batch.log_b_N.mean(), theta_med=torch.median(batch.theta_target_N))


class AdaCosSmoothedScale(StabilisedScale):
    """AdaCos of moving averages: s_t = ℓ_t / cos θ̄_t, capped.

    ℓ_t = ρℓ_{t−1} + (1−ρ)·log B_avg(s_{t−1}) and θ̄_t = ρθ̄_{t−1} + (1−ρ)·min(π/4, θ_med), from ℓ_0 = log(C−1) and
    θ̄_0 = π/4, whose s is AdaCos's own start. θ_med is clamped before it is averaged, or the right angles of the first
    steps would hold θ̄ above π/4 long after. Averaging takes the noise of small batches out of s and keeps the fixed
    points where they are: it slows a runaway, the ceiling ends it.

    Args:
        num_classes: C.
        momentum: ρ, the weight of the past; 0 is the capped rule.
        cap: Largest s in units of the fixed scale √2·log(C − 1).

    Raises:
        InputError: If C < 3 or a parameter is outside the catalogue's hard range.
    """

    name = "adacos_ema"
    log_b_ema: Tensor
    """ℓ, 0-d."""
    theta_ema: Tensor
    """θ̄ in radians, 0-d."""

    def __init__(self, *, num_classes: int, momentum: float, cap: float) -> None:
        super().__init__(num_classes=num_classes, cap=cap)
        self.momentum = SCALES[self.name].parameters["momentum"].check(momentum)
        self.register_buffer("log_b_ema", torch.tensor(math.log(num_classes - 1), dtype=torch.float32))
        self.register_buffer("theta_ema", torch.tensor(math.pi / 4, dtype=torch.float32))

    def rule(self, batch: TargetStatistics) -> Tensor:
        """AdaCos's rule of the averages."""
        theta_med = torch.median(batch.theta_target_N).clamp_max(math.pi / 4)
        self.log_b_ema.lerp_(log_mean_exp(batch.log_b_N).to(self.log_b_ema.dtype), 1.0 - self.momentum)
        self.theta_ema.lerp_(theta_med.to(self.theta_ema.dtype), 1.0 - self.momentum)
        return dynamic_scale(log_b_avg=self.log_b_ema, theta_med=self.theta_ema)
