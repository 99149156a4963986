"""The record of one step. Shapes: N samples, C classes, G samples of the global batch."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from hpstudy.losses._nontargets import PlainSum
from hpstudy.losses._parallel import Parallel
from hpstudy.losses.scales import log_mean_exp

STATISTICS: Final = (
    "s",
    "log_b_avg",
    "theta_med",
    "theta_target_mean",
    "cos_nontarget_mean",
    "cos_nontarget_std",
    "posterior_med",
)
"""Keys of `HeadOutput.statistics`, the names of the trajectory's columns."""

COSINE_SUM: Final = PlainSum(function=lambda cos_NB, *_: cos_NB)
"""Σ_{j≠y} cos θ_j."""
SQUARE_SUM: Final = PlainSum(function=lambda cos_NB, *_: cos_NB.square())
"""Σ_{j≠y} cos² θ_j."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRecord:
    """What a step says of each sample, all (N,) and without gradient."""

    theta_target: Tensor
    """θ_y in radians."""
    s: Tensor
    """Scale of the step's loss."""
    log_odds: Tensor
    """Target logit without margin, less log B_i at that scale."""
    log_b_before: Tensor
    """log B_i at the scale that went into the step (the same for a scale that is not adaptive)."""
    cosine_sum: Tensor
    square_sum: Tensor

    def gathered(self, parallel: Parallel) -> "SampleRecord":
        """The record of the global batch, (G,)."""
        columns = [getattr(self, name).expand_as(self.theta_target) for name in self.__slots__]
        return SampleRecord(**dict(zip(self.__slots__, parallel.gathered(*columns), strict=True)))

    def statistics(self, num_classes: int) -> dict[str, Tensor]:
        """The seven columns of the trajectory that a head knows, 0-d, on the device.

        Returns:
            `s` (mean over samples where it differs); `log_b_avg`, log of the mean B_i at the scale that went into the
            step; `theta_med` (lower median) and `theta_target_mean` in radians; `cos_nontarget_mean` and
            `cos_nontarget_std` over all non-targets (population form); `posterior_med`, the lower median of
            e^{s cos θ_y}/(e^{s cos θ_y} + B_i), without a margin.
        """
        mean = self.cosine_sum.mean() / (num_classes - 1)
        mean_square = self.square_sum.mean() / (num_classes - 1)
        return {
            "s": self.s.mean(),
            "log_b_avg": log_mean_exp(self.log_b_before),
            "theta_med": self.theta_target.median(),
            "theta_target_mean": self.theta_target.mean(),
            "cos_nontarget_mean": mean,
            "cos_nontarget_std": (mean_square - mean.square()).clamp_min(0.0).sqrt(),
            "posterior_med": self.log_odds.median().sigmoid(),
        }


def target_angles(cos_N: Tensor) -> Tensor:
    """θ_y in radians without gradient, (N,)."""
    return cos_N.detach().clamp(-1.0, 1.0).acos()


@torch.no_grad()
def head_statistics(cos_NC: Tensor, labels_N: Tensor, s: Tensor) -> dict[str, Tensor]:
    """The statistics of a head whose scale does not move within a step, for losses from outside.

    Args:
        cos_NC: cos θ_j, (N, C), float32 or better.
        labels_N: (N,) int64.
        s: Scale, 0-d.

    Returns:
        Every key of `STATISTICS`; see `HeadOutput.statistics`.
    """
    target_N1 = cos_NC.gather(1, labels_N[:, None])
    others_NC = cos_NC.scatter(1, labels_N[:, None], 0.0)
    log_b_N = (s * cos_NC).scatter_(1, labels_N[:, None], -torch.inf).logsumexp(1)
    record = SampleRecord(
        theta_target=target_angles(target_N1.squeeze(1)),
        s=s,
        log_odds=s * target_N1.squeeze(1) - log_b_N,
        log_b_before=log_b_N,
        cosine_sum=others_NC.sum(1),
        square_sum=others_NC.square().sum(1),
    )
    return record.statistics(cos_NC.shape[1])
