"""Every loss of the catalogue, and every margin with every scale, against the suites."""

import math
import sys
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpstudy.catalog import CRITERIA, LOSSES, MARGINS
from hpstudy.losses import (
    MARGIN_CLASSES,
    SCALE_CLASSES,
    CosineHead,
    HeadOutput,
    batch_cosines,
    build_head,
    build_head_from_parts,
    head_statistics,
)
from hpstudy.testing import (
    BuildHead,
    CosineHeadSuite,
    CrossEntropySuite,
    NormInvariantSuite,
    assert_finite_backward,
    batch_at_angles,
    random_batch,
)

SOFTMAX = [name for name, info in LOSSES.items() if not info.criterion]
CRITERIA_ALONE = [name for name, info in LOSSES.items() if info.criterion]
NORM_INVARIANT = [name for name, info in LOSSES.items() if info.norm_invariant]


def seeded(name: str, **params: object) -> BuildHead:
    return lambda num_classes, embedding_dim: build_head(
        name,
        num_classes=num_classes,
        embedding_dim=embedding_dim,
        generator=torch.Generator().manual_seed(0),
        **params,
    )


class TestSoftmaxLosses(CosineHeadSuite, CrossEntropySuite):
    @pytest.fixture(params=SOFTMAX)
    def build_head(self, request: pytest.FixtureRequest) -> BuildHead:
        return seeded(request.param)


class TestCriteriaAlone(CosineHeadSuite):
    @pytest.fixture(params=CRITERIA_ALONE)
    def build_head(self, request: pytest.FixtureRequest) -> BuildHead:
        return seeded(request.param)


class TestRegularisers(CosineHeadSuite, CrossEntropySuite):
    @pytest.fixture(params=CRITERIA)
    def build_head(self, request: pytest.FixtureRequest) -> BuildHead:
        return seeded("arcface", regularisers={request.param: {"weight": 0.5}})


class TestNormInvariantLosses(NormInvariantSuite):
    @pytest.fixture(params=NORM_INVARIANT)
    def build_head(self, request: pytest.FixtureRequest) -> BuildHead:
        return seeded(request.param)

    @pytest.fixture
    def batch(self) -> tuple[Tensor, Tensor]:
        return random_batch(num_samples=24, num_classes=12, embedding_dim=8, seed=5)


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in NORM_INVARIANT])
def test_losses_of_the_norm_do_depend_on_it(name: str) -> None:
    x, y = random_batch(num_samples=24, num_classes=12, embedding_dim=8, seed=5)
    losses = [seeded(name)(12, 8)(F.normalize(x) * norm, y).loss for norm in (15.0, 40.0)]
    weights = [seeded(name)(12, 8), seeded(name)(12, 8)]
    with torch.no_grad():
        weights[1].weight.mul_(3.0)
    of_prototypes = [head(x, y).loss for head in weights]
    assert not torch.allclose(losses[0], losses[1]) or not torch.allclose(of_prototypes[0], of_prototypes[1])


@pytest.mark.parametrize("margin", MARGIN_CLASSES)
@pytest.mark.parametrize("scale", SCALE_CLASSES)
def test_every_margin_goes_with_every_scale(margin: str, scale: str) -> None:
    """Blockwise gradients are those of autograd through the dense logits, in training, twice, and then frozen."""
    part = {"name": margin, **({"lambda_g": 0.0} if margin == "magface" else {})}  # its term beside the softmax
    head = build_head_from_parts(part, {"name": scale}, num_classes=7, embedding_dim=5, classes_at_once=3)
    head.weight.data = head.weight.data.double()
    for seed, training in ((0, True), (1, True), (2, False)):
        x, y = random_batch(num_samples=9, num_classes=7, embedding_dim=5, seed=seed, dtype=torch.float64)
        x = (x * 10).requires_grad_()
        out: HeadOutput = head.train(training)(x, y)
        inputs = [x, *head.parameters()]
        dense = F.cross_entropy(out.logits, y)
        torch.testing.assert_close(out.terms["softmax"], dense.detach(), rtol=1e-12, atol=1e-12)
        expected = torch.autograd.grad(dense, inputs, retain_graph=True)
        torch.testing.assert_close(torch.autograd.grad(out.loss, inputs), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("margin", MARGIN_CLASSES)
@pytest.mark.parametrize("s", [1e-3, 1.0, 512.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_scales_on_at_and_opposite_the_prototype(margin: str, s: float, dtype: torch.dtype) -> None:
    head = build_head_from_parts({"name": margin}, {"name": "fixed", "s": s}, num_classes=6, embedding_dim=8)
    for angle in (0.0, 1e-4, math.pi / 2, math.pi - 1e-4, math.pi):
        labels = torch.arange(6)
        embeddings = batch_at_angles(torch.full((6,), angle), head.weight.detach(), labels).to(dtype).requires_grad_()
        with torch.autocast("cpu", dtype=torch.float16 if dtype == torch.float16 else torch.bfloat16):
            assert_finite_backward(head(embeddings, labels), embeddings, head)


NEUTRAL = {
    "additive_cosine": {"m": 0.0},
    "additive_angle": {"m": 0.0},
    "multiplicative_angle": {"m": 1.0},
    "annealed_multiplicative_angle": {"m": 1.0},
    "divided_angle": {"m": 1.0},
    "combined": {"m1": 1.0, "m2": 0.0, "m3": 0.0},
    "adaface": {"m": 0.0},
    "magface": {"l_m": 0.0, "u_m": 0.0, "lambda_g": 0.0},
    "mv_cosine": {"m": 0.0, "t": 0.0},
    "mv_angle": {"m": 0.0, "t": 0.0},
}


@pytest.mark.parametrize("margin", NEUTRAL)
@pytest.mark.parametrize("scale", SCALE_CLASSES)
def test_a_margin_of_nothing_is_normface_at_the_same_scale(margin: str, scale: str) -> None:
    heads = [
        build_head_from_parts(
            part, {"name": scale}, num_classes=7, embedding_dim=5, generator=torch.Generator().manual_seed(1)
        )
        for part in ({"name": margin, **NEUTRAL[margin]}, {"name": "none"})
    ]
    x, y = random_batch(num_samples=20, num_classes=7, embedding_dim=5, seed=3)
    for _ in range(3):
        outputs = [head(x, y) for head in heads]
        torch.testing.assert_close(outputs[0].loss, outputs[1].loss, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(dict(outputs[0].statistics), dict(outputs[1].statistics), rtol=1e-5, atol=1e-6)


def test_every_margin_with_a_neutral_value_is_compared() -> None:
    without = set(MARGINS) - set(NEUTRAL)
    assert without == {"none", "circle", "curricular"}  # circle reweighs at m = 0 as well, curricular by t


@pytest.mark.parametrize("margin", NEUTRAL)
@pytest.mark.parametrize("s", [1.0, 64.0])
def test_loss_is_not_below_that_without_margin(margin: str, s: float) -> None:
    plain = build_head_from_parts({"name": "none"}, {"name": "fixed", "s": s}, num_classes=9, embedding_dim=16)
    head = build_head_from_parts({"name": margin}, {"name": "fixed", "s": s}, num_classes=9, embedding_dim=16)
    head.weight.data = plain.weight.data
    for angle in torch.linspace(0.0, math.pi, 60):
        labels = torch.arange(9)
        x = 20.0 * batch_at_angles(angle.expand(9), plain.weight.detach(), labels)
        assert head(x, labels).loss >= plain(x, labels).loss - 1e-5 * max(1.0, s)


class TemperedSoftmax(nn.Module):
    """A loss that knows nothing of margins and scales, and initialises from torch's global generator."""

    def __init__(self, num_classes: int, embedding_dim: int, *, temperature: float) -> None:
        super().__init__()
        self.classifier = nn.Linear(embedding_dim, num_classes, bias=False)
        self.temperature = temperature

    def forward(self, embeddings: Tensor, labels: Tensor) -> HeadOutput:
        with torch.autocast("cpu", enabled=False):
            cosines = batch_cosines(embeddings, self.classifier.weight)
            logits = cosines / self.temperature
            return HeadOutput(
                loss=F.cross_entropy(logits, labels),
                statistics=head_statistics(cosines, labels, torch.tensor(1.0 / self.temperature)),
                cosine_blocks=lambda: [cosines.detach()],
                compute_logits=lambda: logits,
            )


class TestUsersOwnLoss(CrossEntropySuite):
    """A head from outside needs a builder and nothing else."""

    @pytest.fixture
    def build_head(self, monkeypatch: pytest.MonkeyPatch) -> BuildHead:
        module = ModuleType("their_losses")
        module.TemperedSoftmax = TemperedSoftmax
        monkeypatch.setitem(sys.modules, "their_losses", module)
        return seeded("their_losses:TemperedSoftmax", temperature=0.1)


def test_a_named_head_is_a_cosine_head() -> None:
    assert all(isinstance(seeded(name)(12, 8), CosineHead) for name in LOSSES)
