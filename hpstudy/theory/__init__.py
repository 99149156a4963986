"""The arithmetic of the papers: bounds on the scale s and the margin m, and what AdaCos' rule does. Needs no torch.

Notation: unit prototypes W_j and unit features x, angles θ_j between them, target class y, C classes, K embedding
dimensions, scale s, margin m. Functions of real arguments take arrays and broadcast; floats give a float.
"""

from hpstudy.theory._adacos import (
    FixedPoints,
    adacos_collapse_limit,
    adacos_cosine_spread_limit,
    adacos_fixed_points,
    adacos_fixed_scale,
)
from hpstudy.theory._kernel import log_kernel_mean
from hpstudy.theory._margin_bounds import (
    arcface_lower_margin,
    cosface_lower_margin,
    cosface_margin_bound,
    margin_upper_bound,
    sphereface_lower_margin,
)
from hpstudy.theory._posterior import MarginKind, target_posterior
from hpstudy.theory._scale_bounds import (
    cosface_scale_bound,
    dimension_aware_scale_bound,
    implied_posterior,
    joint_scale_bound,
    l2softmax_scale_bound,
    normface_loss_bound,
)

__all__ = [
    "FixedPoints",
    "MarginKind",
    "adacos_collapse_limit",
    "adacos_cosine_spread_limit",
    "adacos_fixed_points",
    "adacos_fixed_scale",
    "arcface_lower_margin",
    "cosface_lower_margin",
    "cosface_margin_bound",
    "cosface_scale_bound",
    "dimension_aware_scale_bound",
    "implied_posterior",
    "joint_scale_bound",
    "l2softmax_scale_bound",
    "log_kernel_mean",
    "margin_upper_bound",
    "normface_loss_bound",
    "sphereface_lower_margin",
    "target_posterior",
]
