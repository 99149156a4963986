"""Scales: what a head multiplies the cosines with. One rule, one file, one class."""

from hpstudy.losses.scales._adacos_dynamic import AdaCosDynamicScale, dynamic_scale, log_mean_exp
from hpstudy.losses.scales._adacos_fixed import AdaCosFixedScale
from hpstudy.losses.scales._base import Scale, TargetStatistics
from hpstudy.losses.scales._fixed import FixedScale

__all__ = [
    "AdaCosDynamicScale",
    "AdaCosFixedScale",
    "FixedScale",
    "Scale",
    "TargetStatistics",
    "dynamic_scale",
    "log_mean_exp",
]
