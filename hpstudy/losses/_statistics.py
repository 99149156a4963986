"""The record of one step, taken from cosines that exist anyway. Shapes: N samples, C classes."""

from typing import Final

import torch
from torch import Tensor

from hpstudy.losses._cosines import Cosines
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


def nontarget_log_sum_exp(cos_NC: Tensor, labels_N: Tensor, s: Tensor) -> Tensor:
    """log B_i = log Σ_{j≠y} e^{s cos θ_j}, (N,); finite for every s that float32 holds."""
    return (s * cos_NC).scatter_(1, labels_N[:, None], -torch.inf).logsumexp(1)


def target_angles(cosines: Cosines) -> Tensor:
    """θ_y in radians without gradient, (N,)."""
    return cosines.target_N.detach().clamp(-1.0, 1.0).acos()


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
    target_N = cos_NC.gather(1, labels_N[:, None]).squeeze(1)
    cosines = Cosines(all_NC=cos_NC, target_N=target_N, labels_N=labels_N)
    log_b_N = nontarget_log_sum_exp(cos_NC, labels_N, s)
    return step_statistics(cosines, s=s, log_b_N=log_b_N, log_b_before_N=log_b_N, theta_target_N=target_angles(cosines))


@torch.no_grad()
def step_statistics(
    cosines: Cosines, *, s: Tensor, log_b_N: Tensor, log_b_before_N: Tensor, theta_target_N: Tensor
) -> dict[str, Tensor]:
    """The seven columns of the trajectory that a head knows, 0-d, detached, on the device.

    Args:
        cosines: The batch.
        s: Scale of this step's loss, 0-d.
        log_b_N: log B_i at `s`.
        log_b_before_N: log B_i at the scale that went into the step (the same for a scale that is not adaptive).
        theta_target_N: θ_y in radians.

    Returns:
        `s`; `log_b_avg`, log of the mean B_i at the scale that went into the step; `theta_med` (lower median) and
        `theta_target_mean` in radians; `cos_nontarget_mean` and `cos_nontarget_std` over the N·(C−1) non-targets
        (population form); `posterior_med`, the lower median of e^{s cos θ_y}/(e^{s cos θ_y} + B_i), without a margin.
    """
    cos_NC, cos_target_N = cosines.all_NC.detach(), cosines.target_N.detach()
    num_nontargets = cos_NC.shape[1] - 1
    mean = ((cos_NC.sum(1) - cos_target_N) / num_nontargets).mean()
    mean_square = ((torch.linalg.vector_norm(cos_NC, dim=1).square() - cos_target_N.square()) / num_nontargets).mean()
    return {
        "s": s.detach(),
        "log_b_avg": log_mean_exp(log_b_before_N),
        "theta_med": theta_target_N.median(),
        "theta_target_mean": theta_target_N.mean(),
        "cos_nontarget_mean": mean,
        "cos_nontarget_std": (mean_square - mean.square()).clamp_min(0.0).sqrt(),
        "posterior_med": (s * cos_target_N - log_b_N).median().sigmoid(),
    }
