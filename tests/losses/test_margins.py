"""Margins at known points, at the seam past π, and their gradients near 0 and π."""

import math

import pytest
import torch

from hpstudy.exceptions import InputError
from hpstudy.losses import CosineHead
from hpstudy.losses.margins import AdditiveAngleMargin, AdditiveCosineMargin, MultiplicativeAngleMargin, NoMargin
from hpstudy.losses.scales import FixedScale
from hpstudy.testing import batch_at_angles

SIN_RULES = ["monotone", "clamp", "wrap"]


def at_degrees(margin: object, degrees: float) -> tuple[float, float]:
    """ψ and dψ/d cos θ at an angle, in float64."""
    assert isinstance(margin, AdditiveAngleMargin | MultiplicativeAngleMargin)
    cos = torch.tensor(math.cos(math.radians(degrees)), dtype=torch.float64, requires_grad=True)
    psi = margin.target(cos)
    (slope,) = torch.autograd.grad(psi, cos)
    return psi.item(), slope.item()


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
@pytest.mark.parametrize("past_pi", SIN_RULES)
def test_detached_slope_is_one_and_the_value_stays(degrees: float, past_pi: str) -> None:
    exact = at_degrees(AdditiveAngleMargin(m=0.5, past_pi=past_pi), degrees)
    detached = at_degrees(AdditiveAngleMargin(m=0.5, gradient="detached", past_pi=past_pi), degrees)
    assert detached[0] == pytest.approx(exact[0], abs=1e-15)
    assert detached[1] == 1.0


def test_rules_past_pi() -> None:
    at_pi = {rule: at_degrees(AdditiveAngleMargin(m=0.5, past_pi=rule), 180.0)[0] for rule in SIN_RULES}
    assert at_pi == pytest.approx({"monotone": math.cos(0.5) - 2.0, "clamp": -1.0, "wrap": -math.cos(0.5)}, abs=1e-9)
    past = math.degrees(math.pi - 0.3)
    slopes = {rule: at_degrees(AdditiveAngleMargin(m=0.5, past_pi=rule), past)[1] for rule in SIN_RULES}
    factor = math.sin(0.2) / math.sin(0.3)
    assert slopes == pytest.approx({"monotone": factor, "clamp": 0.0, "wrap": -factor}, rel=1e-9)


@pytest.mark.parametrize("past_pi", SIN_RULES)
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


def test_satisfied_is_the_papers_margin() -> None:
    target, hardest = torch.tensor([0.9, 0.9, -0.2]), torch.tensor([0.5, 0.6, -0.9])
    assert AdditiveCosineMargin(m=0.35).satisfied(target, hardest).tolist() == [True, False, True]
    theta, theta_j = target.acos(), hardest.acos()
    assert torch.equal(AdditiveAngleMargin(m=0.5).satisfied(target, hardest), theta + 0.5 <= theta_j)
    assert torch.equal(MultiplicativeAngleMargin(m=1.5).satisfied(target, hardest), 1.5 * theta <= theta_j)
    assert torch.equal(NoMargin().satisfied(target, hardest), target >= hardest)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: AdditiveCosineMargin(m=-0.1), r"m must lie in \[0, 2\] \(cosine\), but got -0\.1"),
        (lambda: AdditiveAngleMargin(m=28.6), r"\(rad\), but got 28\.6; if it is in degrees, write 0\.4992"),
        (lambda: MultiplicativeAngleMargin(m=0.5), r"m must lie in \[1, 10\] \(factor\)"),
        (
            lambda: AdditiveAngleMargin(m=0.5, gradient="none"),
            "gradient must be one of detached, exact, but got 'none'",
        ),
        (lambda: AdditiveAngleMargin(m=0.5, past_pi="up"), "past_pi must be one of clamp, monotone, wrap"),
        (lambda: FixedScale(s=0.0), r"s must lie in \(0, 10000\]"),
        (lambda: FixedScale(s=math.nan), "but got nan"),
    ],
)
def test_values_outside_the_hard_range_are_refused(build, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()
