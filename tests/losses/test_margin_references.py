"""Heads of every margin against the formulas spelt out sample by sample, with numerical gradients."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from hpstudy.losses import CosineHead, Margin
from hpstudy.losses.margins import (
    AdaFaceMargin,
    AdditiveAngleMargin,
    AnnealedMultiplicativeAngleMargin,
    CircleMargin,
    CombinedMargin,
    CurricularMargin,
    DividedAngleMargin,
    MagFaceMargin,
    MultiplicativeAngleMargin,
    MVAngleMargin,
    MVCosineMargin,
)
from hpstudy.losses.scales import FixedScale
from hpstudy.testing import batch_at_angles

S = 8.0
C, K = 5, 4
ANGLES = [0.02, 0.2, 0.6, 1.1, 1.5, 1.7, 2.2, 2.8, 3.05]
"""Every branch of every margin at 0.5 and 1.5: next to 0, up to and past π/2, past π − m."""
NORMS = [5.0, 90.0, 12.0, 30.0, 110.5, 60.0, 90.0, 20.0, 8.0]


class Case(NamedTuple):
    build: Callable[[], Margin]
    reference: str
    params: dict[str, Any]
    fixes: bool = False
    """Whether training leaves a part of the value out of the gradient."""


def arcface(gradient: str, past_pi: str) -> Case:
    return Case(
        lambda: AdditiveAngleMargin(m=0.5, gradient=gradient, past_pi=past_pi),
        "arcface",
        {"s": S, "m": 0.5, "past_pi": past_pi},
        gradient == "detached",
    )


def magface(past_pi: str) -> Case:
    norms = {"l_a": 10.0, "u_a": 110.0, "l_m": 0.45, "u_m": 0.8, "lambda_g": 35.0}
    return Case(lambda: MagFaceMargin(**norms, past_pi=past_pi), "magface", {"s": S, **norms, "past_pi": past_pi})


def mv(margin: Callable[..., Margin], kind: str, easy: bool, **options: str) -> Case:
    params = {"s": S, "m": 0.35, "t": 0.2, "kind": kind, "easy": easy}
    return Case(lambda: margin(m=0.35, t=0.2, **options), "mv_softmax", params)


def annealed(steps: int) -> Margin:
    margin = AnnealedMultiplicativeAngleMargin(m=4.0, base=1000.0, gamma=0.12, power=1.0, lambda_min=5.0)
    margin.steps.fill_(steps)
    return margin


def adaface() -> Margin:
    margin = AdaFaceMargin(m=0.4, h=0.85, t_alpha=0.01)
    margin.norm_mean.fill_(45.0)
    margin.norm_std.fill_(32.0)
    return margin


def curricular(past_pi: str) -> Margin:
    margin = CurricularMargin(m=0.5, momentum=0.99, past_pi=past_pi)
    margin.t.fill_(0.25)
    return margin


CASES = {
    **{
        f"arcface-{gradient}-{past_pi}": arcface(gradient, past_pi)
        for gradient in ("exact", "detached")
        for past_pi in ("monotone", "clamp", "wrap", "linear", "easy")
    },
    "sphereface": Case(lambda: MultiplicativeAngleMargin(m=1.5), "sphereface", {"s": S, "m": 1.5}),
    "sphereface-detached": Case(
        lambda: MultiplicativeAngleMargin(m=1.5, gradient="detached"), "sphereface", {"s": S, "m": 1.5}, True
    ),
    "sphereface_r1-exact": Case(
        lambda: MultiplicativeAngleMargin(m=1.5, past_pi="clamp"), "sphereface_r_v1", {"s": S, "m": 1.5}
    ),
    "sphereface_r1": Case(
        lambda: MultiplicativeAngleMargin(m=1.5, gradient="detached", past_pi="clamp"),
        "sphereface_r_v1",
        {"s": S, "m": 1.5},
        True,
    ),
    "sphereface_r2-exact": Case(lambda: DividedAngleMargin(m=1.5), "sphereface_r_v2", {"s": S, "m": 1.5}),
    "sphereface_r2": Case(
        lambda: DividedAngleMargin(m=1.5, gradient="detached"), "sphereface_r_v2", {"s": S, "m": 1.5}, True
    ),
    "annealed-100": Case(lambda: annealed(100), "sphereface", {"s": S, "m": 4.0, "lam": 1000.0 / 13.0}),
    "annealed-end": Case(lambda: annealed(10**6), "sphereface", {"s": S, "m": 4.0, "lam": 5.0}),
    "combined": Case(
        lambda: CombinedMargin(m1=1.2, m2=0.3, m3=0.2), "combined", {"s": S, "m1": 1.2, "m2": 0.3, "m3": 0.2}
    ),
    "adaface": Case(
        adaface, "adaface", {"s": S, "m": 0.4, "h": 0.85, "mean_norm": 45.0, "std_norm": 32.0, "eps": 0.0}, True
    ),
    **{f"magface-{past_pi}": magface(past_pi) for past_pi in ("easy", "linear", "monotone")},
    "curricular-linear": Case(
        lambda: curricular("linear"), "curricularface", {"s": S, "m": 0.5, "t": 0.25, "past_pi": "linear"}
    ),
    "curricular-monotone": Case(
        lambda: curricular("monotone"), "curricularface", {"s": S, "m": 0.5, "t": 0.25, "past_pi": "monotone"}
    ),
    "mv_cosine": mv(MVCosineMargin, "am", easy=False),
    "mv_angle-easy": mv(MVAngleMargin, "arc", easy=True, past_pi="easy"),
    "mv_angle-wrap": mv(MVAngleMargin, "arc", easy=False, past_pi="wrap"),
    "circle": Case(lambda: CircleMargin(m=0.25), "circle", {"gamma": S, "m": 0.25}, True),
}


def make_batch() -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings at known angles and norms, prototypes of any norm, labels; float64."""
    prototypes = torch.randn(C, K, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    labels = torch.arange(len(ANGLES)) % C
    directions = batch_at_angles(torch.tensor(ANGLES, dtype=torch.float64), prototypes, labels, seed=1)
    return directions * torch.tensor(NORMS, dtype=torch.float64)[:, None], prototypes, labels


def make_head(margin: Margin, prototypes: Tensor) -> CosineHead:
    head = CosineHead(margin, FixedScale(s=S), num_classes=C, embedding_dim=K).double().eval()
    with torch.no_grad():
        head.weight.copy_(prototypes)
    return head


@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradients_are_those_of_the_formula(name: str, reference: ModuleType) -> None:
    case = CASES[name]
    embeddings, prototypes, labels = make_batch()
    head = make_head(case.build(), prototypes)
    out = head(embeddings.requires_grad_(), labels)
    x, w, y = embeddings.detach().numpy(), prototypes.numpy(), labels.numpy()
    slow = reference.REFERENCES[case.reference]
    assert out.loss.item() == pytest.approx(slow(x, w, y, **case.params), rel=1e-12)
    frozen = {"at": (x, w)} if case.fixes else {}
    for gradient, expected in zip(
        torch.autograd.grad(out.loss, [embeddings, head.weight]),
        (
            reference.numerical_gradient(lambda point: slow(point, w, y, **case.params, **frozen), x),
            reference.numerical_gradient(lambda point: slow(x, point, y, **case.params, **frozen), w),
        ),
        strict=True,
    ):
        np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-6, atol=2e-8)


@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_the_loss(name: str) -> None:
    embeddings, prototypes, labels = make_batch()
    head = make_head(CASES[name].build(), prototypes).train()
    out = head(embeddings.requires_grad_(), labels)
    head(embeddings.detach().flip(1) * 2.0, labels)
    penalty = out.terms.get("penalty", torch.zeros((), dtype=torch.float64))
    of_logits = torch.nn.functional.cross_entropy(out.logits, labels)
    torch.testing.assert_close(of_logits + penalty, out.loss, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(of_logits, head.weight, retain_graph=True)[0],
        torch.autograd.grad(out.loss, head.weight)[0],
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.build().moves_nontargets])
def test_moved_nontargets_do_not_depend_on_the_blocks(name: str) -> None:
    embeddings, prototypes, labels = make_batch()
    results = []
    for classes_at_once in (None, 2):
        head = make_head(CASES[name].build(), prototypes)
        head.classes_at_once = classes_at_once
        out = head(embeddings.requires_grad_(), labels)
        results.append((out.loss, *torch.autograd.grad(out.loss, [embeddings, head.weight])))
    torch.testing.assert_close(results[1], results[0], rtol=1e-12, atol=1e-14)


def test_the_batch_meets_every_branch(reference: ModuleType) -> None:
    embeddings, prototypes, labels = make_batch()
    cos = torch.tensor(reference.cosines(embeddings.numpy(), prototypes.numpy()), dtype=torch.float64)
    own = cos.gather(1, labels[:, None])
    others = cos[torch.arange(C) != labels[:, None]].reshape(len(labels), C - 1)
    for bar in ((own.acos() + 0.5).cos(), (own.acos() + 0.35).cos(), own - 0.35):
        assert 3 < int((others > bar).sum()) < others.numel() - 3
    assert int((others < -0.25).sum()) > 3
    z = adaface().standardised_norm(embeddings.norm(dim=1))
    assert float(z.min()) == -1.0
    assert float(z.max()) == 1.0
    turned = own.squeeze(1).acos() - 0.4 * z
    assert float(turned.min()) < 0.0
    assert float(turned.max()) > torch.pi
    assert int(((turned > 0.0) & (turned < torch.pi)).sum()) > 3
