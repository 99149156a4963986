"""Every named loss, as the catalogue builds it, against the slow references: value, and state over several steps."""

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from hpstudy.catalog import LOSSES
from hpstudy.losses import CosineHead, build_head
from hpstudy.testing import random_batch

C, K, N, STEPS = 7, 6, 12, 3

Slow = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def slow_losses(reference: ModuleType, scales: ModuleType, name: str) -> Slow:
    """The reference of a named loss at the catalogue's defaults; a stateful one moves at every call."""
    state: dict[str, Any] = {}

    def adacos(rule: str, **params: float) -> Slow:
        def loss(x: np.ndarray, w: np.ndarray, y: np.ndarray) -> float:
            s = state.get("s", scales.adacos_fixed_scale(C))
            state["s"] = getattr(scales, rule)(x, w, y, s=s, **params)
            return float(reference.normface(x, w, y, s=state["s"]))

        return loss

    def adacos_ema(x: np.ndarray, w: np.ndarray, y: np.ndarray) -> float:
        before = state.get("ema", (scales.adacos_fixed_scale(C), math.log(C - 1), math.pi / 4))
        s, log_b, theta = before
        state["ema"] = scales.adacos_ema_scale(x, w, y, s=s, log_b=log_b, theta=theta, momentum=0.95)
        return float(reference.normface(x, w, y, s=state["ema"][0]))

    def annealed(x: np.ndarray, w: np.ndarray, y: np.ndarray) -> float:
        state["t"] = state.get("t", 0) + 1
        return float(reference.a_softmax(x, w, y, m=4.0, lam=reference.annealing(state["t"])))

    def adaface(x: np.ndarray, w: np.ndarray, y: np.ndarray) -> float:
        mean, std = state.get("norms", (20.0, 100.0))
        state["norms"] = reference.adaface_update(x, mean_norm=mean, std_norm=std, t_alpha=0.01)
        return float(reference.adaface(x, w, y, mean_norm=state["norms"][0], std_norm=state["norms"][1], eps=0.0))

    def curricular(x: np.ndarray, w: np.ndarray, y: np.ndarray) -> float:
        state["t"] = reference.curricularface_update(x, w, y, t=state.get("t", 0.0))
        return float(reference.curricularface(x, w, y, t=state["t"]))

    def plain(function: str, **params: Any) -> Slow:
        return lambda x, w, y: float(getattr(reference, function)(x, w, y, **params))

    return {
        "softmax": plain("softmax"),
        "modified_softmax": plain("modified_softmax"),
        "a_softmax": annealed,
        "l2_softmax": plain("l2_softmax", alpha=16.0),
        "normface": plain("normface", s=20.0),
        "normface_learned": plain("normface", s=10.0),
        "learned_temperature": plain("normface", s=1 / 0.07),
        "cosface": plain("cosface", s=64.0, m=0.35),
        "am_softmax": plain("cosface", s=30.0, m=0.35),
        "arcface": plain("arcface", s=64.0, m=0.5),
        "combined": plain("combined", s=64.0, m1=1.0, m2=0.3, m3=0.2),
        "sphereface": plain("sphereface", s=64.0, m=1.35),
        "sphereface_r1": plain("sphereface_r_v1", s=30.0, m=1.5),
        "sphereface_r2": plain("sphereface_r_v2", s=30.0, m=1.5),
        "adacos_fixed": plain("normface", s=scales.adacos_fixed_scale(C)),
        "adacos": adacos("adacos_scale"),
        "adacos_geometric": adacos("adacos_geometric_scale"),
        "adacos_capped": adacos("adacos_capped_scale", cap=2.0 * scales.adacos_fixed_scale(C)),
        "adacos_ema": adacos_ema,
        "adaface": adaface,
        "magface": plain("magface"),
        "curricularface": curricular,
        "mv_am_softmax": plain("mv_softmax", s=32.0, m=0.35, t=0.2, kind="am", easy=False),
        "mv_arc_softmax": plain("mv_softmax", s=32.0, m=0.35, t=0.2, kind="arc", easy=False),
        "circle": plain("circle", gamma=256.0, m=0.25),
        "c_contrastive": plain("c_contrastive", m=1.0),
        "c_triplet": plain("c_triplet", m=0.8),
        "p2sgrad": plain("p2sgrad"),
        "sphereface2": plain("sphereface2", b=reference.sphereface2_bias(C)),
    }[name]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("classes_at_once", [None, 3])
def test_named_loss_is_the_formula_step_after_step(
    reference: ModuleType, reference_scales: ModuleType, name: str, classes_at_once: int | None
) -> None:
    head = build_head(
        name,
        num_classes=C,
        embedding_dim=K,
        generator=torch.Generator().manual_seed(1),
        classes_at_once=classes_at_once,
    )
    assert isinstance(head, CosineHead)
    head.double()
    w = head.weight.detach().numpy()
    slow = slow_losses(reference, reference_scales, name)
    for step in range(STEPS):
        x, y = random_batch(num_samples=N, num_classes=C, embedding_dim=K, seed=step, dtype=torch.float64)
        x = x * torch.linspace(1.0, 30.0, N, dtype=torch.float64)[:, None]
        expected = slow(x.numpy(), w, y.numpy())
        assert head(x, y).loss.item() == pytest.approx(expected, rel=1e-6, abs=1e-9)  # parts hold float32
    x, y = random_batch(num_samples=N, num_classes=C, embedding_dim=K, seed=9)
    single = build_head(name, num_classes=C, embedding_dim=K, classes_at_once=classes_at_once)
    single.load_state_dict(head.state_dict())
    both = [each.eval()(x.to(dtype), y) for each, dtype in ((head, torch.float64), (single, torch.float32))]
    torch.testing.assert_close(both[1].loss.double(), both[0].loss, rtol=1e-4, atol=1e-4)
