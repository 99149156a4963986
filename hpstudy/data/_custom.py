"""A user's own source, `module:attribute`."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpstudy.data._dataset import Dataset, make_dataset
from hpstudy.exceptions import InputError
from hpstudy.spec import DataSpec


def custom(spec: DataSpec) -> Dataset:
    """Calls `attribute(spec)`, which returns the images and the identity of each.

    Images are a uint8 array (N, channels, image_size, image_size), identities N texts. What the callable reads is its
    own affair, so nothing is cached.

    Raises:
        InputError: There is no such callable, or it returns something else.
    """
    images, identities = _checked(_callable(spec.source)(spec), spec)
    names, numbers = np.unique(np.array(identities, dtype=np.str_), return_inverse=True)
    return make_dataset(images.copy(), numbers.astype(np.int64), names.tolist())


def _callable(source: str) -> Callable[[DataSpec], object]:
    module_name, _, attribute = source.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"data.source {source!r} must name an importable module:attribute: {error}") from error
    if not callable(found):
        raise InputError(f"data.source {source!r} must name a callable, but it is a {type(found).__name__}")
    made: Callable[[DataSpec], object] = found
    return made


def _checked(returned: object, spec: DataSpec) -> tuple[NDArray[np.uint8], Sequence[str]]:
    expected = f"data.source {spec.source!r} must return (images, identities)"
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise InputError(f"{expected}, but it returned a {type(returned).__name__}")
    images, identities = np.asarray(returned[0]), list(returned[1])
    side = spec.image_size
    if images.dtype != np.uint8 or images.ndim != 4 or not images.shape[1] or images.shape[2:] != (side, side):
        raise InputError(
            f"{expected} with images of dtype uint8 and shape (N, channels, {side}, {side}), but they are "
            f"{images.dtype} {images.shape}"
        )
    if len(identities) != len(images) or not identities:
        raise InputError(f"{expected} with one identity an image, but there are {len(identities)} for {len(images)}")
    strange = next((identity for identity in identities if not isinstance(identity, str)), None)
    if strange is not None:
        raise InputError(f"{expected} with text identities, but one is {strange!r}")
    return images, identities
