"""scikit-learn's handwritten digits."""

from importlib.metadata import version

import numpy as np
from PIL import Image

from hpstudy.data._dataset import Dataset, make_dataset
from hpstudy.data._recipe import Recipe
from hpstudy.spec import DataSpec


def digits(spec: DataSpec) -> Recipe:
    """1,797 pictures of the ten digits, ten identities, enlarged from 8 × 8 pixels."""
    fingerprint = {"image_size": spec.image_size, "scikit-learn": version("scikit-learn")}
    return Recipe(fingerprint, lambda: _load(spec.image_size))


def _load(image_size: int) -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    size = (image_size, image_size)
    large = [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)) for image in small]
    return make_dataset(np.stack(large)[:, None], bunch.target.astype(np.int64), [str(digit) for digit in range(10)])
