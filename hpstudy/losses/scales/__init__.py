"""Scales: what a head multiplies the cosines with. One rule, one class."""

from hpstudy.losses.scales._adacos_dynamic import AdaCosDynamicScale, dynamic_scale, log_mean_exp
from hpstudy.losses.scales._adacos_fixed import AdaCosFixedScale
from hpstudy.losses.scales._adacos_stabilised import (
    AdaCosCappedScale,
    AdaCosGeometricScale,
    AdaCosSmoothedScale,
    StabilisedScale,
)
from hpstudy.losses.scales._base import BufferedScale, Prototypes, Scale, TargetStatistics
from hpstudy.losses.scales._feature_norm import FeatureNormScale
from hpstudy.losses.scales._fixed import FixedScale
from hpstudy.losses.scales._free_prototypes import FreePrototypesScale, L2SoftmaxScale, SoftmaxScale
from hpstudy.losses.scales._learned import LearnedScale, LearnedTemperatureScale
from hpstudy.losses.scales._logits import AffineLogits, ScaledLogits

__all__ = [
    "AdaCosCappedScale",
    "AdaCosDynamicScale",
    "AdaCosFixedScale",
    "AdaCosGeometricScale",
    "AdaCosSmoothedScale",
    "AffineLogits",
    "BufferedScale",
    "FeatureNormScale",
    "FixedScale",
    "FreePrototypesScale",
    "L2SoftmaxScale",
    "LearnedScale",
    "LearnedTemperatureScale",
    "Prototypes",
    "Scale",
    "ScaledLogits",
    "SoftmaxScale",
    "StabilisedScale",
    "TargetStatistics",
    "dynamic_scale",
    "log_mean_exp",
]
