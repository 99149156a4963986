"""Softmax with and without biases."""

from types import ModuleType

import pytest
import torch

from hpstudy.exceptions import InputError
from hpstudy.losses import CosineHead, build_head, build_head_from_parts
from hpstudy.testing import random_batch

C, K, N = 7, 5, 12


def head_of(biases: str, seed: int = 1, classes_at_once: int | None = None) -> CosineHead:
    head = build_head(
        "softmax",
        num_classes=C,
        embedding_dim=K,
        generator=torch.Generator().manual_seed(seed),
        classes_at_once=classes_at_once,
        biases=biases,
    )
    assert isinstance(head, CosineHead)
    return head


def batch(seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = random_batch(num_samples=N, num_classes=C, embedding_dim=K, seed=seed, dtype=dtype)
    return x * torch.linspace(0.5, 20.0, N, dtype=dtype)[:, None], y


def test_without_biases_there_is_none_to_learn() -> None:
    assert {name for name, _ in head_of("none").named_parameters()} == {"weight"}
    assert {name for name, _ in head_of("learned").named_parameters()} == {"weight", "scale.bias"}


@pytest.mark.parametrize("classes_at_once", [None, 3])
def test_without_biases_the_logits_are_products(reference: ModuleType, classes_at_once: int | None) -> None:
    head = head_of("none", classes_at_once=classes_at_once).double()
    x, y = batch()
    out = head(x, y)
    torch.testing.assert_close(out.logits, x @ head.weight.T, rtol=1e-9, atol=1e-9)
    assert out.loss.item() == pytest.approx(reference.softmax(x.numpy(), head.weight.detach().numpy(), y.numpy()))


def test_with_biases_the_logits_have_them_as_well(reference: ModuleType) -> None:
    head = head_of("learned").double()
    with torch.no_grad():
        head.scale.bias.copy_(torch.linspace(-1, 2, C))
    x, y = batch()
    out = head(x, y)
    torch.testing.assert_close(out.logits, x @ head.weight.T + head.scale.bias, rtol=1e-9, atol=1e-9)
    w, b = (each.detach().numpy() for each in (head.weight, head.scale.bias))
    assert out.loss.item() == pytest.approx(reference.softmax(x.numpy(), w, y.numpy(), bias=b))


def test_training_leaves_absent_biases_at_zero() -> None:
    for biases in ("none", "learned"):
        head = head_of(biases)
        optimizer = torch.optim.SGD(head.parameters(), lr=0.5)
        for seed in range(3):
            optimizer.zero_grad()
            head(*batch(seed, torch.float32)).loss.backward()
            optimizer.step()
        assert bool(head.scale.bias.any()) == (biases == "learned")


@pytest.mark.parametrize("biases", ["none", "learned"])
def test_the_state_loads(biases: str) -> None:
    first, other = head_of(biases, seed=1), head_of(biases, seed=2)
    first(*batch(dtype=torch.float32))
    assert set(first.state_dict()) == {"weight", "scale.value", "scale.bias"}
    other.load_state_dict(first.state_dict())
    x, y = batch(3, torch.float32)
    assert torch.equal(first.eval()(x, y).logits, other.eval()(x, y).logits)
    assert torch.equal(first.scale.value, other.scale.value)


def test_the_option_belongs_to_the_scale() -> None:
    head = build_head_from_parts(
        {"name": "none"}, {"name": "softmax", "biases": "none"}, num_classes=C, embedding_dim=K
    )
    assert isinstance(head, CosineHead)
    assert {name for name, _ in head.named_parameters()} == {"weight"}


def test_a_word_that_is_no_option_is_refused() -> None:
    with pytest.raises(InputError, match="biases must be one of learned, none, but got 'non'"):
        head_of("non")
    with pytest.raises(InputError, match="biases"):
        build_head("l2_softmax", num_classes=C, embedding_dim=K, biases="none")
