"""Networks by name, seeded by their generator."""

from pathlib import Path

import pytest
import torch
from torch import nn

from hpstudy.exceptions import InputError
from hpstudy.models import MODELS, ConvNet, build_model
from hpstudy.spec import ModelSpec, parse_study


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(seed: int = 0, **changes: object) -> nn.Module:
    spec = ModelSpec.model_validate({"width": 4, "embedding_dim": 16, **changes})
    return build_model(spec, channels=1, image_size=32, generator=generator(seed))


def test_a_convnet_embeds_images() -> None:
    model = build()
    assert isinstance(model, ConvNet)
    assert model(torch.randn(3, 1, 32, 32)).shape == (3, 16)
    widths = [module.out_channels for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert widths == [4, 8, 16, 16]


def test_layout_in_memory_does_not_change_the_result() -> None:
    model = build().eval()
    images = torch.randn(5, 1, 32, 32, generator=generator())
    expected = model(images)
    model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(model(images.contiguous(memory_format=torch.channels_last)), expected)


def test_weights_follow_the_generator_and_nothing_else() -> None:
    torch.manual_seed(1)
    first = build(seed=7).state_dict()
    torch.manual_seed(2)
    again, other = build(seed=7).state_dict(), build(seed=8).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embedding.1.weight"], other["embedding.1.weight"])


def test_an_image_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match="image_size must be a multiple of 8 for convnet, but got 20"):
        ConvNet(channels=1, image_size=20, width=4, embedding_dim=8)


def test_a_users_own_network_is_found_and_seeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_networks.py").write_text(
        "from torch import nn\n"
        "def flat(*, channels, image_size, width, embedding_dim):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, embedding_dim))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    first, again = build(name="their_networks:flat", seed=3), build(name="their_networks:flat", seed=3)
    assert first(torch.zeros(2, 1, 32, 32)).shape == (2, 16)
    assert torch.equal(first.state_dict()["1.weight"], again.state_dict()["1.weight"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_at_all:net", "can't be imported: No module named"),
        ("math:no_such_attribute", "can't be imported: module 'math' has no attribute"),
        ("math:pi", "must name a callable, but it is a float"),
    ],
)
def test_a_network_that_cannot_be_had_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(name=name)


@pytest.mark.parametrize("name", MODELS)
def test_study_files_know_every_network(name: str) -> None:
    study = parse_study(f"version: 1\nname: x\nquestion: q\nmodel: {{name: {name}}}\narms: {{a: {{loss: adacos}}}}\n")
    assert study.spec.model.name == name
