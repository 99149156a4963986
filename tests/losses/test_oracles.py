"""Numbers worked out by hand or in closed form."""

import math

import pytest
import torch
from torch import Tensor

from hpstudy.exceptions import InputError
from hpstudy.losses import CosineHead, HeadOutput, build_head
from hpstudy.losses.scales import AdaCosDynamicScale, AdaCosFixedScale, TargetStatistics
from hpstudy.testing import batch_with_cosines, random_batch

TINY_COSINES = [[0.9, 0.1, -0.2], [0.0, 0.8, 0.3], [0.2, -0.1, 0.7], [0.6, 0.5, 0.1]]
TINY_LABELS = [0, 1, 2, 1]


def run(head: CosineHead, embeddings: Tensor, weight: Tensor, labels: Tensor) -> HeadOutput:
    head.to(weight.dtype)
    with torch.no_grad():
        head.weight.copy_(weight)
    return head(embeddings, labels)


def tiny_batch() -> tuple[Tensor, Tensor, Tensor]:
    embeddings, weight = batch_with_cosines(torch.tensor(TINY_COSINES, dtype=torch.float64))
    return embeddings, weight, torch.tensor(TINY_LABELS)


def head_for(name: str, weight: Tensor, **params: float) -> CosineHead:
    head = build_head(name, num_classes=len(weight), embedding_dim=weight.shape[1], **params)
    assert isinstance(head, CosineHead)
    return head


class TestDynamicAdaCosOnATinyBatch:
    def test_step(self) -> None:
        embeddings, weight, labels = tiny_batch()
        head = head_for("adacos", weight)
        assert head.scale.value.item() == pytest.approx(0.980258, abs=5e-7)
        out = run(head, embeddings, weight, labels)
        assert out.statistics["log_b_avg"].item() == pytest.approx(math.log(2.323430), abs=5e-7)
        assert out.statistics["theta_med"].item() == pytest.approx(0.643501, abs=5e-7)
        assert out.statistics["s"].item() == pytest.approx(1.053805, abs=5e-7)
        assert out.statistics["theta_target_mean"].item() == pytest.approx(
            (0.451027 + 0.643501 + 0.795399 + 1.047198) / 4, abs=5e-7
        )

    def test_other_statistics(self) -> None:
        embeddings, weight, labels = tiny_batch()
        out = run(head_for("normface", weight, s=10.0), embeddings, weight, labels)
        nontargets = torch.tensor([0.1, -0.2, 0.0, 0.3, 0.2, -0.1, 0.6, 0.1], dtype=torch.float64)
        assert out.statistics["cos_nontarget_mean"].item() == pytest.approx(nontargets.mean().item(), abs=1e-12)
        assert out.statistics["cos_nontarget_std"].item() == pytest.approx(
            nontargets.std(correction=0).item(), abs=1e-12
        )
        posteriors = sorted(
            math.exp(10 * row[y]) / math.fsum(math.exp(10 * cos) for cos in row)
            for row, y in zip(TINY_COSINES, TINY_LABELS, strict=True)
        )
        assert out.statistics["posterior_med"].item() == pytest.approx(posteriors[1], abs=1e-12)
        margined = run(head_for("cosface", weight, s=10.0, m=0.5), embeddings, weight, labels)
        assert margined.statistics["posterior_med"].item() == pytest.approx(posteriors[1], abs=1e-12)

    def test_signatures_of_known_bugs_are_not_ours(self) -> None:
        """Each published bug, done on purpose on the same batch, gives its known wrong s; ours is none of them."""
        cos, s0 = torch.tensor(TINY_COSINES, dtype=torch.float64), math.sqrt(2) * math.log(2)
        is_target = torch.nn.functional.one_hot(torch.tensor(TINY_LABELS), 3).bool()
        nontargets = (s0 * cos).exp().masked_fill(is_target, 0.0).sum(1)
        cos_med = math.cos(min(math.pi / 4, cos[is_target].acos().median().item()))
        bugs = {
            "target included in B": (math.log((s0 * cos).exp().sum(1).mean()) / cos_med, 1.846262),
            "mean over classes": (math.log((nontargets / 3).mean()) / cos_med, -0.319460),
            "s·exp(cos)": (math.log((s0 * cos.exp()).masked_fill(is_target, 0.0).sum(1).mean()) / cos_med, 1.033389),
            "median over all angles": (
                math.log(nontargets.mean()) / math.cos(min(math.pi / 4, cos.acos().median().item())),
                1.192245,
            ),
            "mean of the middle two": (
                math.log(nontargets.mean()) / math.cos(min(math.pi / 4, cos[is_target].acos().quantile(0.5).item())),
                1.120819,
            ),
        }
        embeddings, weight, labels = tiny_batch()
        ours = run(head_for("adacos", weight), embeddings, weight, labels).statistics["s"].item()
        for bug, (wrong, signature) in bugs.items():
            assert wrong == pytest.approx(signature, abs=1e-6), bug
            assert abs(ours - wrong) > 0.01, bug

    def test_scale_is_frozen_in_eval_mode(self) -> None:
        embeddings, weight, labels = tiny_batch()
        head = head_for("adacos", weight)
        out = run(head.eval(), embeddings, weight, labels)
        assert head.scale.value.item() == out.statistics["s"].item() == pytest.approx(0.980258, abs=5e-7)


@pytest.mark.parametrize("num_classes", [10, 100])
def test_dynamic_scale_of_a_collapsed_balanced_set(num_classes: int) -> None:
    """Features on a simplex of prototypes: s → (C−1)/C·log(C−1), loss → ln 2, posterior → 1/2."""
    expected = {10: 1.977502, 100: 4.549169}[num_classes]
    weight = torch.eye(num_classes, dtype=torch.float64) - 1.0 / num_classes
    head = head_for("adacos", weight)
    for _ in range(40):
        out = run(head, weight * 3.0, weight, torch.arange(num_classes))
    assert out.statistics["s"].item() == pytest.approx(expected, abs=2e-6)
    assert out.loss.item() == pytest.approx(math.log(2), abs=1e-6)
    assert out.statistics["posterior_med"].item() == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize(("num_classes", "s"), [(10, 3.107345), (100, 6.498481), (10575, 13.104320)])
def test_fixed_adacos_scale(num_classes: int, s: float) -> None:
    assert AdaCosFixedScale(num_classes=num_classes).value.item() == pytest.approx(s, abs=1e-6)
    assert AdaCosDynamicScale(num_classes=num_classes).value.item() == pytest.approx(s, abs=1e-6)


def test_two_classes_leave_adacos_no_scale() -> None:
    with pytest.raises(InputError, match="an AdaCos scale needs at least 3 classes, but got 2"):
        build_head("adacos", num_classes=2, embedding_dim=4)


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("cosface", {"s": 64.0, "m": 0.35}, 31.666153),
        ("arcface", {"s": 64.0, "m": 0.5}, 39.949388),
        ("normface", {"s": 64.0}, 9.266248),
        ("normface", {"s": 1.0}, 9.266248),
    ],
)
def test_loss_when_all_cosines_are_zero(name: str, params: dict[str, float], expected: float) -> None:
    weight = torch.tensor([[1.0, 0.0]]).repeat(10575, 1)
    out = run(head_for(name, weight, **params), torch.tensor([[0.0, 2.0]]), weight, torch.tensor([7]))
    assert out.loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("num_classes", "posterior"), [(10, 0.450853), (1000, 0.007342)])
def test_posterior_when_every_other_class_is_opposite(num_classes: int, posterior: float) -> None:
    """NormFace's worst case at s = 1: e/(e + (n−1)/e)."""
    weight = torch.tensor([[-1.0, 0.0]]).repeat(num_classes, 1)
    weight[0] = torch.tensor([1.0, 0.0])
    out = run(head_for("normface", weight, s=1.0), weight[:1], weight, torch.tensor([0]))
    assert out.statistics["posterior_med"].item() == pytest.approx(posterior, abs=5e-7)


def test_loss_reaches_normfaces_bound_on_a_simplex() -> None:
    weight = torch.eye(10, dtype=torch.float64) - 0.1
    for s, bound in ((1.0, 1.376935), (4.0, 0.100472), (16.0, 1.71180e-7)):
        out = run(head_for("normface", weight, s=s), weight, weight, torch.arange(10))
        assert out.loss.item() == pytest.approx(bound, rel=1e-5)


def test_small_losses_keep_their_digits_in_float32() -> None:
    weight = torch.eye(3)
    out = run(head_for("normface", weight, s=64.0), weight, weight, torch.arange(3))
    assert out.loss.item() == pytest.approx(2 * math.exp(-64), rel=1e-4)


def test_dynamic_step_on_gathered_samples_is_the_step_on_the_whole_batch() -> None:
    """What data parallelism relies on: the rule sees per-sample vectors only, in any order."""
    generator = torch.Generator().manual_seed(0)
    theta, log_b = torch.rand(12, generator=generator), torch.randn(12, generator=generator)
    whole, gathered = AdaCosDynamicScale(num_classes=10), AdaCosDynamicScale(num_classes=10)
    whole.step(TargetStatistics(theta_target_N=theta, log_b_N=log_b))
    ranks = [slice(9, 12), slice(0, 4), slice(4, 9)]
    gathered.step(
        TargetStatistics(
            theta_target_N=torch.cat([theta[rank] for rank in ranks]),
            log_b_N=torch.cat([log_b[rank] for rank in ranks]),
        )
    )
    assert gathered.value.item() == pytest.approx(whole.value.item(), rel=1e-6)


def test_runaway_is_seen_and_not_hidden() -> None:
    """A non-finite batch makes s non-finite, so that the trainer can end the trial."""
    head = build_head("adacos", num_classes=5, embedding_dim=4)
    embeddings, labels = random_batch(num_samples=3, num_classes=5, embedding_dim=4, seed=0)
    embeddings[1, 2] = torch.inf
    out = head(embeddings, labels)
    assert not bool(out.loss.isfinite())
    assert not bool(out.statistics["s"].isfinite())
