"""From a model's name in a study file to the network."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from hpstudy.exceptions import InputError
from hpstudy.models._convnet import ConvNet, initialise
from hpstudy.spec import ModelSpec

MODELS: Mapping[str, Callable[..., nn.Module]] = {"convnet": ConvNet}
"""Networks by name; each takes `channels`, `image_size`, `width` and `embedding_dim`."""


def build_model(spec: ModelSpec, *, channels: int, image_size: int, generator: torch.Generator) -> nn.Module:
    """Builds a network with weights drawn from `generator`.

    A name of the form `package.module:attribute` is a user's own: a callable that takes the same keywords as the
    built-in networks and returns a module from (N, channels, H, W) images to (N, K) embeddings.

    Args:
        spec: Name, width and K.
        channels: Channels of the images.
        image_size: Side of the square images in pixels.
        generator: Source of the initial weights.

    Raises:
        InputError: no network has this name, or the user's attribute can't be imported.
    """
    factory = _factory(spec.name)
    shape = {
        "channels": channels,
        "image_size": image_size,
        "width": spec.width,
        "embedding_dim": spec.embedding_dim,
    }
    if spec.name in MODELS:
        model = factory(**shape)
        initialise(model, generator)
        return model
    # A user's own draws from the global generator, and may load weights that must stay as they are.
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        return factory(**shape)


def _factory(name: str) -> Callable[..., nn.Module]:
    if name in MODELS:
        return MODELS[name]
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise InputError(f"model.name must be one of {', '.join(MODELS)} or package.module:attribute, but got {name!r}")
    try:
        factory: Any = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"model.name {name!r} can't be imported: {error}") from error
    if not callable(factory):
        raise InputError(f"model.name {name!r} must name a callable, but it is a {type(factory).__name__}")
    made: Callable[..., nn.Module] = factory
    return made
