"""Impossible input is refused with the parameter, the value and the range."""

import math
from fractions import Fraction

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
        (lambda: theory.joint_scale_bound(10, 0.9, 0.1, "rad"), r"kind must be 'cosine', 'angle' or 'factor', .*'rad'"),
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
        (lambda: theory.target_posterior(1.0, 1.0, 0.5, 1.0, "factor"), r"margin must be a finite factor .* 1.*0\.5"),
        (lambda: theory.target_posterior(1.0, 1.0, 0.5, 1.0, "deg"), r"kind must be .*but got 'deg'"),
        (lambda: theory.target_posterior(1.0, 1.0, 0.5, math.nan), r"log_b must be finite, but got nan"),
    ],
)  # fmt: skip
def test_impossible_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


SOUND = {
    "num_classes": 10,
    "dim": 4,
    "posterior": 0.9,
    "scale": 8.0,
    "log_odds": 2.0,
    "margin": 0.3,
    "theta": 0.5,
    "log_b": 2.0,
    "neighbour_angle": 0.7,
    "noise": 0.1,
    "cosine": 0.9,
    "theta1": 0.5,
    "norm_ratio": 2.0,
}
FUNCTIONS = {
    "adacos_collapse_limit": ["num_classes"],
    "adacos_cosine_spread_limit": ["num_classes", "theta"],
    "adacos_exact_scale": ["num_classes", "theta"],
    "adacos_fixed_points": ["num_classes", "dim", "theta"],
    "adacos_fixed_scale": ["num_classes"],
    "adacos_geometric_fixed_points": ["num_classes", "dim", "theta", "noise", "cosine"],
    "adacos_noisy_fixed_points": ["num_classes", "dim", "theta", "noise", "cosine"],
    "adacos_outcome": ["num_classes", "dim", "theta", "noise", "cosine"],
    "arcface_lower_margin": ["neighbour_angle"],
    "arcface_margin_upper_bound": ["num_classes", "dim"],
    "cosface_lower_margin": ["neighbour_angle"],
    "cosface_margin_bound": ["num_classes", "dim"],
    "cosface_scale_bound": ["num_classes", "posterior"],
    "dimension_aware_scale_bound": ["num_classes", "dim", "posterior"],
    "implied_posterior": ["num_classes", "scale"],
    "joint_scale_bound": ["num_classes", "posterior", "margin"],
    "l2softmax_scale_bound": ["num_classes", "posterior"],
    "log_kernel_mean": ["dim", "scale"],
    "margin_loss_bound": ["num_classes", "scale", "margin"],
    "margin_optimum": ["num_classes", "dim"],
    "margin_upper_bound": ["num_classes", "dim"],
    "normface_loss_bound": ["num_classes", "scale"],
    "right_angle_posterior": ["theta", "num_classes", "scale"],
    "scale_bound_of_log_odds": ["num_classes", "log_odds"],
    "softmax_boundary": ["theta1", "norm_ratio"],
    "sphereface2_bias": ["num_classes", "scale", "margin"],
    "sphereface2_posterior": ["theta", "num_classes", "scale", "margin"],
    "sphereface_lower_margin": ["num_classes"],
    "steepest_angle": ["scale", "log_b"],
    "target_posterior": ["theta", "scale", "margin", "log_b"],
    "welch_cosine_bound": ["num_classes", "dim"],
}
NEVER = [math.nan, math.inf, -math.inf, None, True, "10", 1j, [[1], [2, 3]], object()]
IMPOSSIBLE = {
    "num_classes": [*NEVER, 1, 0, -3, 2.5],
    "dim": [*NEVER, 1, 0, -3, 2.5],
    "posterior": [*NEVER, 0, 1, -0.1, 1.5],
    "scale": NEVER,
    "log_odds": NEVER,
    "margin": [*NEVER, -0.1],
    "theta": [*NEVER, -0.1, 3.2],
    "log_b": NEVER,
    "neighbour_angle": [*NEVER, -0.1, 3.2],
    "noise": [*NEVER, -0.1, 1.1],
    "cosine": [*NEVER, -1.1, 1.1],
    "theta1": [*NEVER, -0.1, 3.2],
    "norm_ratio": [*NEVER, -0.1],
}
RANGES = {
    "num_classes": r"a whole number of at least [23]",
    "dim": r"a whole number of at least 2",
    "posterior": r"in \(0, 1\)",
    "scale": r"finite",
    "log_odds": r"finite",
    "margin": r"(in \[0, 2\]|finite and at least 0)",
    "theta": r"in \[0, π\] \(rad\)",
    "log_b": r"finite",
    "neighbour_angle": r"in \[0, π\] \(rad\)",
    "noise": r"in \[0, 1\]",
    "cosine": r"in \[−1, 1\]",
    "theta1": r"in \[0, π\] \(rad\)",
    "norm_ratio": r"finite and at least 0",
}


def test_every_public_function_is_held_to_the_refusals():
    elsewhere = {"decision_boundary", "solve_spherical_code"}
    functions = {name for name in theory.__all__ if name.islower()}
    assert functions - elsewhere == set(FUNCTIONS)


@pytest.mark.parametrize(("name", "parameter"), [(name, p) for name, ps in FUNCTIONS.items() for p in ps])
def test_every_function_refuses_what_its_parameter_can_never_be(name, parameter):
    sound = {p: SOUND[p] for p in FUNCTIONS[name]}
    getattr(theory, name)(**sound)
    for value in IMPOSSIBLE[parameter]:
        with pytest.raises(InputError, match=rf"^{parameter} must be {RANGES[parameter]}.*, but got .*") as caught:
            getattr(theory, name)(**(sound | {parameter: value}))
        text = str(caught.value).split("but got ")[1]
        assert text in (repr(value), f"{value:.12g}" if isinstance(value, (int, float)) else repr(value))


@pytest.mark.parametrize(
    "name", ["arcface_margin_upper_bound", "cosface_margin_bound", "margin_optimum", "margin_upper_bound"]
)
def test_functions_of_one_size_refuse_arrays(name):
    with pytest.raises(InputError, match=r"num_classes must be one whole number of at least 2, but got \[10, 20\]"):
        getattr(theory, name)([10, 20], 4)


def test_adacos_fixed_points_takes_one_angle():
    with pytest.raises(InputError, match=r"theta must be one number, but got array\(\[0\.1, 0\.2\]\)"):
        theory.adacos_fixed_points(10, 4, [0.1, 0.2])


def test_whole_numbers_may_come_in_any_real_type():
    for ten in (10, 10.0, np.int32(10), np.float32(10), np.array(10), Fraction(10)):
        assert theory.margin_upper_bound(ten, 16) == 10 / 9
        assert theory.cosface_scale_bound(ten, 0.9) == pytest.approx(3.955004, abs=1e-6)
    assert math.isfinite(theory.cosface_scale_bound(10**30, 0.9))


def test_facade_is_complete_and_sorted():
    assert theory.__all__ == sorted(theory.__all__)
    assert all(hasattr(theory, name) for name in theory.__all__)
