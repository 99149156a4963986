"""Names, parameters, defaults and a user's own loss."""

import inspect
import sys
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import hpstudy.losses
from hpstudy.catalog import CRITERIA, LOSSES, MARGINS, SCALES
from hpstudy.exceptions import InputError
from hpstudy.losses import (
    CRITERION_CLASSES,
    MARGIN_CLASSES,
    SCALE_CLASSES,
    CosineHead,
    CriterionHead,
    build_head,
    build_head_from_criterion,
    build_head_from_parts,
)
from hpstudy.losses._prototypes import initial_prototypes
from hpstudy.losses.criteria import Intra
from hpstudy.losses.margins import NoMargin
from hpstudy.losses.scales import FixedScale
from hpstudy.testing import random_batch


@pytest.mark.parametrize(
    ("classes", "catalogue"), [(MARGIN_CLASSES, MARGINS), (SCALE_CLASSES, SCALES), (CRITERION_CLASSES, CRITERIA)]
)
def test_classes_match_the_catalogue(classes: Any, catalogue: Any) -> None:
    assert list(classes) == list(catalogue)
    for name, info in catalogue.items():
        assert classes[name].name == name
        taken = inspect.signature(classes[name].__init__).parameters
        sizes = {"self", "num_classes", "num_here", "args", "kwargs"}
        assert set(taken) - sizes == {*info.parameters, *info.options}
        for option in info.options.values():
            assert taken[option.name].default == option.default


def test_steps_are_taken_by_adaptive_parts_alone() -> None:
    """A scale that the optimiser or the batch's norms move needs no step; the catalogue calls it adaptive as well."""
    assert all(SCALES[name].adaptive for name, each in SCALE_CLASSES.items() if each.adaptive)
    assert {name for name, each in MARGIN_CLASSES.items() if each.adaptive} == {
        "annealed_multiplicative_angle",
        "adaface",
        "curricular",
    }


@pytest.mark.parametrize("name", LOSSES)
def test_named_loss_is_its_parts_with_the_catalogues_defaults(name: str) -> None:
    head, info = build_head(name, num_classes=10, embedding_dim=4), LOSSES[name]
    assert isinstance(head, CosineHead)
    if info.criterion:
        assert isinstance(head, CriterionHead)
        part = head.criteria[info.criterion]
    else:
        assert (head.margin.name, head.scale.name) == (info.margin, info.scale)
        part = head.margin
    if "s" in info.parameters:
        assert head.scale.value.item() == pytest.approx(info.parameters["s"].default)
    if "m" in info.parameters:
        assert part.m == info.parameters["m"].default
    for option, row in info.options.items():
        assert getattr(part if hasattr(part, option) else head.scale, option) == row.default
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
        ({"name": "magface", "l_a": 200.0}, {"name": "fixed"}, "l_a"),
    ],
)
def test_mistakes_in_parts_are_named(margin: dict[str, Any], scale: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_head_from_parts(margin, scale, num_classes=10, embedding_dim=4)


@pytest.mark.parametrize(
    ("regularisers", "message"),
    [
        ({"intro": {}}, r"unknown criterion 'intro', did you mean 'intra'\?"),
        ({"intra": {"weight": -1.0}}, r"weight must lie in \[0, 10000\]"),
        ({"intra": {"m": 1.0}}, "regulariser 'intra' does not take m"),
        ({"angular_triplet": {"m": 20.0}}, "if it is in degrees, write 0.3491"),
    ],
)
def test_mistakes_in_regularisers_are_named(regularisers: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_head("arcface", num_classes=10, embedding_dim=4, regularisers=regularisers)


def test_a_criterion_that_trains_nothing_is_refused_as_a_loss() -> None:
    with pytest.raises(InputError, match="'intra' trains nothing by itself; give it as a regulariser"):
        build_head_from_criterion({"name": "intra"}, num_classes=10, embedding_dim=4)
    with pytest.raises(InputError, match="unknown loss 'intra'"):
        build_head("intra", num_classes=10, embedding_dim=4)


def test_blocks_of_no_class_are_refused() -> None:
    with pytest.raises(InputError, match="classes_at_once must be at least 1, or None to keep all cosines, but got 0"):
        build_head("arcface", num_classes=10, embedding_dim=4, classes_at_once=0)


def test_cosines_that_are_not_kept_are_refused_once_the_prototypes_moved() -> None:
    batch = random_batch(num_samples=8, num_classes=10, embedding_dim=4, seed=0)
    outputs = {}
    for classes_at_once in (None, 3):
        head = build_head("cosface", num_classes=10, embedding_dim=4, classes_at_once=classes_at_once)
        outputs[classes_at_once] = head(*batch)
        before = outputs[classes_at_once].cosines
        with torch.no_grad():
            next(head.parameters()).add_(1.0)
        if classes_at_once is None:
            assert torch.equal(outputs[None].cosines, before)
    with pytest.raises(InputError, match="before the optimiser's step"):
        _ = outputs[3].cosines


def test_logits_of_moved_prototypes_are_refused() -> None:
    head = build_head("cosface", num_classes=10, embedding_dim=4)
    out = head(*random_batch(num_samples=8, num_classes=10, embedding_dim=4, seed=0))
    with torch.no_grad():
        next(head.parameters()).add_(1.0)
    with pytest.raises(InputError, match="prototypes have changed since the forward pass"):
        _ = out.logits


def test_a_norm_that_overflows_is_not_a_zero_vector() -> None:
    x, y = random_batch(num_samples=8, num_classes=10, embedding_dim=4, seed=0)
    head = build_head("cosface", num_classes=10, embedding_dim=4)
    assert head(x * 1e20, y).loss.isnan()
    with torch.no_grad():
        head.weight.mul_(1e20)
    assert head(x, y).loss.isnan()


def test_a_batch_that_is_not_finite_leaves_the_curriculum_alone() -> None:
    x, y = random_batch(num_samples=8, num_classes=10, embedding_dim=4, seed=0)
    head = build_head("curricularface", num_classes=10, embedding_dim=4)
    assert head(torch.full_like(x, torch.nan), y).loss.isnan()
    assert head.margin.t == 0.0


def test_a_learned_scale_casts_with_its_gradient() -> None:
    head = build_head("normface_learned", num_classes=10, embedding_dim=4)
    head(*random_batch(num_samples=8, num_classes=10, embedding_dim=4, seed=0)).loss.backward()
    head.to(torch.bfloat16)
    torch.optim.AdamW(head.parameters()).step()
    assert head.scale.s.grad.dtype == head.scale.s.dtype == torch.float32


def test_learned_scales_keep_their_limits() -> None:
    with pytest.raises(InputError, match="s must be at least s_min = 4, but got 1"):
        build_head("normface_learned", num_classes=10, embedding_dim=4, s=1.0, s_min=4.0)
    with pytest.raises(InputError, match="s must be at most s_max = 50, but got 200"):
        build_head("learned_temperature", num_classes=10, embedding_dim=4, s=200.0, s_max=50.0)
    head = build_head("learned_temperature", num_classes=10, embedding_dim=4).eval()
    with torch.no_grad():
        head.scale.log_s.fill_(6.0)
    out = head(*random_batch(num_samples=8, num_classes=10, embedding_dim=4, seed=0))
    assert out.statistics["s"].item() == pytest.approx(100.0)


def test_a_regulariser_cannot_take_the_name_of_a_term() -> None:
    with pytest.raises(InputError, match="a regulariser cannot be named 'softmax'"):
        CosineHead(
            NoMargin(), FixedScale(s=20.0), num_classes=3, embedding_dim=2, regularisers={"softmax": (1.0, Intra())}
        )


def test_rows_of_prototypes_do_not_depend_on_which_are_drawn() -> None:
    for num_classes, some in ((20_000, range(9_000, 17_000)), (20_000, range(3)), (7, range(3, 5)), (7, range(5, 7))):
        every = initial_prototypes(range(num_classes), num_classes, 4, torch.Generator().manual_seed(1))
        rows = initial_prototypes(some, num_classes, 4, torch.Generator().manual_seed(1))
        assert torch.equal(every[some.start : some.stop], rows)


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

    def test_an_installed_package_offers_it_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        point = EntryPoint(name="their-loss", value="their_losses:head", group="hpstudy.losses")
        monkeypatch.setattr("hpstudy.catalog._own.entry_points", lambda *, group: [point])
        assert isinstance(build_head("their-loss", num_classes=5, embedding_dim=4), nn.Linear)
        with pytest.raises(InputError, match="unknown loss 'their-los', did you mean"):
            build_head("their-los", num_classes=5, embedding_dim=4)

    def test_it_takes_nothing_of_a_head(self) -> None:
        with pytest.raises(InputError, match="'their_losses:head' is your own: it takes no regularisers"):
            build_head("their_losses:head", num_classes=5, embedding_dim=4, regularisers={"intra": {}})

    def test_a_call_that_fails_keeps_its_cause(self) -> None:
        with pytest.raises(InputError, match=r"could not be built with num_classes=5, .*'m': 0\.3") as caught:
            build_head("their_losses:head", num_classes=5, embedding_dim=4, m=0.3)
        assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("margin", MARGIN_CLASSES)
@pytest.mark.parametrize("scale", SCALE_CLASSES)
def test_a_step_does_not_synchronise(margin: str, scale: str) -> None:
    """On the meta device there is nothing to read, so that whatever would make a host wait for its device raises."""
    head = build_head_from_parts({"name": margin}, {"name": scale}, num_classes=6, embedding_dim=4).to("meta")
    run_on_meta(head)


@pytest.mark.parametrize("criterion", CRITERION_CLASSES)
def test_a_criterion_does_not_synchronise(criterion: str) -> None:
    regularisers = {criterion: {}}
    run_on_meta(build_head("arcface", num_classes=6, embedding_dim=4, regularisers=regularisers).to("meta"))


def run_on_meta(head: Any) -> None:
    embeddings, labels = random_batch(num_samples=8, num_classes=6, embedding_dim=4, seed=0)
    embeddings = embeddings.to("meta").requires_grad_()
    out = head._output(head._batch(embeddings, labels.to("meta")))  # autocast knows no meta device
    assert out.loss.is_meta
    torch.autograd.grad(out.loss, [embeddings, *head.parameters()])


def test_facade_is_sorted_and_complete() -> None:
    names = hpstudy.losses.__all__
    assert all(hasattr(hpstudy.losses, name) for name in names)
    assert len(set(names)) == len(names)
