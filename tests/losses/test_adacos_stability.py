"""The published dynamic rule runs away where it has no fixed point; the stabilised ones do not."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hpstudy.losses import SCALE_CLASSES, Scale, TargetStatistics
from hpstudy.theory import adacos_cosine_spread_limit, adacos_fixed_points, adacos_fixed_scale

STABILISED = ["adacos_capped", "adacos_geometric", "adacos_ema"]
RUNAWAY = 1e4
"""A scale that no study asks for."""


def scale_of(name: str, num_classes: int, **params: float) -> Scale:
    taken = {"momentum": 0.95} if name == "adacos_ema" else {}
    if name != "adacos_dynamic":
        taken["cap"] = 2.0
    return SCALE_CLASSES[name](num_classes=num_classes, **{**taken, **params})


def iterate(scale: Scale, cos_nontarget_NJ: Tensor, theta: float, steps: int) -> list[float]:
    """s step by step where neither the cosines nor the target angles change."""
    theta_N = torch.full((len(cos_nontarget_NJ),), theta)
    course = [scale.value.item()]
    for _ in range(steps):
        log_b_N = (scale.value * cos_nontarget_NJ).logsumexp(1)
        scale.step(TargetStatistics(theta_target_N=theta_N, log_b_N=log_b_N))
        course.append(scale.value.item())
        if not math.isfinite(course[-1]) or course[-1] > RUNAWAY:
            break
    return course


def random_cosines(num_samples: int, num_classes: int, dim: int) -> Tensor:
    """cos θ_j of random directions with random prototypes."""
    generator = torch.Generator().manual_seed(0)
    rows = [F.normalize(torch.randn(n, dim, generator=generator)) for n in (num_samples, num_classes - 1)]
    return rows[0] @ rows[1].T


def low_dimension() -> Tensor:
    """C = 10 classes in K = 2 dimensions: no fixed point at 45° (nor at 30°)."""
    assert adacos_fixed_points(10, 2, math.pi / 4).stable is None
    return random_cosines(500, 10, 2)


def label_noise() -> Tensor:
    """C = 10575, K = 512, and a tenth of the samples with a non-target cosine of 0.9, as a wrong label has."""
    cosines = random_cosines(30, 10_575, 512)
    cosines[::10, 0] = 0.9
    return cosines


def hard_negatives() -> Tensor:
    """The same with 20 % at 0.95."""
    cosines = random_cosines(30, 10_575, 512)
    cosines[::5, 0] = 0.95
    return cosines


CASES: list[tuple[Callable[[], Tensor], int]] = [(low_dimension, 10), (label_noise, 10_575), (hard_negatives, 10_575)]
IDS = [case.__name__ for case, _ in CASES]


@pytest.mark.parametrize(("case", "num_classes"), CASES, ids=IDS)
def test_the_published_rule_runs_away(case: Callable[[], Tensor], num_classes: int) -> None:
    course = iterate(scale_of("adacos_dynamic", num_classes), case(), math.pi / 4, 200)
    assert course[-1] > RUNAWAY or not math.isfinite(course[-1])
    assert all(later > earlier for earlier, later in itertools.pairwise(course[2:]))


@pytest.mark.parametrize("name", STABILISED)
@pytest.mark.parametrize(("case", "num_classes"), CASES, ids=IDS)
def test_stabilised_rules_do_not(case: Callable[[], Tensor], num_classes: int, name: str) -> None:
    course = iterate(scale_of(name, num_classes), case(), math.pi / 4, 400)
    assert len(course) == 401
    assert max(course) <= 2.0 * adacos_fixed_scale(num_classes) * (1 + 1e-6)
    assert abs(course[-1] - course[-50]) < 1e-3 * course[-1]  # at rest


def test_the_geometric_mean_needs_no_ceiling_against_label_noise() -> None:
    """It rests near the published rule's own fixed point without noise, 13.35, far below its ceiling."""
    clean = iterate(scale_of("adacos_dynamic", 10_575), random_cosines(30, 10_575, 512), math.pi / 4, 200)[-1]
    assert clean == pytest.approx(adacos_fixed_points(10_575, 512, math.pi / 4).stable, rel=2e-3)
    noisy = iterate(scale_of("adacos_geometric", 10_575, cap=100.0), label_noise(), math.pi / 4, 200)[-1]
    assert noisy == pytest.approx(clean, rel=0.08)


def test_averaging_alone_only_slows_a_runaway() -> None:
    """Why the averaged rule has a ceiling: its fixed points are the published rule's."""
    published = iterate(scale_of("adacos_dynamic", 10), low_dimension(), math.pi / 4, 2000)
    averaged = iterate(scale_of("adacos_ema", 10, cap=100.0), low_dimension(), math.pi / 4, 2000)
    assert averaged[-1] == pytest.approx(100.0 * adacos_fixed_scale(10))
    assert next(i for i, s in enumerate(averaged) if s > 100) > 5 * next(i for i, s in enumerate(published) if s > 100)


@pytest.mark.parametrize("name", ["adacos_dynamic", *STABILISED])
def test_all_rest_where_the_published_rule_does(name: str) -> None:
    """C = 1000, K = 512, 45°: a fixed point at 9.903069, well inside the ceiling; the geometric one a little below."""
    course = iterate(scale_of(name, 1000), random_cosines(200, 1000, 512), math.pi / 4, 200)
    assert course[-1] == pytest.approx(9.903069, rel=2e-2)


def test_averaging_takes_the_noise_of_small_batches_out_of_s() -> None:
    def spread(name: str) -> float:
        scale, generator, course = scale_of(name, 1000), torch.Generator().manual_seed(1), []
        cosines = random_cosines(4000, 1000, 64)
        for _ in range(400):
            rows = torch.randint(4000, (16,), generator=generator)
            theta_N = 0.6 + 0.2 * torch.randn(16, generator=generator)
            log_b_N = (scale.value * cosines[rows]).logsumexp(1)
            scale.step(TargetStatistics(theta_target_N=theta_N.clamp(0.0, math.pi), log_b_N=log_b_N))
            course.append(scale.value.item())
        return float(torch.tensor(course[100:]).std())

    assert spread("adacos_ema") < 0.4 * spread("adacos_dynamic")


def test_the_spread_limit_separates_the_cases() -> None:
    """σ of non-target cosines against the Gaussian estimate, which is cautious."""
    for case, num_classes in CASES[:1]:
        assert case().std().item() > adacos_cosine_spread_limit(num_classes, math.pi / 4)
    assert random_cosines(30, 10_575, 512).std().item() < adacos_cosine_spread_limit(10_575, math.pi / 4)
