"""The images of a trial, shared by all trials of a worker."""

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from hpstudy.data import Split, capture, load_dataset, split_identities
from hpstudy.seeds import derive_seed
from hpstudy.spec import DataSpec


class TrialData:
    """Train images as bytes, held-out images as captured once and for all, on the trial's device.

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
        self._spec = spec
        self._splits = splits
        self._device = device
        self.content_hash = dataset.content_hash
        self.train_images = splits.train.images.to(device)
        self.train_labels = splits.train.labels.to(device)
        self.num_classes = len(splits.train.identity_names)
        self.channels = int(splits.train.images.shape[1])
        self.image_size = int(splits.train.images.shape[-1])
        self.val_images = self._captured(splits.val, "val")
        self.val_labels = splits.val.labels.to(device)
        self._test_images: Tensor | None = None
        self.test_labels = splits.test.labels.to(device)

    @property
    def test_images(self) -> Tensor:
        """Captured test images, made when first asked for: only confirm trials do."""
        if self._test_images is None:
            self._test_images = self._captured(self._splits.test, "test")
        return self._test_images

    def _captured(self, split: Split, name: str) -> Tensor:
        images = capture(split, self._spec.augment, derive_seed("capture", name, self._spec.seed))
        return images.to(self._device).contiguous(memory_format=torch.channels_last)


@lru_cache(maxsize=2)
def _cached(spec_json: str, cache_dir: str, device: str) -> TrialData:
    return TrialData(DataSpec.model_validate_json(spec_json), Path(cache_dir), torch.device(device))


def load_trial_data(spec: DataSpec, cache_dir: Path, device: torch.device) -> TrialData:
    """The data of a condition, read once for each worker process and device."""
    return _cached(spec.model_dump_json(), str(cache_dir), str(device))
