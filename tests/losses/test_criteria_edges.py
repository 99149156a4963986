"""Criteria at the ends of the cosine, at ties, in half precision, and SphereFace2's bias."""

import itertools
import math
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hpstudy.catalog import CRITERIA
from hpstudy.losses._head import CosineHead, CriterionHead
from hpstudy.losses.criteria import (
    AngularTriplet,
    CContrastive,
    Criterion,
    CTriplet,
    Inter,
    Intra,
    P2SGrad,
    SphereFace2,
)

C, K = 6, 4
DEFAULTS = {name: info.default for name, info in CRITERIA["sphereface2"].parameters.items()}
BUILD = {
    "c_contrastive": lambda: CContrastive(m=1.0),
    "c_triplet": lambda: CTriplet(m=0.8),
    "c_triplet-hardest": lambda: CTriplet(m=0.8, negatives="hardest"),
    "p2sgrad": P2SGrad,
    "sphereface2": lambda: SphereFace2(num_classes=C, **DEFAULTS),
    "sphereface2-power": lambda: SphereFace2(num_classes=C, **{**DEFAULTS, "t": 1.5}),
    "sphereface2-detached": lambda: SphereFace2(num_classes=C, **DEFAULTS, gradient="detached"),
    "intra": Intra,
    "inter": Inter,
    "angular_triplet": lambda: AngularTriplet(m=0.35),
}


def head_of(criterion: Criterion, weight: Tensor, classes_at_once: int | None = None) -> CosineHead:
    c, k = weight.shape
    head = CriterionHead(criterion, num_classes=c, embedding_dim=k, classes_at_once=classes_at_once)
    head.to(weight.dtype)
    with torch.no_grad():
        head.weight.copy_(weight)
    return head


def loss_and_gradients(head: CosineHead, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
    embeddings = embeddings.detach().requires_grad_()
    loss = head(embeddings, labels).loss
    loss.backward()
    return loss.detach(), [
        torch.zeros_like(of) if of.grad is None else of.grad for of in (embeddings, *head.parameters())
    ]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", BUILD)
def test_everything_is_finite_at_the_ends(name: str, dtype: torch.dtype) -> None:
    """On the prototype, opposite it, without direction, twice the same sample, and with two equal prototypes."""
    weight = torch.randn(C, K, generator=torch.Generator().manual_seed(0))
    weight[1] = weight[0]
    for axes, training in itertools.product((False, True), repeat=2):
        prototypes = (
            torch.eye(C, K) if axes else weight
        )  # cosines of exactly ±1 and 0, and prototypes without direction
        embeddings = torch.cat([prototypes, -prototypes, torch.zeros(1, K), 100.0 * prototypes]).to(dtype)
        labels = torch.cat([torch.arange(C), torch.arange(C), torch.tensor([2]), torch.arange(C)])
        head = head_of(BUILD[name](), prototypes.to(dtype)).train(training)
        loss, gradients = loss_and_gradients(head, embeddings, labels)
        assert torch.finfo(loss.dtype).bits >= 32
        assert bool(loss.isfinite())
        assert all(bool(grad.isfinite().all()) for grad in gradients)


@pytest.mark.parametrize("name", BUILD)
def test_half_precision_and_autocast_change_little(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(C, K, generator=generator)
    embeddings, labels = torch.randn(12, K, generator=generator).bfloat16(), torch.arange(12) % C
    exact = head_of(BUILD[name](), weight.double())(embeddings.double(), labels).loss
    plain = head_of(BUILD[name](), weight)(embeddings, labels).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = head_of(BUILD[name](), weight)(embeddings, labels).loss
    assert plain.dtype == torch.float32
    assert torch.equal(plain, under)
    torch.testing.assert_close(plain.double(), exact, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("classes_at_once", [None, 1, 2])
def test_tied_hardest_prototypes_share_the_gradient(classes_at_once: int | None) -> None:
    """A copy of the hardest prototype, wherever its block, moves no sample and takes half of the gradient."""
    weight = torch.eye(4, K, dtype=torch.float64)  # whose cosines are the same numbers in every block
    embeddings = torch.randn(5, K, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    embeddings += 5.0 * weight[1]  # class 1 is the hardest of all samples
    labels = torch.zeros(5, dtype=torch.int64)
    doubled = torch.cat([weight, weight[1:2]])
    loss, (of_x, of_w) = loss_and_gradients(head_of(BUILD["c_triplet-hardest"](), weight), embeddings, labels)
    tied_loss, (tied_of_x, tied_of_w) = loss_and_gradients(
        head_of(BUILD["c_triplet-hardest"](), doubled, classes_at_once), embeddings, labels
    )
    assert bool(of_w[1].any())
    torch.testing.assert_close(tied_loss, loss)
    torch.testing.assert_close(tied_of_x, of_x)
    torch.testing.assert_close(tied_of_w[1], 0.5 * of_w[1])
    torch.testing.assert_close(tied_of_w[4], 0.5 * of_w[1])


@pytest.mark.parametrize("labels", [[0], [0, 1, 2, 3], [2, 2, 2, 2]])
def test_a_batch_without_triplets_gives_nothing(labels: list[int]) -> None:
    weight = torch.randn(C, K, generator=torch.Generator().manual_seed(3))
    embeddings = torch.randn(len(labels), K, generator=torch.Generator().manual_seed(4))
    loss, (of_x, of_w) = loss_and_gradients(head_of(AngularTriplet(m=0.35), weight), embeddings, torch.tensor(labels))
    assert loss.item() == 0.0
    assert not bool(of_x.any())
    assert not bool(of_w.any())


def test_angular_triplet_averages_over_the_samples_that_have_both() -> None:
    angles = torch.tensor([0.0, 0.5, 0.7, 2.0], dtype=torch.float64)
    embeddings = torch.stack([angles.cos(), angles.sin()], dim=1)
    head = head_of(AngularTriplet(m=0.35), torch.eye(2, dtype=torch.float64))
    loss = head(embeddings, torch.tensor([0, 0, 1, 1])).loss
    hinges = [0.5 + 0.35 - 0.7, 0.5 + 0.35 - 0.2, 1.3 + 0.35 - 0.2, 1.3 + 0.35 - 1.5]
    assert loss.item() == pytest.approx(math.fsum(hinges) / 4)
    lonely = head(embeddings[:3], torch.tensor([0, 0, 1])).loss
    assert lonely.item() == pytest.approx(math.fsum(hinges[:2]) / 2)


@pytest.mark.parametrize(("num_classes", "expected"), [(10, 12.950178), (10575, 5.581365), (85742, 3.488239)])
def test_bias_starts_where_the_public_code_starts_it(reference: ModuleType, num_classes: int, expected: float) -> None:
    b = SphereFace2(num_classes=num_classes, **DEFAULTS).b.item()
    assert b == pytest.approx(expected, abs=2e-6)
    assert b == pytest.approx(reference.sphereface2_bias(num_classes), rel=1e-6)


def log_sigmoid(z: float) -> float:
    return min(z, 0.0) - math.log1p(math.exp(-abs(z)))


@settings(max_examples=200, deadline=None)
@given(
    num_classes=st.sampled_from([2, 3, 4, 5, 100, 10**6]),
    s=st.floats(0.1, 1e4),
    m=st.floats(0.0, 2.0),
    t=st.floats(1.0, 10.0),
    balance=st.one_of(st.floats(0.01, 0.999), st.sampled_from([0.5, 0.7, 2 / 3, 0.75])),
)
def test_bias_is_stationary_for_cosines_of_zero(num_classes: int, s: float, m: float, t: float, balance: float) -> None:
    """λ·σ(−(a_y + b)) = (1−λ)(C−1)·σ(a_j + b), in logarithms, to what float32 holds of b."""
    b = SphereFace2(num_classes=num_classes, s=s, m=m, t=t, balance=balance, loss_weight=1.0).b.item()
    bare = s * (2.0 * 0.5**t - 1.0)
    pull = math.log(balance) + log_sigmoid(-(bare - s * m + b))
    push = math.log((1.0 - balance) * (num_classes - 1)) + log_sigmoid(bare + s * m + b)
    assert pull == pytest.approx(push, abs=2e-7 * (1.0 + abs(b)) + 1e-12 * s)


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_bias_has_no_gradient_where_it_starts(num_classes: int) -> None:
    weight = torch.eye(num_classes, num_classes + 1, dtype=torch.float64)
    embeddings = torch.zeros(num_classes, num_classes + 1, dtype=torch.float64)
    embeddings[:, -1] = 1.0
    head = head_of(SphereFace2(num_classes=num_classes, **DEFAULTS), weight)
    _, gradients = loss_and_gradients(head, embeddings, torch.arange(num_classes))
    assert gradients[-1].item() == pytest.approx(0.0, abs=1e-6)


def test_bias_learns_and_keeps_its_type_when_the_head_is_cast() -> None:
    weight = torch.randn(C, K, generator=torch.Generator().manual_seed(5))
    head = head_of(SphereFace2(num_classes=C, **DEFAULTS), weight)
    names = [name for name, _ in head.named_parameters()]
    assert names == ["weight", "criteria.sphereface2.b"]
    _, (_, _, of_b) = loss_and_gradients(head, weight.clone(), torch.arange(C))
    assert of_b.shape == ()
    assert of_b.item() != 0.0
    before = head.criteria["sphereface2"].b.detach().clone()
    head.bfloat16()
    assert head.weight.dtype == torch.bfloat16
    assert torch.equal(head.criteria["sphereface2"].b.detach(), before)
    assert head.state_dict()["criteria.sphereface2.b"].dtype == torch.float32
    assert head.scale.value.item() == DEFAULTS["s"]


def test_a_head_of_a_criterion_trains() -> None:
    """Every criterion that can stand alone tells well apart what can be told apart."""
    generator = torch.Generator().manual_seed(6)
    centres = torch.cat([torch.eye(K), -torch.eye(C - K, K)])
    labels = torch.arange(60) % C
    embeddings = centres[labels] + 0.1 * torch.randn(60, K, generator=generator)
    weight = centres + torch.randn(C, K, generator=generator)
    for name in ("c_contrastive", "c_triplet", "c_triplet-hardest", "p2sgrad", "sphereface2", "sphereface2-detached"):
        head = head_of(BUILD[name](), weight)
        optimiser = torch.optim.Adam(head.parameters(), lr=0.2)
        for _ in range(12):
            optimiser.zero_grad()
            out = head(embeddings, labels)
            out.loss.backward()
            optimiser.step()
        assert torch.equal(head(embeddings, labels).cosines.argmax(1), labels), name
