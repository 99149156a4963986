"""The scale AdaCos adapts at every step. Shapes: N samples."""

import math
from typing import Any, Self

import torch
from torch import Tensor

from hpstudy.losses.scales._adacos_fixed import initial_scale
from hpstudy.losses.scales._base import BufferedScale, TargetStatistics


def log_mean_exp(log_b_N: Tensor) -> Tensor:
    """log B_avg = log((1/N)·Σ_i B_i) from log B_i, (N,) to 0-d, without leaving the logarithm."""
    return log_b_N.logsumexp(0) - math.log(log_b_N.numel())


def dynamic_scale(*, log_b_avg: Tensor, theta_med: Tensor) -> Tensor:
    """s = log B_avg / cos(min(π/4, θ_med)); AdaCos (Zhang et al., CVPR 2019, arXiv:1905.00292).

    Args:
        log_b_avg: log B_avg at the scale before this step, 0-d.
        theta_med: Lower median of the batch's target angles in radians, 0-d.
    """
    return log_b_avg / theta_med.clamp_max(math.pi / 4).cos()


class AdaCosDynamicScale(BufferedScale):
    """s_t = log B_avg(s_{t−1}) / cos(min(π/4, θ_med)), s_0 = √2·log(C − 1); AdaCos (Zhang et al., CVPR 2019).

    B_avg takes the previous s and the current cosines of non-targets, θ_med is the lower median over the targets of the
    batch, and s_t serves in the same iteration as a constant for the gradient. As published: no smoothing, no cap.
    Where non-target cosines spread too widely the rule has no fixed point and s runs away; that is then what happens.

    Args:
        num_classes: C.

    Raises:
        InputError: If C < 3.
    """

    name = "adacos_dynamic"
    adaptive = True

    def __init__(self, *, num_classes: int) -> None:
        super().__init__(initial_scale(num_classes))

    @classmethod
    def for_classes(cls, num_classes: int, num_here: int, **params: Any) -> Self:
        """The scale for C classes."""
        del num_here
        return cls(num_classes=num_classes, **params)

    def step(self, batch: TargetStatistics) -> None:
        """Set s from one batch; a non-finite batch gives a non-finite s, for the trainer to see."""
        log_b_avg, theta_med = log_mean_exp(batch.log_b_N), torch.median(batch.theta_target_N)
        self.value.copy_(dynamic_scale(log_b_avg=log_b_avg, theta_med=theta_med))
