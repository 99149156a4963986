"""A trained network on its own, outside a study."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hpstudy.exceptions import InputError
from hpstudy.models import build_model, embed, load_embedder, save_embedder
from hpstudy.models.pyfunc import _load_pyfunc
from hpstudy.spec import ModelSpec

SPEC = ModelSpec(width=2, embedding_dim=8)


def kept(network: nn.Module, **images: int) -> bytes:
    """What a trial keeps of a network."""
    file = io.BytesIO()
    torch.save({"images": images, "model": network.state_dict(), "head": {"weight": torch.zeros(3, 8)}}, file)
    return file.getvalue()


def made(spec: ModelSpec = SPEC) -> nn.Module:
    """A network that has seen a batch, so that its batch statistics are its own."""
    network = build_model(spec, channels=3, image_size=16, generator=torch.Generator().manual_seed(1))
    network.to(memory_format=torch.channels_last)
    network(torch.randn(32, 3, 16, 16, generator=torch.Generator().manual_seed(2)))
    return network


def pictures(count: int = 600) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 16, 16), dtype=np.uint8)


def test_it_embeds_as_the_network_that_was_kept_to_the_last_bit(tmp_path: Path) -> None:
    network = made()
    assert save_embedder(tmp_path, SPEC, kept(network, channels=3, image_size=16)) == (3, 16, 16)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["embedder.json", "weights.pt"]
    embeddings = load_embedder(tmp_path)(pictures())
    expected = F.normalize(embed(network, torch.from_numpy(pictures())))
    assert embeddings.dtype == np.float32
    assert np.array_equal(embeddings, expected.numpy())
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-6)
    assert np.array_equal(_load_pyfunc(str(tmp_path), {"device": "cpu"}).predict(pictures()), embeddings)
    assert "weight" not in torch.load(tmp_path / "weights.pt", weights_only=True)  # the head stays behind


def test_no_images_give_no_embeddings_and_other_images_are_refused(tmp_path: Path) -> None:
    save_embedder(tmp_path, SPEC, kept(made(), channels=3, image_size=16))
    embedder = load_embedder(tmp_path)
    assert embedder(pictures(0)).shape == (0, 8)
    for given, shown in (
        (pictures(2).astype(np.float32), r"float32 \(2, 3, 16, 16\)"),
        (pictures(2)[:, :1], r"uint8 \(2, 1, 16, 16\)"),
        ([1, 2], "list"),
    ):
        with pytest.raises(InputError, match=rf"uint8 array of shape \(N, 3, 16, 16\), but got {shown}"):
            embedder(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("images", [{}, {"channels": 0, "image_size": 32}])
def test_weights_that_are_of_no_network_of_images_are_refused(tmp_path: Path, images: dict[str, int]) -> None:
    with pytest.raises(InputError, match="don't say what images"):
        save_embedder(tmp_path / "out", SPEC, kept(made(), **images))
    assert not (tmp_path / "out").exists()


def test_a_pickle_in_place_of_weights_is_never_loaded(tmp_path: Path) -> None:
    save_embedder(tmp_path, SPEC, kept(made(), channels=3, image_size=16))
    torch.save(made(), tmp_path / "weights.pt")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        load_embedder(tmp_path)


def test_a_network_of_ones_own_needs_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "their_networks.py").write_text(
        "from torch import nn\n"
        "def flat(*, channels, image_size, width, embedding_dim):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, embedding_dim))\n"
    )
    spec = ModelSpec(name="their_networks:flat", embedding_dim=8)
    with monkeypatch.context() as there:
        there.syspath_prepend(str(code))
        save_embedder(tmp_path / "model", spec, kept(made(spec), channels=3, image_size=16))
        assert load_embedder(tmp_path / "model")(pictures(3)).shape == (3, 8)
    monkeypatch.delitem(sys.modules, "their_networks")
    with pytest.raises(InputError, match="install the module 'their_networks' here, or put its folder on PYTHONPATH"):
        load_embedder(tmp_path / "model")
