"""The sources by name."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

from hpstudy.data._cache import cached
from hpstudy.data._custom import custom
from hpstudy.data._dataset import Dataset
from hpstudy.data._digits import digits
from hpstudy.data._folder import folder
from hpstudy.data._glyphs import glyphs
from hpstudy.data._recipe import Recipe
from hpstudy.data._shards import parquet
from hpstudy.exceptions import InputError
from hpstudy.spec import DataSpec

SOURCES: Mapping[str, Callable[[DataSpec], Recipe]] = {
    "digits": digits,
    "folder": folder,
    "glyphs": glyphs,
    "parquet": parquet,
}

_NAMED = 10


def load_dataset(spec: DataSpec, cache_dir: Path) -> Dataset:
    """Loads the images that a study file's `data:` section describes.

    Args:
        spec: The section.
        cache_dir: Where rendered and decoded images are kept between processes; any number may share it.

    Raises:
        InputError: The source is unknown or can't be read, or more than `spec.max_bad` of its images are corrupt.
    """
    if ":" in spec.source:
        return custom(spec)
    if spec.source not in SOURCES:
        near = get_close_matches(spec.source, SOURCES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"data.source must be one of {', '.join(SOURCES)} or module:attribute, but it is {spec.source!r}{hint}"
        )
    recipe = SOURCES[spec.source](spec)
    dataset = cached(cache_dir, spec.source, recipe.fingerprint, recipe.build)
    if len(dataset.skipped) > spec.max_bad:
        first = "".join(f"\n  {line}" for line in dataset.skipped[:_NAMED])
        rest = f"\n  … and {len(dataset.skipped) - _NAMED} more" if len(dataset.skipped) > _NAMED else ""
        raise InputError(
            f"{len(dataset.skipped)} images can't be read, and data.max_bad allows {spec.max_bad}; mend them, or raise "
            f"data.max_bad to leave them out:{first}{rest}"
        )
    return dataset
