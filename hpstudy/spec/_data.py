"""The `data`, `model` sections: what is learned from, and the network."""

import os
from collections.abc import Callable
from typing import Annotated, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from hpstudy.spec._fields import ATTRIBUTE, Real, Section, Whole, is_attribute
from hpstudy.spec._names import nearest

SOURCES = ("glyphs", "digits", "folder", "parquet", "free")
MODELS = ("convnet", "free")
_DIGITS = 10


def _one_of(known: tuple[str, ...]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in known and not is_attribute(name):
            raise PydanticCustomError(
                "unknown_name",
                "unknown name {name}{hint} (known: {known}, or package.module:attribute)",
                {"name": repr(name), "hint": nearest(name, known), "known": ", ".join(known)},
            )
        return name

    return check


def _name_schema(known: tuple[str, ...]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"enum": list(known)}, {"type": "string", "pattern": f"^{ATTRIBUTE.pattern}$"}]})


def _path(path: str) -> str:
    if ".." in path.replace("\\", "/").split("/"):
        raise PydanticCustomError(
            "escape",
            "a path stays below the study file's folder, but {path} goes up with '..'; give the absolute path instead",
            {"path": repr(path)},
        )
    if path.startswith("~") or not path.strip() or "\0" in path:
        raise PydanticCustomError(
            "path", "must be a path as it is ('~' is not expanded), but got {path}", {"path": repr(path)}
        )
    return path


def absolute(path: str, root: str) -> str:
    """The path as every process sees it: a relative one lies below `root`; URIs (`s3://…`) stay."""
    return path if "://" in path else os.path.normpath(os.path.join(root, path))


Source = Annotated[str, AfterValidator(_one_of(SOURCES)), _name_schema(SOURCES)]
Network = Annotated[str, AfterValidator(_one_of(MODELS)), _name_schema(MODELS)]
Path = Annotated[str, AfterValidator(_path)]


def _held_out(count: int) -> int:
    """A split has a pair of identities to tell apart, or it has none."""
    if count < 0 or count == 1:
        raise PydanticCustomError("held_out", "must be at least 2, or 0 for none, but got {count}", {"count": count})
    return count


class IdentitiesSpec(Section):
    """How many identities each split has; the splits share none (open set)."""

    train: Annotated[Whole, Field(ge=2)] = 300
    """Identities to train on: the number of classes C, at least 2. Default 300."""
    val: Annotated[Whole, AfterValidator(_held_out)] = 200
    """Identities that the search is judged on, at least 2; in a survey (confirm.seeds: 0) also 0. Default 200."""
    test: Annotated[Whole, AfterValidator(_held_out)] = 400
    """Identities that only the confirm phase is judged on, at least 2; in a survey also 0. Default 400."""


class AugmentSpec(Section):
    """Capture conditions, drawn anew for every image of every batch."""

    rotation_deg: Annotated[Real, Field(ge=0, le=180)] = 10.0
    """Largest rotation either way, in degrees. Default 10."""
    scale: Annotated[Real, Field(ge=0, lt=1)] = 0.1
    """Largest relative change of size either way, a fraction below 1. Default 0.1."""
    translate: Annotated[Real, Field(ge=0, lt=1)] = 0.08
    """Largest shift either way, a fraction of the image side below 1. Default 0.08."""
    noise: Annotated[Real, Field(ge=0, le=1)] = 0.1
    """Standard deviation of the pixel noise; pixels lie in [0, 1]. Default 0.1."""


class DataSpec(Section):
    """What the study learns from and is judged on."""

    source: Source = "glyphs"
    """`glyphs` (rendered characters, embedded), `digits` (scikit-learn's), `folder` (one folder an identity), `parquet`
    (shards of image bytes and identity), your own `package.module:attribute`, or `free`: no images, every sample is a
    point that moves freely, which shows what the head alone does. Default glyphs."""
    identities: IdentitiesSpec = IdentitiesSpec()
    """How many identities each split has."""
    seed: Annotated[Whole, Field(ge=0)] = 0
    """Seed of the split and of the capture conditions of val and test. Default 0."""
    path: Path | None = None
    """Where `folder` or `parquet` data lies: absolute, or below the study file's folder. Default none."""
    fonts: Path | None = None
    """A folder of extra .ttf and .otf fonts for `glyphs`: absolute, or below the study file's folder. Default none."""
    image_size: Annotated[Whole, Field(ge=8, le=1024)] = 32
    """Side of the square image in pixels. Default 32."""
    max_bad: Annotated[Whole, Field(ge=0)] = 0
    """How many unreadable images are skipped before the study refuses to go on. Default 0."""
    augment: AugmentSpec = AugmentSpec()
    """Capture conditions of the training images."""
    samples: Annotated[Whole, Field(ge=1)] | None = None
    """Samples of each identity with source `free`, at least 1; other sources bring their own. Default none."""
    imbalance: Annotated[Real, Field(ge=1, le=1000)] = 1.0
    """How many times as often an epoch shows a sample of the most frequent training identity as one of the rarest; the
    others lie between in a geometric sequence (a long tail). An epoch has as many steps as without. 1 is balanced.
    Default 1."""
    label_noise: Annotated[Real, Field(ge=0, lt=1)] = 0.0
    """Share of the training samples that are given the label of another identity, drawn from data.seed. Default 0."""

    @model_validator(mode="after")
    def _source_has_what_it_needs(self) -> Self:
        if self.source in ("folder", "parquet") and self.path is None:
            raise PydanticCustomError(
                "needs_path", "source {source} needs data.path", {"source": self.source, "fields": "source path"}
            )
        if self.source in ("glyphs", "digits") and self.path is not None:
            raise PydanticCustomError(
                "no_path",
                "source {source} is embedded and reads no path; remove data.path",
                {"source": self.source, "fields": "path source"},
            )
        if self.source == "free" and self.path is not None:
            raise PydanticCustomError(
                "free_path", "source free has no images and reads no path; remove data.path", {"fields": "path source"}
            )
        if self.source != "glyphs" and self.fonts is not None:
            raise PydanticCustomError(
                "no_fonts", "only glyphs reads fonts; remove data.fonts", {"fields": "fonts source"}
            )
        if self.source == "free" and self.samples is None:
            raise PydanticCustomError(
                "needs_samples",
                "source free needs data.samples, how many points each identity has; e.g. 16",
                {"fields": "source samples"},
            )
        if self.source != "free" and self.samples is not None:
            raise PydanticCustomError(
                "no_samples",
                "only free makes its samples, source {source} brings its own; remove data.samples",
                {"source": self.source, "fields": "samples source"},
            )
        if self.source == "free" and (self.identities.val or self.identities.test):
            raise PydanticCustomError(
                "free_held_out",
                "free points of other identities have learned nothing to be judged by: write val: 0, test: 0 in "
                "data.identities",
                {"fields": "identities source"},
            )
        total = self.identities.train + self.identities.val + self.identities.test
        if self.source == "digits" and total > _DIGITS:
            raise PydanticCustomError(
                "digits",
                "digits has 10 identities in all, but train + val + test is {total}; e.g. {example}",
                {"total": total, "example": "{train: 4, val: 3, test: 3}", "fields": "identities source"},
            )
        return self


class ModelSpec(Section):
    """The network from an image to an embedding."""

    name: Network = "convnet"
    """`convnet`, your own `package.module:attribute`, or, with data.source free, `free`: the embeddings are parameters
    themselves. Default convnet."""
    width: Annotated[Whole, Field(ge=1)] = 8
    """Channels of the first block; the later ones are multiples. Default 8."""
    embedding_dim: Annotated[Whole, Field(ge=2)] = 256
    """Dimension K of the embedding, at least 2. Default 256."""
