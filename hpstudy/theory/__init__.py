"""The arithmetic of the papers: bounds on the scale s and the margin m, and what AdaCos' rule does. Needs no torch.

Notation: unit prototypes W_j and unit features x, angles θ_j between them, target class y, C classes, K embedding
dimensions, scale s, margin m. Functions of real arguments take arrays and broadcast; floats give a float. C and K start
at 2: in one dimension the only cosines are ±1. Everything is finite from C = 2 to 10 000 000 unless its docstring says
otherwise, and impossible input raises InputError with the parameter, the value and the range.
"""

from hpstudy.theory._adacos import (
    adacos_collapse_limit,
    adacos_cosine_spread_limit,
    adacos_fixed_points,
    adacos_fixed_scale,
)
from hpstudy.theory._adacos_noise import adacos_geometric_fixed_points, adacos_noisy_fixed_points, adacos_outcome
from hpstudy.theory._code_solver import SphericalCode, solve_spherical_code
from hpstudy.theory._decision import DECISION_MARGINS, decision_boundary, softmax_boundary
from hpstudy.theory._fixed_points import FixedPoints
from hpstudy.theory._inflection import adacos_exact_scale, steepest_angle
from hpstudy.theory._kernel import log_kernel_mean
from hpstudy.theory._margin_bounds import (
    arcface_lower_margin,
    arcface_margin_upper_bound,
    cosface_lower_margin,
    cosface_margin_bound,
    margin_upper_bound,
    sphereface_lower_margin,
    welch_cosine_bound,
)
from hpstudy.theory._margin_optimum import MarginOptimum, margin_optimum
from hpstudy.theory._posterior import MarginKind, target_posterior
from hpstudy.theory._right_angles import right_angle_posterior
from hpstudy.theory._scale_bounds import (
    cosface_scale_bound,
    dimension_aware_scale_bound,
    implied_posterior,
    joint_scale_bound,
    l2softmax_scale_bound,
    margin_loss_bound,
    normface_loss_bound,
    scale_bound_of_log_odds,
)
from hpstudy.theory._sphereface2 import sphereface2_bias, sphereface2_posterior

__all__ = [
    "DECISION_MARGINS",
    "FixedPoints",
    "MarginKind",
    "MarginOptimum",
    "SphericalCode",
    "adacos_collapse_limit",
    "adacos_cosine_spread_limit",
    "adacos_exact_scale",
    "adacos_fixed_points",
    "adacos_fixed_scale",
    "adacos_geometric_fixed_points",
    "adacos_noisy_fixed_points",
    "adacos_outcome",
    "arcface_lower_margin",
    "arcface_margin_upper_bound",
    "cosface_lower_margin",
    "cosface_margin_bound",
    "cosface_scale_bound",
    "decision_boundary",
    "dimension_aware_scale_bound",
    "implied_posterior",
    "joint_scale_bound",
    "l2softmax_scale_bound",
    "log_kernel_mean",
    "margin_loss_bound",
    "margin_optimum",
    "margin_upper_bound",
    "normface_loss_bound",
    "right_angle_posterior",
    "scale_bound_of_log_odds",
    "softmax_boundary",
    "solve_spherical_code",
    "sphereface2_bias",
    "sphereface2_posterior",
    "sphereface_lower_margin",
    "steepest_angle",
    "target_posterior",
    "welch_cosine_bound",
]
