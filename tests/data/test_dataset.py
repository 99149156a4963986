"""Splits: disjoint, nested, reproducible."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.data import Dataset, split_identities
from hpstudy.data._dataset import make_dataset
from hpstudy.exceptions import InputError
from hpstudy.spec import DataSpec, IdentitiesSpec


def toy(num_identities: int = 30, images_each: int = 3) -> Dataset:
    """Images whose pixels hold the number of their identity; identities interleaved."""
    identities = np.tile(np.arange(num_identities, dtype=np.int64), images_each)
    images = np.broadcast_to(identities.astype(np.uint8)[:, None, None, None], (len(identities), 1, 4, 4)).copy()
    return make_dataset(images, identities, [f"id{number}" for number in range(num_identities)])


def spec(train: int, val: int, test: int, seed: int = 0) -> DataSpec:
    return DataSpec(identities=IdentitiesSpec(train=train, val=val, test=test), seed=seed)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 10), st.integers(2, 10), st.integers(2, 10), st.integers(0, 2**32))
def test_splits_are_disjoint_and_whole(train: int, val: int, test: int, seed: int) -> None:
    splits = split_identities(toy(), spec(train, val, test, seed))
    parts = (splits.train, splits.val, splits.test)
    names = [name for part in parts for name in part.identity_names]
    assert len(set(names)) == len(names) == train + val + test
    for part, count in zip(parts, (train, val, test), strict=True):
        assert torch.equal(part.labels, torch.arange(count).repeat_interleave(3))
        shown = part.images[:, 0, 0, 0].tolist()
        assert [f"id{pixel}" for pixel in shown] == [part.identity_names[label] for label in part.labels.tolist()]


def test_a_smaller_training_set_is_the_beginning_of_a_larger_one() -> None:
    small, large = split_identities(toy(), spec(5, 6, 7)), split_identities(toy(), spec(17, 6, 7))
    assert large.train.identity_names[:5] == small.train.identity_names
    assert torch.equal(large.train.images[: len(small.train.images)], small.train.images)
    assert torch.equal(large.train.labels[: len(small.train.labels)], small.train.labels)
    for name in ("val", "test"):
        one, other = getattr(small, name), getattr(large, name)
        assert one.identity_names == other.identity_names
        assert torch.equal(one.images, other.images)


def test_the_seed_decides_and_its_stream_never_changes() -> None:
    first = split_identities(toy(), spec(5, 5, 5, seed=3))
    assert first.test.identity_names == split_identities(toy(), spec(9, 2, 5, seed=3)).test.identity_names
    assert first.test.identity_names != split_identities(toy(), spec(5, 5, 5, seed=4)).test.identity_names
    assert split_identities(toy(), spec(2, 2, 4, seed=0)).test.identity_names == ("id11", "id3", "id20", "id13")


def test_too_many_identities_are_refused_with_the_numbers() -> None:
    with pytest.raises(InputError, match=r"train 20 \+ val 6 \+ test 7 = 33 different .* has 30; .* 3 fewer"):
        split_identities(toy(), spec(20, 6, 7))


def test_all_identities_may_be_used() -> None:
    splits = split_identities(toy(), spec(20, 5, 5))
    assert len(splits.train.images) + len(splits.val.images) + len(splits.test.images) == 90


def test_the_content_hash_tells_images_identities_and_names_apart() -> None:
    images = np.zeros((2, 1, 4, 4), np.uint8)
    base = make_dataset(images.copy(), np.array([0, 1]), ["a", "b"])
    assert base.content_hash == make_dataset(images.copy(), np.array([0, 1]), ["a", "b"]).content_hash
    brighter = images + np.uint8(1)
    others = [
        make_dataset(brighter, np.array([0, 1]), ["a", "b"]),
        make_dataset(images.copy(), np.array([1, 0]), ["a", "b"]),
        make_dataset(images.copy(), np.array([0, 1]), ["a", "c"]),
        make_dataset(images.reshape(2, 4, 1, 4).copy(), np.array([0, 1]), ["a", "b"]),
    ]
    assert len({base.content_hash, *(other.content_hash for other in others)}) == 5
