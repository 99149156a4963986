"""Images with identities, and their identity-disjoint splits."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpstudy.exceptions import InputError
from hpstudy.spec import DataSpec


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """Labelled images in memory.

    Attributes:
        images: (N, channels, H, W) uint8.
        identities: (N,) int64, an index into `identity_names`.
        identity_names: One readable name an identity.
        content_hash: SHA-256 over images, identities and names; equal exactly if the data is equal.
        skipped: One line for each corrupt image that was left out: its name and what is wrong with it.
    """

    images: Tensor
    identities: Tensor
    identity_names: tuple[str, ...]
    content_hash: str
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Split:
    """The images of some of a dataset's identities, ordered by label.

    Attributes:
        images: (N, channels, H, W) uint8.
        labels: (N,) int64 from 0 to `len(identity_names) - 1`.
        identity_names: The name of each label.
    """

    images: Tensor
    labels: Tensor
    identity_names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Splits:
    """Three splits that share no identity."""

    train: Split
    val: Split
    test: Split


def make_dataset(
    images: NDArray[np.uint8], identities: NDArray[np.int64], identity_names: Sequence[str], skipped: Sequence[str] = ()
) -> Dataset:
    """Takes over the arrays (which must be writable and not used again) and hashes their content."""
    assert images.ndim == 4, f"images must be (N, channels, H, W), not {images.shape}"
    assert identities.shape == images.shape[:1], f"{identities.shape} identities for {len(images)} images"
    return Dataset(
        images=torch.from_numpy(np.ascontiguousarray(images)),
        identities=torch.from_numpy(np.ascontiguousarray(identities)),
        identity_names=tuple(identity_names),
        content_hash=_content_hash(images, identities, identity_names),
        skipped=tuple(skipped),
    )


def _content_hash(images: NDArray[np.uint8], identities: NDArray[np.int64], identity_names: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps({"shape": images.shape, "names": list(identity_names)}).encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(identities.astype("<i8", copy=False)).data)
    return digest.hexdigest()


def split_identities(dataset: Dataset, spec: DataSpec) -> Splits:
    """Divides the identities at random into test, val and train, in this order.

    The order makes a grid over the number of training identities comparable: val and test are the same for every
    number, and the classes of a smaller training set are the first classes of a larger one.

    Raises:
        InputError: More identities are asked for than the data has.
    """
    wanted, available = spec.identities, len(dataset.identity_names)
    total = wanted.train + wanted.val + wanted.test
    if total > available:
        raise InputError(
            f"data.identities asks for train {wanted.train} + val {wanted.val} + test {wanted.test} = {total} "
            f"different identities, but the data has {available}; ask for {total - available} fewer"
        )
    # The raw stream of a NumPy bit generator never changes between releases; Generator.permutation may.
    raw: Any = np.random.PCG64(spec.seed).random_raw(available)
    order = np.argsort(raw, kind="stable")
    test, val, train = np.split(order[:total], [wanted.test, wanted.test + wanted.val])
    return Splits(train=_select(dataset, train), val=_select(dataset, val), test=_select(dataset, test))


def _select(dataset: Dataset, identities: NDArray[np.intp]) -> Split:
    label_of = torch.full((len(dataset.identity_names),), -1, dtype=torch.int64)
    label_of[torch.from_numpy(identities)] = torch.arange(len(identities))
    labels = label_of[dataset.identities]
    rows = torch.argsort(labels, stable=True)[int((labels < 0).sum()) :]
    names = tuple(dataset.identity_names[identity] for identity in identities.tolist())
    return Split(images=dataset.images[rows], labels=labels[rows], identity_names=names)
