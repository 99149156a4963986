"""Inequalities that unit prototypes obey whatever was trained, as what is left of them in each trial.

A slack is how far a measured value is on the permitted side, with what float32 may have got wrong added: it is negative
only where something was measured wrongly.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpstudy.theory import log_kernel_mean

Floats = NDArray[np.float64]

COSINE_ROUNDING = 2.0**-18
"""What a cosine of two float32 vectors can be wrong by: 64 roundings of 1; 9 were seen for K up to 4096 on a CPU."""
POSTERIOR_ROUNDING = 2.0**-20
"""A posterior is computed in float32; nearer to 1 than this it can't be told from 1."""


def column(trials: pd.DataFrame, name: str, absent: float = np.nan) -> Floats:
    """A numeric column; `absent` throughout where older records lack it, and in place of a missing value."""
    if name not in trials:
        return np.full(len(trials), absent)
    values: Floats = trials[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isnan(values), absent, values)


def smallest_log_odds(trials: pd.DataFrame, of: str) -> Floats:
    """ln(P/(1−P)) of the smallest posterior of a trial.

    As recorded; of older records the least that the posterior, rounded to float32, can stand for, NaN where it can't be
    told from 1.

    Args:
        trials: One row a trial.
        of: `class_centre` or `feature_centre`.
    """
    recorded = column(trials, f"geometry/{of}_log_odds_min")
    posterior = column(trials, f"geometry/{of}_posterior_min")
    told = (posterior > 0) & (posterior < 1 - POSTERIOR_ROUNDING)
    least = np.where(told, np.maximum(posterior - POSTERIOR_ROUNDING, posterior / 2), 0.5)
    return np.where(np.isfinite(recorded), recorded, np.where(told, np.log(least) - np.log1p(-least), np.nan))


def logit_rounding(s: Floats) -> Floats:
    """What a difference of two logits can be wrong by."""
    return 2 * np.abs(s) * COSINE_ROUNDING


def scale_slack(num_classes: Floats, s: Floats, log_odds: Floats) -> Floats:
    """What CosFace's eq. 6 leaves: s·C/(C−1) − ln(C−1) − log odds ≥ 0 (nats).

    It holds for the smallest posterior over the classes at their prototypes, and at any other unit vectors x_y in their
    place: the mean of −ln P over the classes is at least NormFace's floor, wherever the x_y are (see `loss_floor`).
    """
    return s * num_classes / (num_classes - 1) - np.log(num_classes - 1) - log_odds + logit_rounding(s)


def dimension_slack(num_classes: Floats, dim: Floats, s: Floats, log_odds: Floats) -> Floats:
    """What the dimension-aware bound leaves: s − log A_K(s) − ln C − ln P ≥ 0 (nats); at the prototypes only.

    NaN where a value is not known.
    """
    known = np.isfinite(s) & (s >= 0) & np.isfinite(log_odds)
    scale, odds = np.where(known, s, 1.0), np.where(known, log_odds, 0.0)
    gap = scale - log_kernel_mean(dim, scale)
    slack = gap - np.log(num_classes) + np.logaddexp(0.0, -odds) + logit_rounding(scale)
    return np.where(known, slack, np.nan)


def below_scale_bounds(trials: pd.DataFrame, s: Floats) -> NDArray[np.bool_]:
    """Whether a scale is below what the smallest class-centre posterior of its trial needs, which is impossible.

    Args:
        trials: One row a trial.
        s: Its scale at the end; not held against anything where it is not finite.
    """
    scale, odds = np.where(np.isfinite(s), s, np.nan), smallest_log_odds(trials, "class_centre")
    classes, dim = column(trials, "num_classes"), column(trials, "embedding_dim")
    return (scale_slack(classes, scale, odds) < 0) | (dimension_slack(classes, dim, scale, odds) < 0)
