"""A trained network on its own: from images to embeddings of length 1, kept as one JSON file and its weights."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from hpstudy.exceptions import InputError
from hpstudy.models._build import MODELS, build_model
from hpstudy.models._embed import embed
from hpstudy.spec import ModelSpec

_DESCRIPTION = "embedder.json"
_WEIGHTS = "weights.pt"
_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedder:
    """A trained network and the images that it takes.

    Attributes:
        network: In evaluation mode, on its device.
        spec: What it was built from.
        channels: Channels of an image.
        image_size: Side of the square image in pixels.
    """

    network: nn.Module
    spec: ModelSpec
    channels: int
    image_size: int

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeds images as a study judges them: bytes normalised, the network in evaluation mode, length 1.

        Args:
            images: (N, channels, image_size, image_size) uint8.

        Returns:
            (N, K) float32; the cosine of two embeddings is their dot product.

        Raises:
            InputError: the images have another type or shape.
        """
        wanted = (self.channels, self.image_size, self.image_size)
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != wanted:
            shown = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
            raise InputError(
                f"images must be a uint8 array of shape (N, {', '.join(map(str, wanted))}), but got {shown}"
            )
        if not len(images):
            return np.empty((0, self.spec.embedding_dim), np.float32)
        device = next(iter(self.network.state_dict().values()), torch.empty(0)).device
        embeddings = F.normalize(embed(self.network, torch.tensor(images, device=device)))
        found: NDArray[np.float32] = embeddings.cpu().numpy()
        return found


def save_embedder(folder: Path, spec: ModelSpec, trial_weights: bytes) -> tuple[int, int, int]:
    """Writes a trial's network into a folder: `embedder.json` and `weights.pt`, without the head.

    An open-set user compares embeddings of identities that no prototype stands for; of many classes the head is the
    larger part.

    Args:
        folder: Made if need be.
        spec: What the network was built from.
        trial_weights: What the trial kept in `weights.pt`.

    Returns:
        Channels, height and width of the images that it takes.

    Raises:
        InputError: the weights don't say what images they are for, or are those of no network.
    """
    kept: dict[str, Any] = torch.load(io.BytesIO(trial_weights), map_location="cpu", weights_only=True)
    shape = _image_shape(kept)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(kept["model"], folder / _WEIGHTS)
    description = {"format": _FORMAT, "model": spec.model_dump(mode="json"), **shape}
    (folder / _DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return shape["channels"], shape["image_size"], shape["image_size"]


def _image_shape(trial_weights: Mapping[str, Any]) -> dict[str, int]:
    """Channels and side of the images that a trial's network takes."""
    images = trial_weights.get("images", {})
    if not images.get("channels"):
        raise InputError(
            "the trial's weights don't say what images its network takes: they are free points, or were kept by an "
            "earlier hpstudy; run the study again under another name"
        )
    return {"channels": int(images["channels"]), "image_size": int(images["image_size"])}


def load_embedder(folder: Path, device: str = "cpu") -> Embedder:
    """The network that `save_embedder` left in a folder.

    Raises:
        InputError: a user's own network can't be imported here, or the folder is of another version of hpstudy.
    """
    description = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
    if description.get("format") != _FORMAT:
        raise InputError(
            f"{folder / _DESCRIPTION} has format {description.get('format')}, this hpstudy reads format {_FORMAT}: "
            "load it with the hpstudy that wrote it"
        )
    spec = ModelSpec.model_validate(description["model"])
    images = {name: int(description[name]) for name in ("channels", "image_size")}
    network = _built(spec, **images)
    network.load_state_dict(torch.load(folder / _WEIGHTS, map_location="cpu", weights_only=True))
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Embedder(network=network.eval(), spec=spec, **images)


def _built(spec: ModelSpec, **images: int) -> nn.Module:
    try:
        return build_model(spec, generator=torch.Generator(), **images)
    except InputError as error:
        if spec.name in MODELS:
            raise
        module = spec.name.partition(":")[0]
        raise InputError(
            f"{error}; the model holds the weights of {spec.name!r} and not its code: install the module {module!r} "
            "here, or put its folder on PYTHONPATH"
        ) from error
