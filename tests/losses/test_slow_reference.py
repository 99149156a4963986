"""Losses and gradients against the formulas of the papers, spelt out sample by sample in float64."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.losses import CosineHead, build_head, build_head_from_parts
from hpstudy.testing import batch_at_angles, random_batch

FIXED = [
    ("normface", {"s": 20.0}),
    ("cosface", {"s": 64.0, "m": 0.35}),
    ("arcface", {"s": 64.0, "m": 0.5}),
    ("sphereface", {"s": 30.0, "m": 1.35}),
    ("sphereface", {"s": 30.0, "m": 4.0}),
    ("adacos_fixed", {}),
]


def psi_by_intervals(phi: float) -> float:
    """(−1)^k cos φ − 2k for φ in [kπ, (k+1)π], found by walking the intervals."""
    k = 0
    while phi > (k + 1) * math.pi:
        k += 1
    return (-1) ** k * math.cos(phi) - 2 * k


def slow_loss(
    name: str, x: np.ndarray, w: np.ndarray, y: np.ndarray, *, s: float | None = None, m: float | None = None
) -> float:
    total = 0.0
    for x_i, y_i in zip(x, y, strict=True):
        logits = []
        for j, w_j in enumerate(w):
            cos = float(x_i @ w_j) / math.sqrt(float(x_i @ x_i)) / math.sqrt(float(w_j @ w_j))
            scale = s if s is not None else math.sqrt(2) * math.log(len(w) - 1)
            if j == y_i:
                theta = math.acos(max(-1.0, min(1.0, cos)))
                if name == "cosface":
                    cos = cos - m
                elif name == "arcface":
                    cos = psi_by_intervals(theta + m)
                elif name == "sphereface":
                    cos = psi_by_intervals(theta * m)
            logits.append(scale * cos)
        top = max(logits)
        total += top + math.log(math.fsum(math.exp(z - top) for z in logits)) - logits[y_i]
    return total / len(y)


def slow_dynamic_scale(x: np.ndarray, w: np.ndarray, y: np.ndarray, s: float) -> float:
    cos = (x @ w.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(w, axis=1)
    b_avg = math.fsum(math.exp(s * cos[i, j]) for i in range(len(y)) for j in range(len(w)) if j != y[i]) / len(y)
    angles = sorted(math.acos(max(-1.0, min(1.0, cos[i, y[i]]))) for i in range(len(y)))
    return math.log(b_avg) / math.cos(min(math.pi / 4, angles[(len(y) - 1) // 2]))


def double_head(name: str, num_classes: int, embedding_dim: int, **params: Any) -> CosineHead:
    generator = torch.Generator().manual_seed(1)
    head = build_head(name, num_classes=num_classes, embedding_dim=embedding_dim, generator=generator, **params)
    assert isinstance(head, CosineHead)
    return head.double()


@pytest.mark.parametrize(("name", "params"), FIXED)
def test_loss_is_the_papers_over_all_angles(name: str, params: dict[str, float]) -> None:
    head = double_head(name, 7, 5, **params)
    labels = torch.arange(200) % 7
    theta = torch.linspace(0.0, math.pi, 200, dtype=torch.float64)
    embeddings = batch_at_angles(theta, head.weight.detach(), labels) * torch.logspace(-2, 2, 200)[:, None]
    # rounding of a cosine at angle 0 is an angle of 1e-8
    expected = slow_loss(name, embeddings.numpy(), head.weight.detach().numpy(), labels.numpy(), **params)
    assert head(embeddings, labels).loss.item() == pytest.approx(expected, rel=1e-7, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(["cosface", "arcface", "sphereface"]),
    s=st.floats(0.1, 512.0),
    strength=st.floats(0.0, 1.0),
    num_classes=st.integers(2, 9),
    seed=st.integers(0, 1000),
)
def test_loss_is_the_papers_for_any_scale_and_margin(
    name: str, s: float, strength: float, num_classes: int, seed: int
) -> None:
    m = {"cosface": 2.0 * strength, "arcface": math.pi / 2 * strength, "sphereface": 1.0 + 9.0 * strength}[name]
    head = double_head(name, num_classes, 4, s=s, m=m)
    x, y = random_batch(num_samples=6, num_classes=num_classes, embedding_dim=4, seed=seed, dtype=torch.float64)
    s32 = head.scale.value.item()
    expected = slow_loss(name, x.numpy(), head.weight.detach().numpy(), y.numpy(), s=s32, m=m)
    assert head(x, y).loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    single = build_head(name, num_classes=num_classes, embedding_dim=4, s=s, m=m)
    single.load_state_dict(head.state_dict())
    assert single(x.float(), y).loss.item() == pytest.approx(expected, rel=1e-3, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(num_samples=st.integers(1, 9), num_classes=st.integers(3, 9), seed=st.integers(0, 1000))
def test_dynamic_scale_is_the_papers_step_after_step(num_samples: int, num_classes: int, seed: int) -> None:
    head = double_head("adacos", num_classes, 16)
    for step in range(3):
        before = head.scale.value.item()
        x, y = random_batch(
            num_samples=num_samples, num_classes=num_classes, embedding_dim=16, seed=seed + step, dtype=torch.float64
        )
        out = head(x, y)
        w = head.weight.detach().numpy()
        assert head.scale.value.item() == pytest.approx(slow_dynamic_scale(x.numpy(), w, y.numpy(), before), rel=1e-6)
        assert out.statistics["s"].item() == head.scale.value.item()
        expected = slow_loss("normface", x.numpy(), w, y.numpy(), s=head.scale.value.item())
        assert out.loss.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("margin", "seam"),
    [
        ({"name": "none"}, 1.5),
        ({"name": "additive_cosine", "m": 0.35}, 1.5),
        ({"name": "additive_angle", "m": 0.5}, math.pi - 0.5),
        ({"name": "additive_angle", "m": 0.5, "past_pi": "wrap"}, math.pi - 0.5),
        ({"name": "multiplicative_angle", "m": 1.35}, math.pi / 1.35),
        ({"name": "multiplicative_angle", "m": 4.0}, math.pi / 2),
    ],
)
@pytest.mark.parametrize("scale", [{"name": "fixed", "s": 30.0}, {"name": "adacos_dynamic"}])
def test_gradients_are_those_of_the_value(margin: dict[str, Any], scale: dict[str, Any], seam: float) -> None:
    head = build_head_from_parts(
        margin, scale, num_classes=5, embedding_dim=6, generator=torch.Generator().manual_seed(2)
    )
    head = head.double().eval()
    theta = torch.tensor([1e-3, 0.05, 1.0, 2.0, seam - 1e-4, seam, seam + 1e-4, 3.0, math.pi - 1e-3])
    labels = torch.arange(len(theta)) % 5
    embeddings = batch_at_angles(theta.double(), head.weight.detach(), labels).mul(1.7).requires_grad_()
    weight = head.weight.detach().clone().requires_grad_()

    def loss(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(head, {"weight": w}, (x, labels)).loss

    assert torch.autograd.gradcheck(loss, (embeddings, weight), eps=1e-7, atol=2e-5, rtol=1e-4)


def test_scale_is_a_constant_for_the_gradient() -> None:
    """In training mode the dynamic scale depends on the batch, but the gradient is that of the loss at the new s."""
    head = double_head("adacos", 6, 8)
    x, y = random_batch(num_samples=10, num_classes=6, embedding_dim=8, seed=3, dtype=torch.float64)
    x.requires_grad_()
    (training,) = torch.autograd.grad(head.train()(x, y).loss, x)
    (frozen,) = torch.autograd.grad(head.eval()(x, y).loss, x)
    torch.testing.assert_close(training, frozen, rtol=1e-12, atol=1e-15)
