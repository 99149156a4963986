"""What trials learn from: images, and points without images; skewed or wrong on purpose."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hpstudy.models import FreeFeatures
from hpstudy.spec import DataSpec, ModelSpec
from hpstudy.training import TrialData, load_trial_data
from hpstudy.training._trial_data import FreeData, HeldOut, ImageData

CPU = torch.device("cpu")
FREE = {"source": "free", "identities": {"train": 5, "val": 0, "test": 0}, "samples": 4}
DIGITS = {"source": "digits", "identities": {"train": 4, "val": 3, "test": 3}}


def load(cache: Path, spec: dict[str, Any], **changes: Any) -> TrialData:
    return load_trial_data(DataSpec.model_validate({**spec, **changes}), cache, CPU)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points_of(data: TrialData, seed: int = 0, dim: int = 2) -> FreeFeatures:
    model = data.build_model(ModelSpec(name="free", embedding_dim=dim), generator(seed))
    assert isinstance(model, FreeFeatures)
    return model


# Points


def test_free_data_are_labels_alone(tmp_path: Path) -> None:
    data = load(tmp_path, FREE)
    assert isinstance(data, FreeData)
    assert data.num_classes == 5
    assert data.train_labels.tolist() == [label for label in range(5) for _ in range(4)]
    assert data.shown.tolist() == list(range(20))
    assert (data.val, data.test, data.channels) == (None, None, 0)
    assert not list(tmp_path.iterdir())


def test_their_hash_tells_what_there_is_and_not_how_it_is_shown(tmp_path: Path) -> None:
    first = load(tmp_path, FREE).content_hash
    assert len(first) == 64
    assert load(tmp_path, FREE, label_noise=0.2, imbalance=9.0, seed=3).content_hash == first
    assert load(tmp_path, FREE, samples=5).content_hash != first
    assert load(tmp_path, FREE, identities={"train": 6, "val": 0, "test": 0}).content_hash != first


def test_batches_are_rows_and_embeddings_are_points(tmp_path: Path) -> None:
    data = load(tmp_path, FREE)
    model = points_of(data, seed=3)
    rows = torch.tensor([3, 19, 0])
    assert torch.equal(data.batch(rows, generator()), rows)
    assert torch.equal(data.embed_training(model), model.points)
    assert not data.embed_training(model).requires_grad
    assert torch.equal(points_of(data, seed=3).points, model.points)
    assert not torch.equal(points_of(data, seed=4).points, model.points)
    assert model.points.shape == (20, 2)
    assert points_of(data, dim=7).points.shape == (20, 7)


def test_points_start_beside_the_prototype_that_they_are_taught(tmp_path: Path) -> None:
    data = load(tmp_path, FREE, label_noise=0.25)
    model = points_of(data)
    before = model.points.detach().clone()
    prototypes = torch.nn.Parameter(3.0 * torch.randn(5, 2, generator=generator(1)))
    data.start(model, prototypes)
    units = torch.nn.functional.normalize(prototypes.detach())
    torch.testing.assert_close(model.points.detach() - 0.3 * before, units[data.train_labels])


def test_noise_changes_labels_and_imbalance_what_is_shown(tmp_path: Path) -> None:
    plain, noisy = load(tmp_path, FREE), load(tmp_path, FREE, label_noise=0.25, imbalance=16.0)
    assert int((noisy.train_labels != plain.train_labels).sum()) == 5
    # A sample is shown as often as the class that it is of, whatever it is taught.
    assert noisy.shown.bincount(minlength=20).tolist() == [visits for visits in (16, 8, 4, 2, 1) for _ in range(4)]
    other = load(tmp_path, FREE, label_noise=0.25, imbalance=16.0, seed=1)
    assert not torch.equal(other.train_labels, noisy.train_labels)
    assert torch.equal(other.shown, noisy.shown)


def test_data_are_read_once_for_each_worker(tmp_path: Path) -> None:
    assert load(tmp_path, FREE) is load(tmp_path, FREE)
    assert load(tmp_path, FREE) is not load(tmp_path, FREE, seed=1)


# Images


def classes_of(labels: Tensor) -> list[int]:
    return labels.bincount().tolist()


def test_images_keep_their_pixels_whatever_they_are_taught(tmp_path: Path) -> None:
    plain, noisy = load(tmp_path, DIGITS), load(tmp_path, DIGITS, label_noise=0.1, imbalance=3.0)
    assert isinstance(plain, ImageData)
    assert isinstance(noisy, ImageData)
    assert torch.equal(plain._images, noisy._images)
    assert plain.content_hash == noisy.content_hash
    wrong = noisy.train_labels != plain.train_labels
    assert int(wrong.sum()) == round(0.1 * len(wrong))
    assert torch.equal(plain.shown, torch.arange(len(wrong)))
    visits = noisy.shown.bincount(minlength=len(wrong))
    assert [set(visits[plain.train_labels == label].tolist()) for label in range(4)] == [{3}, {2}, {1}, {1}]
    assert plain.val is not None
    assert noisy.val is not None
    assert torch.equal(plain.val.labels, noisy.val.labels), "held-out identities are judged by what they are"
    assert torch.equal(plain.val.images, noisy.val.images)


def test_what_is_not_held_out_is_none(tmp_path: Path) -> None:
    data = load(tmp_path, DIGITS, identities={"train": 10, "val": 0, "test": 0})
    assert (data.val, data.test) == (None, None)
    test_only = load(tmp_path, DIGITS, identities={"train": 7, "val": 0, "test": 3})
    assert test_only.val is None
    assert test_only.test is not None
    assert len(classes_of(test_only.test.labels)) == 3


def test_an_empty_split_moves_no_other(tmp_path: Path) -> None:
    """Whether validation identities are held out or not, the test identities are the same pictures."""
    with_val = load(tmp_path, DIGITS).test
    without = load(tmp_path, DIGITS, identities={"train": 7, "val": 0, "test": 3}).test
    assert with_val is not None
    assert without is not None
    assert torch.equal(with_val.images, without.images)
    assert torch.equal(with_val.labels, without.labels)


def test_other_validation_images_leave_the_data_alone(tmp_path: Path) -> None:
    data = load(tmp_path, DIGITS)
    assert isinstance(data, ImageData)
    assert data.val is not None
    few = data.with_validation(data.val.first(10))
    assert isinstance(few.val, HeldOut)
    assert (len(few.val.labels), len(few.val.images)) == (10, 10)
    assert len(data.val.labels) > 10
    assert few.train_labels is data.train_labels


@pytest.mark.parametrize("name", ["convnet", "free"])
def test_a_network_is_built_for_what_the_data_are(tmp_path: Path, name: str) -> None:
    data = load(tmp_path, FREE if name == "free" else DIGITS)
    model = data.build_model(ModelSpec(name=name, width=2, embedding_dim=6), generator())
    batch = data.batch(torch.tensor([0, 2, 5]), generator())
    assert model(batch).shape == (3, 6)
    assert data.embed_training(model).shape == (len(data.train_labels), 6)
