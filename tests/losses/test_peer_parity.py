"""Against pytorch-metric-learning where it computes what the papers say; its units and conventions are converted."""

import math

import pytest
import torch
from pytorch_metric_learning import losses as peer
from torch import Tensor, nn

from hpstudy.losses import CosineHead, build_head
from hpstudy.testing import batch_at_angles

C, K, N = 11, 16, 44

CASES = {
    "cosface": ("cosface", {"s": 30.0, "m": 0.35}, lambda: peer.CosFaceLoss(C, K, margin=0.35, scale=30.0)),
    "arcface": (
        "arcface",
        {"s": 64.0, "m": math.radians(28.6), "past_pi": "linear"},
        lambda: peer.ArcFaceLoss(C, K, margin=28.6, scale=64.0),
    ),
    "normface": ("normface", {"s": 20.0}, lambda: peer.NormalizedSoftmaxLoss(C, K, temperature=1 / 20.0)),
    "p2sgrad": ("p2sgrad", {}, lambda: peer.P2SGradLoss(K, C)),
}
FACTORS = {"p2sgrad": 2.0 / C}
"""Theirs over ours: the mean over N·C of squares against half their sum over classes."""
WITHOUT_PROJECTION = {"p2sgrad"}
"""Losses of theirs that normalise prototypes outside the graph, so that their gradient still has a part along W_j."""


def run(loss: nn.Module, weight: nn.Parameter, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, gradient of the embeddings, and gradient of the prototypes as (C, K)."""
    x = x.clone().requires_grad_()
    out = loss(x, y)
    value = out if isinstance(out, Tensor) else out.loss
    of_x, of_weight = torch.autograd.grad(value, [x, weight])
    return value.detach(), of_x, of_weight.T if of_weight.shape == (K, C) else of_weight


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("classes_at_once", [None, 4])
def test_loss_and_gradients_agree(name: str, dtype: torch.dtype, classes_at_once: int | None) -> None:
    ours_name, params, build_peer = CASES[name]
    head = build_head(ours_name, num_classes=C, embedding_dim=K, classes_at_once=classes_at_once, **params)
    assert isinstance(head, CosineHead)
    head.weight.data = nn.functional.normalize(head.weight.data.to(dtype))
    theirs = build_peer().to(dtype)
    their_weight = next(parameter for parameter in theirs.parameters() if parameter.ndim == 2)
    with torch.no_grad():
        their_weight.copy_(head.weight.T if their_weight.shape == (K, C) else head.weight)
    labels = torch.arange(N) % C
    theta = torch.linspace(0.05, math.pi - 0.05, N, dtype=dtype)  # past π − m as well
    x = 3.0 * batch_at_angles(theta, head.weight.detach(), labels)
    ours, others = run(head, head.weight, x, labels), run(theirs, their_weight, x, labels)
    if name in WITHOUT_PROJECTION:
        along_C1 = (others[2] * head.weight.detach()).sum(1, keepdim=True)
        others = (*others[:2], others[2] - along_C1 * head.weight.detach())
    tolerance = {"rtol": 2e-4, "atol": 2e-5} if dtype == torch.float32 else {"rtol": 1e-6, "atol": 1e-9}
    for mine, other in zip(ours, others, strict=True):
        torch.testing.assert_close(other, FACTORS.get(name, 1.0) * mine, **tolerance)
