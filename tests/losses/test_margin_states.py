"""What adaptive margins remember: when it moves, by how much, and when it does not."""

import copy
from types import ModuleType

import pytest
import torch
from torch import Tensor

from hpstudy.losses import CosineHead, Margin, Targets
from hpstudy.losses.margins import AdaFaceMargin, AnnealedMultiplicativeAngleMargin, CurricularMargin
from hpstudy.losses.scales import FixedScale
from hpstudy.testing import random_batch

S, C, K = 8.0, 5, 4


def annealed(**params: float) -> AnnealedMultiplicativeAngleMargin:
    published = {"m": 4.0, "base": 1000.0, "gamma": 0.12, "power": 1.0, "lambda_min": 5.0}
    return AnnealedMultiplicativeAngleMargin(**published | params)


def adaptive(name: str) -> Margin:
    if name == "adaface":
        return AdaFaceMargin(m=0.4, h=0.333, t_alpha=0.3)
    return annealed() if name == "annealed" else CurricularMargin(m=0.5, momentum=0.9)


def make_head(margin: Margin) -> CosineHead:
    generator = torch.Generator().manual_seed(2)
    return CosineHead(margin, FixedScale(s=S), num_classes=C, embedding_dim=K, generator=generator).double()


def batch(seed: int) -> tuple[Tensor, Tensor]:
    x, y = random_batch(num_samples=6, num_classes=C, embedding_dim=K, seed=seed, dtype=torch.float64)
    return x * torch.linspace(2.0, 70.0, 6, dtype=torch.float64)[:, None], y


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(0, 1000.0), (1, 892.857143), (10, 454.545455), (100, 76.923077), (1000, 8.264463), (1658, 5.001000), (1659, 5.0)],
)
def test_published_annealing(steps: int, expected: float) -> None:
    margin = annealed()
    margin.steps.fill_(steps)
    assert margin.weight_of_cosine(torch.float64).item() == pytest.approx(expected, abs=5e-7)


def test_annealing_with_a_power() -> None:
    margin = annealed(gamma=1e-4, power=2.0)
    for steps, above in ((131_421, True), (131_422, False)):
        margin.steps.fill_(steps)
        assert (margin.weight_of_cosine(torch.float64).item() > 5.0) == above


def test_annealing_counts_before_use(reference: ModuleType) -> None:
    head = make_head(annealed())
    for t in (1, 2, 3):
        x, y = batch(t)
        expected = reference.sphereface(
            x.numpy(), head.weight.detach().numpy(), y.numpy(), s=S, m=4.0, lam=reference.annealing(t)
        )
        assert head(x, y).loss.item() == pytest.approx(expected, rel=1e-12)


def test_adaface_averages_before_use(reference: ModuleType) -> None:
    margin = AdaFaceMargin(m=0.4, h=0.333, t_alpha=0.3)
    head = make_head(margin)
    mean_norm, std_norm = 20.0, 100.0
    for seed in range(3):
        x, y = batch(seed)
        mean_norm, std_norm = reference.adaface_update(x.numpy(), mean_norm=mean_norm, std_norm=std_norm, t_alpha=0.3)
        expected = reference.adaface(
            x.numpy(),
            head.weight.detach().numpy(),
            y.numpy(),
            mean_norm=mean_norm,
            std_norm=std_norm,
            s=S,
            m=0.4,
            h=0.333,
            eps=0.0,
        )
        assert head(x, y).loss.item() == pytest.approx(expected, rel=1e-6)
        assert margin.norm_mean.item() == pytest.approx(mean_norm, rel=1e-6)
        assert margin.norm_std.item() == pytest.approx(std_norm, rel=1e-6)


def test_adaface_clips_the_norms_that_it_averages() -> None:
    margin = AdaFaceMargin(m=0.4, h=0.333, t_alpha=1.0)
    margin.step(Targets(cos_N=torch.zeros(2), norm_N=torch.tensor([0.0, 1e6])))
    assert margin.norm_mean.item() == pytest.approx(50.0005)
    assert margin.norm_std.item() == pytest.approx(99.999 / 2**0.5)


def test_adaface_learns_no_spread_from_one_sample() -> None:
    margin = AdaFaceMargin(m=0.4, h=0.333, t_alpha=0.5)
    margin.step(Targets(cos_N=torch.zeros(1), norm_N=torch.tensor([40.0])))
    assert margin.norm_mean.item() == 30.0
    assert margin.norm_std.item() == 100.0


def test_curricular_averages_before_use(reference: ModuleType) -> None:
    margin = CurricularMargin(m=0.5, momentum=0.9)
    head = make_head(margin)
    t = 0.0
    for seed in range(3):
        x, y = batch(seed)
        w = head.weight.detach().numpy()
        t = reference.curricularface_update(x.numpy(), w, y.numpy(), t=t, momentum=0.9)
        expected = reference.curricularface(x.numpy(), w, y.numpy(), t=t, s=S, m=0.5)
        assert head(x, y).loss.item() == pytest.approx(expected, rel=1e-6)
        assert margin.t.item() == pytest.approx(t, abs=1e-7)


@pytest.mark.parametrize("name", ["adaface", "annealed", "curricular"])
def test_eval_mode_freezes_the_state_and_uses_it(name: str) -> None:
    head = make_head(adaptive(name))
    x, y = batch(0)
    trained = head(x, y).loss
    before = copy.deepcopy(head.margin.state_dict())
    assert before
    head.eval()
    assert torch.equal(head(x, y).loss, trained)
    head(*batch(1))
    assert all(torch.equal(value, before[key]) for key, value in head.margin.state_dict().items())


@pytest.mark.parametrize("name", ["adaface", "annealed", "curricular"])
def test_the_state_travels_with_the_head(name: str) -> None:
    head, other = make_head(adaptive(name)), make_head(adaptive(name))
    for seed in range(3):
        head(*batch(seed))
    other.load_state_dict(copy.deepcopy(head.state_dict()))
    assert torch.equal(head(*batch(3)).loss, other(*batch(3)).loss)
    assert torch.equal(head.eval()(*batch(4)).loss, other.eval()(*batch(4)).loss)


def test_states_do_not_drift_in_a_half_precision_model() -> None:
    """One step of momentum 0.99 is below what bfloat16 resolves."""
    margin = CurricularMargin(m=0.5, momentum=0.99).to(torch.bfloat16)
    targets = Targets(cos_N=torch.full((4,), 0.9), norm_N=torch.ones(4))
    for _ in range(1000):
        margin.step(targets)
    assert margin.t.item() == pytest.approx(0.9, abs=1e-3)
