"""Every margin of the catalogue against the suites, at values that have an effect and at its neutral one."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses import Margin
from hpstudy.losses.margins import (
    AdaFaceMargin,
    AdditiveAngleMargin,
    AdditiveCosineMargin,
    AnnealedMultiplicativeAngleMargin,
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
from hpstudy.testing import AnyMarginSuite, MarginSuite

ANNEALING: dict[str, Any] = {"base": 3.0, "gamma": 0.5, "power": 1.0, "lambda_min": 0.0}
NORMS: dict[str, Any] = {"l_a": 10.0, "u_a": 110.0, "lambda_g": 35.0}
SPREAD: dict[str, Any] = {"h": 1.0, "t_alpha": 0.01}

CASES: list[tuple[Callable[..., Margin], dict[str, Any], list[dict[str, Any]]]] = [
    (NoMargin, {}, [{}]),
    (AdditiveCosineMargin, {"m": 0.0}, [{"m": 0.35}]),
    (AdditiveAngleMargin, {"m": 0.0}, [{"m": 0.5}, {"m": math.pi / 2}]),
    (AdditiveAngleMargin, {"m": 0.0, "past_pi": "linear"}, [{"m": 0.5, "past_pi": "linear"}]),
    (AdditiveAngleMargin, {"m": 0.0, "past_pi": "clamp"}, [{"m": 1.0, "past_pi": "clamp", "gradient": "detached"}]),
    (MultiplicativeAngleMargin, {"m": 1.0}, [{"m": 1.35}, {"m": 10.0}]),
    (MultiplicativeAngleMargin, {"m": 1.0, "past_pi": "clamp"}, [{"m": 1.5, "past_pi": "clamp"}]),
    (MultiplicativeAngleMargin, {"m": 1.0, "gradient": "detached"}, [{"m": 1.5, "gradient": "detached"}]),
    (AnnealedMultiplicativeAngleMargin, {"m": 1.0, **ANNEALING}, [{"m": 4.0, **ANNEALING}]),
    (CombinedMargin, {"m1": 1.0, "m2": 0.0, "m3": 0.0}, [{"m1": 0.9, "m2": 0.4, "m3": 0.15}]),
    (MVCosineMargin, {"m": 0.0, "t": 0.0}, [{"m": 0.35, "t": 0.2}]),
    (MVAngleMargin, {"m": 0.0, "t": 0.0}, [{"m": 0.35, "t": 0.2}]),
]
OF_THE_NORM: list[tuple[Callable[..., Margin], dict[str, Any], dict[str, Any]]] = [
    (AdaFaceMargin, {"m": 0.0, **SPREAD}, {"m": 0.4, **SPREAD}),
    *(
        (
            MagFaceMargin,
            {"l_m": 0.0, "u_m": 0.0, "past_pi": rule, **NORMS},
            {"l_m": 0.3, "u_m": 1.2, "past_pi": rule, **NORMS},
        )
        for rule in ("linear", "monotone")
    ),
]
LEAVING_A_PROMISE: list[tuple[Callable[..., Margin], dict[str, Any]]] = [
    (CircleMargin, {"m": 0.25}),
    (AdditiveAngleMargin, {"m": 0.5, "past_pi": "wrap"}),
    (AdditiveAngleMargin, {"m": 0.5, "past_pi": "easy"}),
    (MVAngleMargin, {"m": 0.35, "t": 0.2, "past_pi": "easy"}),
    (MVAngleMargin, {"m": 0.35, "t": 0.2, "past_pi": "wrap"}),
    (MagFaceMargin, {"l_m": 0.45, "u_m": 0.8, "past_pi": "easy", **NORMS}),
]


def label(case: tuple[Any, ...]) -> str:
    """The class and what its case sets."""
    return "-".join([case[0].name, *(f"{key}={value}" for key, value in case[-1].items())])


def test_no_margin_of_the_catalogue_is_left_out() -> None:
    tested = [each[0] for each in (*CASES, *OF_THE_NORM, *LEAVING_A_PROMISE)] + [DividedAngleMargin, CurricularMargin]
    assert {cls.name for cls in tested} == set(MARGINS)


class TestMargins(MarginSuite):
    @pytest.fixture(params=[(cls, each) for cls, _, effects in CASES for each in effects], ids=label)
    def margin(self, request: pytest.FixtureRequest) -> Margin:
        cls, params = request.param
        return cls(**params)

    @pytest.fixture(params=[(cls, neutral) for cls, neutral, _ in CASES], ids=label)
    def no_effect(self, request: pytest.FixtureRequest) -> Margin:
        cls, params = request.param
        return cls(**params)


class TestMarginsOfTheNorm(MarginSuite):
    @pytest.fixture(params=[1.0, 30.0, 60.0, 200.0])
    def norm(self, request: pytest.FixtureRequest) -> float:
        return float(request.param)

    @pytest.fixture(params=OF_THE_NORM, ids=label)
    def pair(self, request: pytest.FixtureRequest) -> tuple[Margin, Margin]:
        cls, neutral, effect = request.param
        margins = cls(**neutral), cls(**effect)
        for each in margins:
            if isinstance(each, AdaFaceMargin):
                each.norm_mean.fill_(45.0)
                each.norm_std.fill_(25.0)
        return margins

    @pytest.fixture
    def no_effect(self, pair: tuple[Margin, Margin]) -> Margin:
        return pair[0]

    @pytest.fixture
    def margin(self, pair: tuple[Margin, Margin]) -> Margin:
        return pair[1]


class TestDividedAngle(MarginSuite):
    @pytest.fixture(params=["exact", "detached"])
    def gradient(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def margin(self, gradient: str) -> Margin:
        return DividedAngleMargin(m=1.5, gradient=gradient)

    @pytest.fixture
    def no_effect(self, gradient: str) -> Margin:
        return DividedAngleMargin(m=1.0, gradient=gradient)

    def test_satisfied_is_a_margin_over_the_hardest_nontarget(self, margin: Margin, norm: float, theta: Tensor) -> None:
        """m·θ_y ≤ θ_j, SphereFace's own condition."""
        theta_y, theta_j = theta[::7], theta.flip(0)[::7].clone()
        satisfied = margin.satisfied(theta_y.cos(), theta_j.cos(), torch.full_like(theta_y, norm))
        assert torch.equal(satisfied, 1.5 * theta_y <= theta_j)
        assert 0 < int(satisfied.sum()) < len(satisfied)


class TestCurricular(MarginSuite):
    @pytest.fixture(params=["linear", "monotone"])
    def past_pi(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def margin(self, past_pi: str) -> Margin:
        return CurricularMargin(m=0.5, momentum=0.9, past_pi=past_pi)

    @pytest.fixture
    def no_effect(self, past_pi: str) -> Margin:
        return CurricularMargin(m=0.0, momentum=0.9, past_pi=past_pi)

    def test_neutral_value_leaves_the_others_alone(self, no_effect: Margin, norm: float, theta: Tensor) -> None:
        """Only those up to the target's cosine: the curriculum has no neutral value."""
        del norm
        assert isinstance(no_effect, CurricularMargin)
        assert torch.equal(no_effect.bar(theta.cos()), theta.cos())


class TestMarginsThatLeaveAPromise(AnyMarginSuite):
    @pytest.fixture(params=LEAVING_A_PROMISE, ids=label)
    def margin(self, request: pytest.FixtureRequest) -> Margin:
        cls, params = request.param
        return cls(**params)
