"""Names, parameters, defaults and a user's own loss."""

import inspect
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import hpstudy.losses
from hpstudy.catalog import LOSSES, MARGINS, SCALES
from hpstudy.exceptions import InputError
from hpstudy.losses import MARGIN_CLASSES, SCALE_CLASSES, CosineHead, batch_cosines, build_head, build_head_from_parts
from hpstudy.testing import random_batch


@pytest.mark.parametrize(("classes", "catalogue"), [(MARGIN_CLASSES, MARGINS), (SCALE_CLASSES, SCALES)])
def test_classes_match_the_catalogue(classes: Any, catalogue: Any) -> None:
    assert list(classes) == list(catalogue)
    for name, info in catalogue.items():
        assert classes[name].name == name
        taken = inspect.signature(classes[name].__init__).parameters
        assert set(taken) - {"self", "num_classes", "args", "kwargs"} == {*info.parameters, *info.options}
        for option in info.options.values():
            assert taken[option.name].default == option.default
        if classes is SCALE_CLASSES:
            assert classes[name].adaptive == info.adaptive


@pytest.mark.parametrize("name", LOSSES)
def test_named_loss_is_its_parts_with_the_catalogues_defaults(name: str) -> None:
    head, info = build_head(name, num_classes=10, embedding_dim=4), LOSSES[name]
    assert isinstance(head, CosineHead)
    assert (head.margin.name, head.scale.name) == (info.margin, info.scale)
    if "s" in info.parameters:
        assert head.scale.value.item() == info.parameters["s"].default
    if "m" in info.parameters:
        assert head.margin.m == info.parameters["m"].default
    assert head.weight.shape == (10, 4)
    assert (head.num_classes, head.embedding_dim) == (10, 4)


def test_given_parameters_and_options_arrive() -> None:
    head = build_head("arcface", num_classes=10, embedding_dim=4, s=31.2, m=0.28, gradient="detached", past_pi="wrap")
    assert isinstance(head, CosineHead)
    assert head.scale.value.item() == pytest.approx(31.2)
    assert head.margin.extra_repr() == "m=0.28 rad, gradient=detached, past_pi=wrap"


def test_a_pair_no_paper_has_tried() -> None:
    head = build_head_from_parts(
        {"name": "additive_angle", "m": 0.3}, {"name": "adacos_dynamic"}, num_classes=10, embedding_dim=4
    )
    before = head.scale.value.item()
    head(*random_batch(num_samples=8, num_classes=10, embedding_dim=4, seed=0))
    assert head.scale.value.item() != before


def test_prototypes_follow_the_generator_alone() -> None:
    def weight(seed: int) -> torch.Tensor:
        head = build_head("cosface", num_classes=300, embedding_dim=256, generator=torch.Generator().manual_seed(seed))
        assert isinstance(head, CosineHead)
        return head.weight.detach()

    state = torch.get_rng_state()
    assert torch.equal(weight(1), weight(1))
    assert not torch.equal(weight(1), weight(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert weight(1).norm(dim=1).mean().item() == pytest.approx(1.0, abs=0.01)
    assert weight(1).mean().item() == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("cosfase", {}, r"unknown loss 'cosfase', did you mean 'cosface'\?"),
        ("cosface", {"margin": 0.3}, r"loss 'cosface' does not take margin.* \(it takes s, m\)"),
        ("normface", {"m": 0.3}, r"loss 'normface' does not take m"),
        ("adacos", {"s": 3.0}, r"loss 'adacos' does not take s.*it takes no parameter"),
        ("arcface", {"gradiant": "exact"}, r"does not take gradiant, did you mean 'gradient'\?"),
        ("arcface", {"m": 28.6}, "if it is in degrees, write 0.4992"),
        ("cosface", {"num_classes": 1}, "num_classes must be at least 2, but got 1"),
        ("cosface", {"embedding_dim": 0}, "embedding_dim must be at least 1, but got 0"),
    ],
)
def test_mistakes_are_named(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_head(name, **({"num_classes": 10, "embedding_dim": 4} | params))


@pytest.mark.parametrize(
    ("margin", "scale", "message"),
    [
        ({"m": 0.3}, {"name": "fixed", "s": 3.0}, r"a margin given as parts needs a 'name', but got only \['m'\]"),
        ({"name": "none"}, {"name": "fixd"}, r"unknown scale 'fixd', did you mean 'fixed'\?"),
        ({"name": "none", "m": 0.1}, {"name": "fixed"}, "margin 'none' does not take m"),
        ({"name": "none"}, {"name": "adacos_dynamic", "s": 1.0}, "scale 'adacos_dynamic' does not take s"),
    ],
)
def test_mistakes_in_parts_are_named(margin: dict[str, Any], scale: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_head_from_parts(margin, scale, num_classes=10, embedding_dim=4)


class TestLossFromOutside:
    @pytest.fixture(autouse=True)
    def module(self, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        module = ModuleType("their_losses")
        module.head = lambda num_classes, embedding_dim, *, bias=True: nn.Linear(embedding_dim, num_classes, bias=bias)
        module.not_a_module = lambda num_classes, embedding_dim: 3
        module.number = 3
        monkeypatch.setitem(sys.modules, "their_losses", module)
        return module

    def test_arguments_and_seed_reach_it(self) -> None:
        state = torch.get_rng_state()
        heads = [
            build_head(
                "their_losses:head",
                num_classes=5,
                embedding_dim=4,
                generator=torch.Generator().manual_seed(seed),
                bias=False,
            )
            for seed in (0, 0, 1)
        ]
        weights = [next(head.parameters()) for head in heads]
        assert weights[0].shape == (5, 4)
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])
        assert torch.equal(torch.get_rng_state(), state)
        build_head("their_losses:head", num_classes=5, embedding_dim=4)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("no_such_package:head", r"cannot import 'no_such_package'.*installed or on PYTHONPATH"),
            ("their_losses:haed", r"'their_losses' has no 'haed' \(it has head, not_a_module, number\)"),
            ("their_losses:number", "has no callable 'number'"),
            ("their_losses:not_a_module", r"must return a torch\.nn\.Module .* but returned int"),
            (":head", "named 'module:attribute', but got ':head'"),
            ("their_losses:", "named 'module:attribute'"),
        ],
    )
    def test_mistakes_are_named(self, name: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            build_head(name, num_classes=5, embedding_dim=4)

    def test_a_call_that_fails_keeps_its_cause(self) -> None:
        with pytest.raises(InputError, match=r"could not be built with num_classes=5, .*'m': 0\.3") as caught:
            build_head("their_losses:head", num_classes=5, embedding_dim=4, m=0.3)
        assert isinstance(caught.value.__cause__, TypeError)


class NoSynchronisation(TorchDispatchMode):
    """Refuses what makes a host wait for its device: reading a value, or a shape that depends on values."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in (
            torch.ops.aten._local_scalar_dense.default,
            torch.ops.aten.nonzero.default,
            torch.ops.aten.equal.default,
            torch.ops.aten.is_nonzero.default,
            torch.ops.aten.masked_select.default,
        ), f"{func} synchronises"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("margin", MARGIN_CLASSES)
@pytest.mark.parametrize("scale", SCALE_CLASSES)
def test_a_step_does_not_synchronise(margin: str, scale: str) -> None:
    head = build_head_from_parts({"name": margin}, {"name": scale}, num_classes=6, embedding_dim=4)
    embeddings, labels = random_batch(num_samples=8, num_classes=6, embedding_dim=4, seed=0)
    embeddings.requires_grad_()
    with NoSynchronisation():
        out = head._output(batch_cosines(embeddings, head.weight, labels))  # without the look at labels on the CPU
        torch.autograd.grad(out.loss, embeddings)


def test_facade_is_sorted_and_complete() -> None:
    names = hpstudy.losses.__all__
    assert all(hasattr(hpstudy.losses, name) for name in names)
    assert len(set(names)) == len(names)
