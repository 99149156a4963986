"""Impossible input is refused with the parameter, the value and the range."""

import math

import numpy as np
import pytest

from hpstudy import theory
from hpstudy.exceptions import InputError


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.cosface_scale_bound(1, 0.9), r"num_classes must be a whole number of at least 2, but got 1"),
        (lambda: theory.cosface_scale_bound([10, 2.5], 0.9), r"num_classes must be a whole .*but got 2\.5"),
        (lambda: theory.cosface_scale_bound(math.inf, 0.9), r"num_classes must be .*but got inf"),
        (lambda: theory.cosface_scale_bound("ten", 0.9), r"num_classes must be .*but got 'ten'"),
        (lambda: theory.cosface_scale_bound(10, 0.0), r"posterior must be in \(0, 1\), but got 0"),
        (lambda: theory.cosface_scale_bound(10, np.array([0.5, 1.0])), r"posterior must be in \(0, 1\), but got 1"),
        (lambda: theory.cosface_scale_bound(10, math.nan), r"posterior must be in \(0, 1\), but got nan"),
        (lambda: theory.normface_loss_bound(10, math.inf), r"scale must be finite, but got inf"),
        (lambda: theory.implied_posterior(0, 4.0), r"num_classes must be .*but got 0"),
        (lambda: theory.joint_scale_bound(10, 0.9, -0.1), r"margin must be in \[0, 2\], but got -0\.1"),
        (lambda: theory.joint_scale_bound(10, 0.9, 28.6, "angle"), r"margin must be in \[0, π\] \(rad\), .*28\.6"),
        (lambda: theory.joint_scale_bound(10, 0.9, 0.1, "rad"), r"kind must be 'cosine' or 'angle', but got 'rad'"),
        (lambda: theory.l2softmax_scale_bound(2, 0.9), r"num_classes must be a whole number of at least 3, but got 2"),
        (lambda: theory.dimension_aware_scale_bound(10, 0, 0.9), r"dim must be a whole number .* 2, but got 0"),
        (lambda: theory.cosface_margin_bound(10, 1), r"dim must be a whole number of at least 2, but got 1"),
        (lambda: theory.margin_upper_bound(1, 16), r"num_classes must be .*but got 1"),
        (lambda: theory.cosface_lower_margin(70), r"neighbour_angle must be in \[0, π\] \(rad\), but got 70"),
        (lambda: theory.arcface_lower_margin(-0.1), r"neighbour_angle must be in \[0, π\] \(rad\), but got -0\.1"),
        (lambda: theory.sphereface_lower_margin(1), r"num_classes must be .*but got 1"),
        (lambda: theory.adacos_fixed_scale(1), r"num_classes must be .*but got 1"),
        (lambda: theory.adacos_collapse_limit(1), r"num_classes must be .*but got 1"),
        (lambda: theory.adacos_fixed_points(10, 16, 45), r"theta must be in \[0, π\] \(rad\), but got 45"),
        (lambda: theory.adacos_cosine_spread_limit(2, 0.5), r"num_classes must be .*at least 3, but got 2"),
        (lambda: theory.log_kernel_mean(0, 1.0), r"dim must be .*but got 0"),
        (lambda: theory.log_kernel_mean(16, -1.0), r"scale must be finite and at least 0, but got -1"),
        (lambda: theory.target_posterior(4.0, 1.0, 0.0, 1.0), r"theta must be in \[0, π\] \(rad\), but got 4"),
        (lambda: theory.target_posterior(1.0, 1.0, 0.5, 1.0, "factor"), r"margin must be a factor .* 1, but got 0\.5"),
        (lambda: theory.target_posterior(1.0, 1.0, 0.5, 1.0, "deg"), r"kind must be .*but got 'deg'"),
        (lambda: theory.target_posterior(1.0, 1.0, 0.5, math.nan), r"log_b must be finite, but got nan"),
    ],
)  # fmt: skip
def test_impossible_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_facade_is_complete_and_sorted():
    assert theory.__all__ == sorted(theory.__all__)
    assert all(hasattr(theory, name) for name in theory.__all__)
