"""Every criterion against the slow reference: value and gradient, alone and as a regulariser, whole and in blocks."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call

from hpstudy.catalog import CRITERIA
from hpstudy.exceptions import InputError
from hpstudy.losses._head import CosineHead, CriterionHead
from hpstudy.losses.criteria import (
    AngularTriplet,
    CContrastive,
    Criterion,
    CriterionBatch,
    CTriplet,
    Inter,
    Intra,
    P2SGrad,
    SphereFace2,
)
from hpstudy.losses.margins import AdditiveCosineMargin, NoMargin
from hpstudy.losses.scales import FixedScale

Value = Callable[..., float]
SPHEREFACE2 = {"s": 7.0, "m": 0.3, "t": 2.5, "balance": 0.6, "loss_weight": 5.0}


@dataclass(frozen=True)
class Case:
    """A criterion, and the reference's value of it: (reference, x, w, y, at=…) -> float."""

    build: Callable[[int], Criterion]
    value: Value
    detached: bool = False


def sphereface2(gradient: str) -> Case:
    def value(reference: ModuleType, x: np.ndarray, w: np.ndarray, y: np.ndarray, **at: object) -> float:
        b = SphereFace2(num_classes=len(w), **SPHEREFACE2).b.item()
        return reference.sphereface2(x, w, y, b=b, lam=0.6, r=7.0, m=0.3, t=2.5, lw=5.0, **at)

    return Case(
        lambda c: SphereFace2.for_classes(c, **SPHEREFACE2, gradient=gradient), value, detached=gradient == "detached"
    )


CASES = {
    "c_contrastive": Case(lambda _: CContrastive(m=1.7), lambda r, x, w, y: r.c_contrastive(x, w, y, m=1.7)),
    "c_triplet": Case(lambda _: CTriplet(m=0.8), lambda r, x, w, y: r.c_triplet(x, w, y, m=0.8)),
    "c_triplet-hardest": Case(
        lambda _: CTriplet(m=0.8, negatives="hardest"),
        lambda r, x, w, y: r.c_triplet(x, w, y, m=0.8, hardest_only=True),
    ),
    "p2sgrad": Case(lambda _: P2SGrad(), lambda r, x, w, y: r.p2sgrad(x, w, y)),
    "sphereface2": sphereface2("exact"),
    "sphereface2-detached": sphereface2("detached"),
    "intra": Case(lambda _: Intra(), lambda r, x, w, y: r.intra(x, w, y, s=1.0) - r.normface(x, w, y, s=1.0)),
    "inter": Case(lambda _: Inter(), lambda r, x, w, y: r.inter(x, w, y, s=1.0) - r.normface(x, w, y, s=1.0)),
    "angular_triplet": Case(lambda _: AngularTriplet(m=0.35), lambda r, x, w, y: r.angular_triplet(x, w, y, m=0.35)),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def random_batch(seed: int, n: int = 6, c: int = 4, k: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings and prototypes of many norms, and labels."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(n, k)), rng.normal(size=(c, k))
    return x * rng.uniform(0.1, 30.0, size=(n, 1)), w * rng.uniform(0.1, 10.0, size=(c, 1)), rng.integers(c, size=n)


def alone(case: Case, w: np.ndarray, classes_at_once: int | None = None) -> CosineHead:
    """A head of the criterion alone, float64."""
    c, k = w.shape
    head = CriterionHead(case.build(c), num_classes=c, embedding_dim=k, classes_at_once=classes_at_once).double()
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(w))
    return head


def regularised(case: Case, w: np.ndarray, classes_at_once: int | None = None) -> CosineHead:
    """CosFace, s = 5 and m = 0.2, and 0.3 times the criterion, float64."""
    c, k = w.shape
    head = CosineHead(
        AdditiveCosineMargin(m=0.2),
        FixedScale(s=5.0),
        num_classes=c,
        embedding_dim=k,
        regularisers={"extra": (0.3, case.build(c))},
        classes_at_once=classes_at_once,
    ).double()
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(w))
    return head


def gradients(head: CosineHead, x: np.ndarray, y: np.ndarray) -> tuple[Tensor, list[Tensor]]:
    """Loss, and its gradient with respect to embeddings and every parameter."""
    embeddings = torch.from_numpy(x).requires_grad_()
    loss = head(embeddings, torch.from_numpy(y)).loss
    wanted = [embeddings, *head.parameters()]
    return loss.detach(), [
        torch.zeros_like(of) if grad is None else grad
        for of, grad in zip(wanted, torch.autograd.grad(loss, wanted, allow_unused=True), strict=True)
    ]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 7), c=st.integers(2, 6), k=st.integers(2, 5))
@pytest.mark.parametrize("name", CASES)
def test_value(reference: ModuleType, name: str, seed: int, n: int, c: int, k: int) -> None:
    case, (x, w, y) = CASES[name], random_batch(seed, n, c, k)
    expected = case.value(reference, x, w, y)
    out = alone(case, w)(torch.from_numpy(x), torch.from_numpy(y))
    assert out.loss.shape == ()
    assert out.loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    total = reference.cosface(x, w, y, s=5.0, m=0.2) + 0.3 * expected
    out = regularised(case, w)(torch.from_numpy(x), torch.from_numpy(y))
    assert out.loss.item() == pytest.approx(total, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_gradient_is_that_of_the_reference(reference: ModuleType, case: Case, seed: int) -> None:
    x, w, y = random_batch(seed)
    frozen = {"at": (x, w)} if case.detached else {}
    of_x = reference.numerical_gradient(lambda point: case.value(reference, point, w, y, **frozen), x)
    of_w = reference.numerical_gradient(lambda point: case.value(reference, x, point, y, **frozen), w)
    _, (grad_x, grad_w, *_) = gradients(alone(case, w), x, y)
    np.testing.assert_allclose(grad_x.numpy(), of_x, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(grad_w.numpy(), of_w, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("classes_at_once", [None, 3])
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.detached])
def test_gradient_as_a_regulariser(name: str, classes_at_once: int | None) -> None:
    x, w, y = random_batch(4, n=4)
    head = regularised(CASES[name], w, classes_at_once)
    names = [name for name, _ in head.named_parameters()]

    def loss(embeddings: Tensor, *parameters: Tensor) -> Tensor:
        return functional_call(head, dict(zip(names, parameters, strict=True)), (embeddings, torch.from_numpy(y))).loss

    points = [torch.from_numpy(x), *(parameter.detach().double() for parameter in head.parameters())]
    assert torch.autograd.gradcheck(loss, [point.requires_grad_() for point in points])


@pytest.mark.parametrize("build", [alone, regularised])
def test_blocks_change_nothing(case: Case, build: Callable[..., CosineHead]) -> None:
    x, w, y = random_batch(5, n=9, c=8, k=4)

    def result(classes_at_once: int | None) -> tuple[Tensor, list[Tensor]]:
        head = build(case, w, classes_at_once)
        for parameter in head.parameters():
            parameter.data = parameter.data.double()  # also the bias that a cast leaves alone
        return gradients(head, x, y)

    loss, grads = result(None)
    for classes_at_once in (1, 3, 8):
        other, others = result(classes_at_once)
        torch.testing.assert_close(other, loss, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(others, grads, rtol=1e-10, atol=1e-12)


def test_terms_are_what_the_loss_adds_up(case: Case) -> None:
    x, w, y = random_batch(6)
    batch = torch.from_numpy(x), torch.from_numpy(y)
    plain = CosineHead(NoMargin(), FixedScale(s=5.0), num_classes=4, embedding_dim=3).double()
    both = CosineHead(
        NoMargin(),
        FixedScale(s=5.0),
        num_classes=4,
        embedding_dim=3,
        regularisers={"one": (0.25, case.build(4)), "p2sgrad": (2.0, P2SGrad())},
    ).double()
    with torch.no_grad():
        plain.weight.copy_(torch.from_numpy(w))
        both.weight.copy_(torch.from_numpy(w))
    out = both(*batch)
    assert list(out.terms) == ["softmax", "one", "p2sgrad"]
    assert not any(term.requires_grad for term in out.terms.values())
    torch.testing.assert_close(sum(out.terms.values()), out.loss.detach())
    torch.testing.assert_close(out.terms["softmax"], plain(*batch).loss.detach())
    torch.testing.assert_close(out.terms["one"], 0.25 * alone(case, w)(*batch).loss.detach())
    torch.testing.assert_close(out.terms["p2sgrad"], 2.0 * alone(CASES["p2sgrad"], w)(*batch).loss.detach())
    assert dict(out.statistics) == dict(plain(*batch).statistics)


def test_a_criterion_alone_is_the_whole_loss_and_takes_regularisers() -> None:
    x, w, y = random_batch(7)
    batch = torch.from_numpy(x), torch.from_numpy(y)
    head = CriterionHead(CTriplet(m=0.8), num_classes=4, embedding_dim=3, regularisers={"intra": (0.5, Intra())})
    with torch.no_grad():
        head.double().weight.copy_(torch.from_numpy(w))
    out = head(*batch)
    assert list(out.terms) == ["c_triplet", "intra"]
    expected = alone(CASES["c_triplet"], w)(*batch).loss + 0.5 * alone(CASES["intra"], w)(*batch).loss
    torch.testing.assert_close(out.loss, expected)
    torch.testing.assert_close(out.logits, out.cosines)
    with pytest.raises(InputError, match="'c_triplet' is the loss itself and cannot be its own regulariser"):
        CriterionHead(
            CTriplet(m=0.8), num_classes=4, embedding_dim=3, regularisers={"c_triplet": (1.0, CTriplet(m=1.0))}
        )


class _TargetCosine(Criterion):
    name = ""

    def forward(self, batch: CriterionBatch, sums: object) -> Tensor:
        return -batch.cos_target_N.mean()


def test_a_criterion_from_outside_needs_no_name() -> None:
    x, _, y = random_batch(8)
    head = CriterionHead(_TargetCosine(), num_classes=4, embedding_dim=3).double()
    out = head(torch.from_numpy(x), torch.from_numpy(y))
    torch.testing.assert_close(out.loss.detach(), -out.cosines.gather(1, torch.from_numpy(y)[:, None]).mean())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CContrastive(m=4.1), r"m must lie in \[0, 4\] \(squared distance\), but got 4\.1"),
        (lambda: CTriplet(m=-0.1), r"m must lie in \[0, 4\] \(squared distance\), but got -0\.1"),
        (lambda: CTriplet(m=0.8, negatives="some"), "negatives must be one of all, hardest, but got 'some'"),
        (lambda: AngularTriplet(m=20.0), r"\(rad\), but got 20\.0; if it is in degrees, write 0\.3491"),
        *(
            (lambda name=name, value=value: SphereFace2(num_classes=10, **{**SPHEREFACE2, name: value}), message)
            for name, value, message in (
                ("s", 0.0, r"s must lie in \(0, 10000\]"),
                ("m", 2.1, r"m must lie in \[0, 2\] \(cosine\)"),
                ("t", 0.9, r"t must lie in \[1, 100\]"),
                ("balance", 1.0, r"balance must lie in \(0, 0\.999\]"),
                ("loss_weight", 0.0, r"loss_weight must lie in \(0, 10000\]"),
                ("gradient", "none", "gradient must be one of detached, exact, but got 'none'"),
            )
        ),
        (lambda: SphereFace2(num_classes=1, **SPHEREFACE2), "num_classes must be at least 2, but got 1"),
    ],
)
def test_refusals(build: Callable[[], Criterion], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()


def test_names_and_parameters_are_those_of_the_catalogue() -> None:
    classes = [CContrastive, CTriplet, P2SGrad, SphereFace2, Intra, Inter, AngularTriplet]
    assert [each.name for each in classes] == list(CRITERIA)
    for each in classes:
        row = CRITERIA[each.name]
        defaults = {name: info.default for name, info in (*row.parameters.items(), *row.options.items())}
        built = each.for_classes(10, **defaults)
        assert built.s == defaults.get("s", 1.0)
        for name, value in defaults.items():
            assert getattr(built, name) == value
