"""Margins at known points, at the seam past π, and their gradients near 0 and π."""

import math
from typing import Any

import pytest
import torch

from hpstudy.exceptions import InputError
from hpstudy.losses import CosineHead, Targets
from hpstudy.losses.margins import (
    AdaFaceMargin,
    AdditiveAngleMargin,
    AdditiveCosineMargin,
    CircleMargin,
    CombinedMargin,
    CurricularMargin,
    DividedAngleMargin,
    MagFaceMargin,
    MultiplicativeAngleMargin,
    MVAngleMargin,
    MVCosineMargin,
    NoMargin,
)
from hpstudy.losses.scales import FixedScale
from hpstudy.testing import batch_at_angles

CONTINUOUS_RULES = ["monotone", "clamp", "wrap"]
RULES = [*CONTINUOUS_RULES, "linear", "easy"]


def at_degrees(margin: object, degrees: float) -> tuple[float, float]:
    """ψ and dψ/d cos θ at an angle, in float64."""
    assert isinstance(margin, AdditiveAngleMargin | MultiplicativeAngleMargin)
    cos = torch.tensor(math.cos(math.radians(degrees)), dtype=torch.float64, requires_grad=True)
    psi = margin.target(cos)
    (slope,) = torch.autograd.grad(psi, cos)
    return psi.item(), slope.item()


def magface(**params: Any) -> MagFaceMargin:
    """With the published values where `params` say nothing else."""
    return MagFaceMargin(**{"l_a": 10.0, "u_a": 110.0, "l_m": 0.45, "u_m": 0.8, "lambda_g": 35.0} | params)


@pytest.mark.parametrize(
    ("m", "degrees", "expected"),
    [
        *(
            (4.0, d, v)
            for d, v in ((0, 1), (15, 0.5), (30, -0.5), (45, -1), (60, -1.5), (75, -2.5), (90, -3), (180, -7))
        ),
        *((2.0, d, v) for d, v in ((45, 0), (90, -1), (180, -3))),
        *((1.35, d, v) for d, v in ((90, -0.522499), (180, -1.546010))),
        *((1.7, d, v) for d, v in ((90, -0.891007), (180, -2.587785))),
        (3.0, 180, 1 - 2 * 3),
    ],
)
def test_multiplicative_values(m: float, degrees: float, expected: float) -> None:
    assert at_degrees(MultiplicativeAngleMargin(m=m), degrees)[0] == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize("m", [1.0, 1.35, 2.0, 4.0])
def test_multiplicative_slope(m: float) -> None:
    for degrees in (0.01, 5.0, 40.0, 77.0, 120.0, 179.0):
        theta = math.radians(degrees)
        expected = m * abs(math.sin(m * theta)) / math.sin(theta)
        assert at_degrees(MultiplicativeAngleMargin(m=m), degrees)[1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("degrees", "factor"), [(1, 28.34), (5, 6.357), (10, 3.597), (30, 1.708), (90, 0.878)])
def test_exact_slope_of_the_additive_angle(degrees: float, factor: float) -> None:
    assert at_degrees(AdditiveAngleMargin(m=0.5), degrees)[1] == pytest.approx(factor, rel=5e-4)


@pytest.mark.parametrize("degrees", [1.0, 30.0, 90.0, 160.0, 179.0])
@pytest.mark.parametrize("past_pi", RULES)
def test_detached_slope_is_one_and_the_value_stays(degrees: float, past_pi: str) -> None:
    exact = at_degrees(AdditiveAngleMargin(m=0.5, past_pi=past_pi), degrees)
    detached = at_degrees(AdditiveAngleMargin(m=0.5, gradient="detached", past_pi=past_pi), degrees)
    assert detached[0] == pytest.approx(exact[0], abs=1e-15)
    assert detached[1] == 1.0


@pytest.mark.parametrize("past_pi", ["monotone", "clamp"])
def test_detached_multiplicative_slope_is_one_and_the_value_stays(past_pi: str) -> None:
    for degrees in (1.0, 77.0, 130.0, 179.0):
        exact = at_degrees(MultiplicativeAngleMargin(m=1.5, past_pi=past_pi), degrees)
        detached = at_degrees(MultiplicativeAngleMargin(m=1.5, gradient="detached", past_pi=past_pi), degrees)
        assert detached[0] == pytest.approx(exact[0], abs=1e-15)
        assert detached[1] == 1.0


def test_multiplicative_clamp_is_flat_past_pi() -> None:
    margin = MultiplicativeAngleMargin(m=1.5, past_pi="clamp")
    assert at_degrees(margin, 119.9)[0] == pytest.approx(math.cos(math.radians(179.85)), abs=1e-12)
    assert at_degrees(margin, 150.0) == (-1.0, 0.0)


def test_rules_past_pi() -> None:
    at_pi = {rule: at_degrees(AdditiveAngleMargin(m=0.5, past_pi=rule), 180.0)[0] for rule in RULES}
    assert at_pi == pytest.approx(
        {
            "monotone": math.cos(0.5) - 2.0,
            "clamp": -1.0,
            "wrap": -math.cos(0.5),
            "linear": -1.0 - 0.5 * math.sin(0.5),
            "easy": -1.0,
        },
        abs=1e-9,
    )
    past = math.degrees(math.pi - 0.3)
    slopes = {rule: at_degrees(AdditiveAngleMargin(m=0.5, past_pi=rule), past)[1] for rule in RULES}
    factor = math.sin(0.2) / math.sin(0.3)
    expected = {"monotone": factor, "clamp": 0.0, "wrap": -factor, "linear": 1.0, "easy": 1.0}
    assert slopes == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("m", "step"), [(0.3, 0.043993), (0.5, 0.117295), (1.0, 0.381773)])
def test_linear_steps_down_at_the_seam_and_easy_steps_up_at_a_right_angle(m: float, step: float) -> None:
    seam = math.degrees(math.pi - m)
    before, after = (at_degrees(AdditiveAngleMargin(m=m, past_pi="linear"), seam + d)[0] for d in (-1e-6, 1e-6))
    assert before - after == pytest.approx(step, abs=1e-6)
    before, after = (at_degrees(AdditiveAngleMargin(m=m, past_pi="easy"), 90.0 + d)[0] for d in (-1e-6, 1e-6))
    assert after - before == pytest.approx(math.sin(m), abs=1e-6)


@pytest.mark.parametrize("past_pi", CONTINUOUS_RULES)
@pytest.mark.parametrize("m", [0.1, 0.5, 1.0, math.pi / 2])
def test_value_and_slope_are_continuous_at_the_seam(past_pi: str, m: float) -> None:
    before, after = (
        at_degrees(AdditiveAngleMargin(m=m, past_pi=past_pi), math.degrees(math.pi - m + step))
        for step in (-1e-7, 1e-7)
    )
    assert before[0] == pytest.approx(-1.0, abs=1e-12)
    assert after[0] == pytest.approx(-1.0, abs=1e-12)
    assert before[1] == pytest.approx(after[1], abs=1e-5)


@pytest.mark.parametrize(
    "margin", [AdditiveAngleMargin(m=0.5), AdditiveAngleMargin(m=1.5), MultiplicativeAngleMargin(m=4.0)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_of_embeddings_is_bounded_at_the_ends_and_true_elsewhere(
    margin: AdditiveAngleMargin | MultiplicativeAngleMargin, dtype: torch.dtype
) -> None:
    """|∂(ψ)/∂x| is |dψ/dθ| for a unit x; the cosine's own rounding ε is an angle error of ε/sin θ."""
    prototypes = torch.nn.functional.normalize(
        torch.randn(3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )
    ends = torch.logspace(-9, 0, 60, dtype=torch.float64)
    theta = torch.cat([torch.zeros(1, dtype=torch.float64), ends, math.pi - ends])
    labels = torch.arange(len(theta)) % 3
    head = CosineHead(margin, FixedScale(s=1.0), num_classes=3, embedding_dim=8).to(dtype)
    with torch.no_grad():
        head.weight.copy_(prototypes)
    x = batch_at_angles(theta, prototypes, labels).to(dtype).requires_grad_()
    target = head(x, labels).logits.gather(1, labels[:, None]).sum()
    norm = torch.autograd.grad(target, x)[0].norm(dim=1).double()
    m = margin.m
    true = (theta + m).sin().abs() if isinstance(margin, AdditiveAngleMargin) else m * (m * theta).sin().abs()
    eps = torch.finfo(dtype).eps
    resolved = theta.sin() > 10 * math.sqrt(eps)
    tolerance = 10 * m * eps / theta.sin()[resolved].square() + 100 * eps
    assert bool(((norm - true).abs()[resolved] <= tolerance).all())
    assert float(norm.max()) <= 2.5 * float(true.max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_of_divided_angles_is_bounded_at_the_ends_and_true_elsewhere(dtype: torch.dtype) -> None:
    margin = DividedAngleMargin(m=1.5)
    ends = torch.logspace(-9, 0, 60, dtype=torch.float64)
    theta = torch.cat([torch.zeros(1, dtype=torch.float64), ends, math.pi - ends])
    cos = theta.cos().to(dtype)[:, None].requires_grad_()
    function = margin.nontarget(Targets(cos_N=cos.detach().squeeze(1), norm_N=torch.ones(len(theta), dtype=dtype)))
    (slope,) = torch.autograd.grad(function(cos).sum(), cos)
    of_angle = slope.squeeze(1).double() * theta.sin()
    true = (theta / 1.5).sin() / 1.5
    eps = torch.finfo(dtype).eps
    resolved = theta.sin() > 10 * math.sqrt(eps)
    tolerance = 10 * eps / theta.sin()[resolved].square() + 100 * eps
    assert bool(((of_angle - true).abs()[resolved] <= tolerance).all())
    assert float(of_angle.abs().max()) <= 2.5 * float(true.max())


def test_combined_is_each_of_the_three_margins() -> None:
    cos = torch.linspace(-0.999, 0.999, 101, dtype=torch.float64)
    for combined, single in (
        (CombinedMargin(m1=1.0, m2=0.5, m3=0.0), AdditiveAngleMargin(m=0.5)),
        (CombinedMargin(m1=1.0, m2=0.0, m3=0.35), AdditiveCosineMargin(m=0.35)),
        (CombinedMargin(m1=4.0, m2=0.0, m3=0.0), MultiplicativeAngleMargin(m=4.0)),
    ):
        torch.testing.assert_close(combined.target(cos), single.target(cos), rtol=0.0, atol=1e-13)


def test_magface_margin_grows_with_the_norm() -> None:
    norms = torch.tensor([1.0, 10.0, 30.0, 60.0, 110.0, 500.0], dtype=torch.float64)
    expected = torch.tensor([0.45, 0.45, 0.52, 0.625, 0.8, 0.8], dtype=torch.float64)
    torch.testing.assert_close(magface().margin_at(norms), expected)


def test_adaface_is_arcface_for_short_and_cosface_for_average_features() -> None:
    margin = AdaFaceMargin(m=0.4, h=1.0, t_alpha=0.01)
    margin.norm_mean.fill_(50.0)
    margin.norm_std.fill_(10.0)
    cos = torch.linspace(-0.9, 0.999, 101, dtype=torch.float64)
    for norm, expected in (
        (20.0, AdditiveAngleMargin(m=0.4).target(cos)),
        (50.0, cos - 0.4),
        (80.0, torch.where(cos.acos() < 0.4, 1.0, (cos.acos() - 0.4).cos()) - 0.8),
    ):
        psi = margin(Targets(cos_N=cos, norm_N=torch.full_like(cos, norm)))
        torch.testing.assert_close(psi, expected, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize(("angle", "norm"), [(0.1, 80.0), (3.1, 20.0)])
def test_adaface_has_no_gradient_where_the_angle_is_clipped(angle: float, norm: float) -> None:
    margin = AdaFaceMargin(m=0.4, h=1.0, t_alpha=0.01)
    margin.norm_mean.fill_(50.0)
    margin.norm_std.fill_(10.0)
    cos = torch.tensor([math.cos(angle)], requires_grad=True)
    (slope,) = torch.autograd.grad(margin(Targets(cos_N=cos, norm_N=torch.tensor([norm]))), cos)
    assert slope.item() == 0.0


def test_hard_nontargets_are_those_above_the_margined_target() -> None:
    targets = Targets(cos_N=torch.tensor([0.8]), norm_N=torch.tensor([1.0]))
    others = torch.tensor([[0.5, 0.42, -0.3]])
    mv = MVCosineMargin(m=0.35, t=0.2)
    torch.testing.assert_close(mv.nontarget(targets)(others), torch.tensor([[0.8, 0.42, -0.3]]))
    curricular = CurricularMargin(m=0.5, momentum=0.99)
    curricular.t.fill_(0.25)
    torch.testing.assert_close(curricular.nontarget(targets)(others), torch.tensor([[0.375, 0.2814, -0.3]]))


def test_curricular_bar_is_the_raw_one_past_pi() -> None:
    """θ_y = 175°, m = 0.5: cos(θ+m) = −0.916, but the target itself has −1.236."""
    targets = Targets(cos_N=torch.tensor([math.cos(math.radians(175.0))]), norm_N=torch.tensor([1.0]))
    margin = CurricularMargin(m=0.5, momentum=0.99)
    assert margin(targets).item() == pytest.approx(-1.23591, abs=1e-5)
    assert margin.nontarget(targets)(torch.tensor([[-0.95]])).item() == pytest.approx(-0.95)
    assert margin.nontarget(targets)(torch.tensor([[-0.9]])).item() == pytest.approx(0.81)


def test_satisfied_is_the_papers_margin() -> None:
    target, hardest = torch.tensor([0.9, 0.9, -0.2]), torch.tensor([0.5, 0.6, -0.9])
    norm = torch.tensor([10.0, 60.0, 110.0])
    assert AdditiveCosineMargin(m=0.35).satisfied(target, hardest, norm).tolist() == [True, False, True]
    theta, theta_j = target.acos(), hardest.acos()
    assert torch.equal(AdditiveAngleMargin(m=0.5).satisfied(target, hardest, norm), theta + 0.5 <= theta_j)
    assert torch.equal(MultiplicativeAngleMargin(m=1.5).satisfied(target, hardest, norm), 1.5 * theta <= theta_j)
    assert torch.equal(DividedAngleMargin(m=1.5).satisfied(target, hardest, norm), 1.5 * theta <= theta_j)
    assert torch.equal(NoMargin().satisfied(target, hardest, norm), target >= hardest)
    of_norm = theta + torch.tensor([0.45, 0.625, 0.8]) <= theta_j
    assert torch.equal(magface(past_pi="monotone").satisfied(target, hardest, norm), of_norm)
    circle = (1 - target).square() + hardest.square() <= 2 * 0.6**2
    assert circle.tolist() == [True, True, False]
    assert torch.equal(CircleMargin(m=0.6).satisfied(target, hardest, norm), circle)


def test_satisfied_does_not_see_the_weighing_of_hard_nontargets() -> None:
    """With t = 0.1 a hard 0.6 weighs 0.42 only, less than ψ = 0.56, and still violates the margin."""
    margin = CurricularMargin(m=0.5, momentum=0.99)
    margin.t.fill_(0.1)
    target, hardest, norm = torch.tensor([0.9, 0.9]), torch.tensor([0.6, 0.5]), torch.ones(2)
    assert margin.satisfied(target, hardest, norm).tolist() == [False, True]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: AdditiveCosineMargin(m=-0.1), r"m must lie in \[0, 2\] \(cosine\), but got -0\.1"),
        (lambda: AdditiveAngleMargin(m=28.6), r"\(rad\), but got 28\.6; if it is in degrees, write 0\.4992"),
        (lambda: MultiplicativeAngleMargin(m=0.5), r"m must lie in \[1, 10\] \(factor\)"),
        (lambda: DividedAngleMargin(m=0.9), r"m must lie in \[1, 10\] \(factor\)"),
        (lambda: CombinedMargin(m1=1.0, m2=28.6, m3=0.0), r"m2 must lie in .* \(rad\), but got 28\.6"),
        (lambda: AdaFaceMargin(m=0.4, h=0.3, t_alpha=1.5), r"t_alpha must lie in \[0, 1\]"),
        (lambda: magface(l_a=110.0), r"l_a must be smaller than u_a, but got l_a=110\.0 and u_a=110\.0"),
        (lambda: magface(l_m=0.9), r"l_m must not be larger than u_m, but got l_m=0\.9 and u_m=0\.8"),
        (lambda: magface(l_a=0.0), r"l_a must lie in \(0, 10000\]"),
        (lambda: magface(past_pi="wrap"), "past_pi must be one of easy, linear, monotone, but got 'wrap'"),
        (lambda: CurricularMargin(m=0.5, momentum=1.0), r"momentum must lie in \[0, 0\.9999\]"),
        (lambda: CurricularMargin(m=0.5, momentum=0.9, past_pi="easy"), "past_pi must be one of linear, monotone"),
        (lambda: MVCosineMargin(m=0.35, t=-0.1), r"t must lie in \[0, 1\]"),
        (lambda: MVAngleMargin(m=0.35, t=0.2, past_pi="clamp"), "past_pi must be one of easy, monotone, wrap"),
        (lambda: CircleMargin(m=1.5), r"m must lie in \[0, 1\] \(cosine\)"),
        (lambda: MultiplicativeAngleMargin(m=2.0, past_pi="wrap"), "past_pi must be one of clamp, monotone"),
        (lambda: DividedAngleMargin(m=2.0, gradient="none"), "gradient must be one of detached, exact"),
        (
            lambda: AdditiveAngleMargin(m=0.5, gradient="none"),
            "gradient must be one of detached, exact, but got 'none'",
        ),
        (
            lambda: AdditiveAngleMargin(m=0.5, past_pi="up"),
            "past_pi must be one of clamp, easy, linear, monotone, wrap",
        ),
        (lambda: FixedScale(s=0.0), r"s must lie in \(0, 10000\]"),
        (lambda: FixedScale(s=math.nan), "but got nan"),
    ],
)
def test_values_outside_the_hard_range_are_refused(build, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()
