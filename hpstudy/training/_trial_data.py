"""What a trial learns from and is judged on, shared by all trials of a worker."""

import copy
import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from hpstudy.data import Split, augment, capture, load_dataset, noisy_labels, rows_shown, split_identities
from hpstudy.models import EMBED_AT_ONCE, FreeFeatures, build_model, embed
from hpstudy.seeds import derive_seed
from hpstudy.spec import DataSpec, ModelSpec


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Images of identities that no trial trains on, as captured once and for all."""

    images: Tensor
    """(N, channels, H, W) float32."""
    labels: Tensor
    """(N,) int64."""

    def first(self, count: int) -> "HeldOut":
        """Its first `count` images."""
        return HeldOut(self.images[:count], self.labels[:count])


class TrialData(ABC):
    """The samples of a condition on the trial's device; what they are, its two kinds know.

    Attributes:
        num_classes: C.
        train_labels: (N,) int64, the label that each training sample is taught, right or wrong.
        shown: (V,) int64, the training samples that one pass visits: each once, or as often as the imbalance has it.
        content_hash: Equal exactly if the data is equal.
    """

    num_classes: int
    train_labels: Tensor
    shown: Tensor
    content_hash: str

    @property
    def val(self) -> HeldOut | None:
        """What validation judges; None if there is nothing."""
        return None

    @property
    def test(self) -> HeldOut | None:
        """What a trial that counts is judged on; None if there is nothing."""
        return None

    @property
    def channels(self) -> int:
        """Channels of an image; 0 where there are none."""
        return 0

    @abstractmethod
    def build_model(self, spec: ModelSpec, generator: torch.Generator) -> nn.Module:
        """What turns `batch` into embeddings, its weights drawn from `generator`.

        Raises:
            InputError: the network can't be built.
        """

    @abstractmethod
    def start(self, model: nn.Module, prototypes: Tensor) -> None:
        """Puts the model where training begins, once the prototypes (C, K) are drawn."""

    @abstractmethod
    def batch(self, rows: Tensor, noise: torch.Generator) -> Tensor:
        """The network's input for some training samples, seen under conditions drawn from `noise`."""

    @abstractmethod
    def embed_training(self, model: nn.Module, at_once: int = EMBED_AT_ONCE) -> Tensor:
        """Embeddings of all training samples in evaluation mode, (N, K) float32, without capture conditions."""


class ImageData(TrialData):
    """Train images as bytes, held-out images as captured once, on the trial's device.

    The capture conditions (affine, noise) of the held-out images are drawn once from the data's seed: every trial is
    judged on the same pictures.

    Args:
        spec: The data of the condition.
        cache_dir: Where rendered and decoded data are kept.
        device: Where the tensors live.
    """

    def __init__(self, spec: DataSpec, cache_dir: Path, device: torch.device) -> None:
        dataset = load_dataset(spec, cache_dir)
        splits = split_identities(dataset, spec)
        self._augment = spec.augment
        self._seed = spec.seed
        self._test_split = splits.test
        self._device = device
        self.content_hash = dataset.content_hash
        self.num_classes = len(splits.train.identity_names)
        self._images = splits.train.images.to(device)
        labels = noisy_labels(splits.train.labels, self.num_classes, spec.label_noise, spec.seed)
        self.train_labels = labels.to(device)
        self.shown = rows_shown(splits.train.labels, self.num_classes, spec.imbalance).to(device)
        self._val = self._captured(splits.val, "val")
        self._test: HeldOut | None = None

    @property
    def val(self) -> HeldOut | None:
        """Captured validation images."""
        return self._val

    @property
    def test(self) -> HeldOut | None:
        """Captured test images, made when first asked for: few trials do."""
        if self._test is None:
            self._test = self._captured(self._test_split, "test")
        return self._test

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return int(self._images.shape[1])

    def with_validation(self, val: HeldOut) -> Self:
        """The same data with other validation images."""
        data = copy.copy(self)
        data._val = val
        return data

    def build_model(self, spec: ModelSpec, generator: torch.Generator) -> nn.Module:
        """The network of a study file's `model` section."""
        size = int(self._images.shape[-1])
        model = build_model(spec, channels=self.channels, image_size=size, generator=generator).to(self._device)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model

    def start(self, model: nn.Module, prototypes: Tensor) -> None:
        """A network begins with its own weights."""

    def batch(self, rows: Tensor, noise: torch.Generator) -> Tensor:
        """The images, rotated, scaled, shifted and with noise."""
        return augment(self._images[rows], self._augment, noise).contiguous(memory_format=torch.channels_last)

    def embed_training(self, model: nn.Module, at_once: int = EMBED_AT_ONCE) -> Tensor:
        """Embeddings of the clean images."""
        return embed(model, self._images, at_once)

    def _captured(self, split: Split, name: str) -> HeldOut | None:
        if not len(split.labels):
            return None
        images = capture(split, self._augment, derive_seed("capture", name, self._seed))
        images = images.to(self._device).contiguous(memory_format=torch.channels_last)
        return HeldOut(images, split.labels.to(self._device))


class FreeData(TrialData):
    """Samples without images: each is a point that moves freely, `data.samples` to an identity.

    Args:
        spec: The data of the condition.
        device: Where the tensors live.
    """

    def __init__(self, spec: DataSpec, device: torch.device) -> None:
        assert spec.samples is not None, "the study file gives source free its samples"
        self._device = device
        self.num_classes = spec.identities.train
        clean = torch.arange(self.num_classes).repeat_interleave(spec.samples)
        self.train_labels = noisy_labels(clean, self.num_classes, spec.label_noise, spec.seed).to(device)
        self.shown = rows_shown(clean, self.num_classes, spec.imbalance).to(device)
        made = {"source": "free", "identities": self.num_classes, "samples": spec.samples}
        self.content_hash = hashlib.sha256(json.dumps(made).encode()).hexdigest()

    def build_model(self, spec: ModelSpec, generator: torch.Generator) -> nn.Module:
        """The points."""
        points = FreeFeatures(num_samples=len(self.train_labels), embedding_dim=spec.embedding_dim, generator=generator)
        return points.to(self._device)

    def start(self, model: nn.Module, prototypes: Tensor) -> None:
        """Every point near the prototype of its label."""
        assert isinstance(model, FreeFeatures)
        model.start_at(prototypes.detach()[self.train_labels])

    def batch(self, rows: Tensor, noise: torch.Generator) -> Tensor:
        """The rows themselves."""
        del noise
        return rows

    @torch.no_grad()
    def embed_training(self, model: nn.Module, at_once: int = EMBED_AT_ONCE) -> Tensor:
        """Where the points are."""
        del at_once
        points: Tensor = model(torch.arange(len(self.train_labels), device=self._device))
        return points


@lru_cache(maxsize=2)
def _cached(spec_json: str, cache_dir: str, device: str) -> TrialData:
    spec = DataSpec.model_validate_json(spec_json)
    if spec.source == "free":
        return FreeData(spec, torch.device(device))
    return ImageData(spec, Path(cache_dir), torch.device(device))


def load_trial_data(spec: DataSpec, cache_dir: Path, device: torch.device) -> TrialData:
    """The data of a condition, read once for each worker process and device."""
    return _cached(spec.model_dump_json(), str(cache_dir), str(device))
