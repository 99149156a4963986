"""A user's own loss, named as `module:attribute`."""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import nn

from hpstudy.exceptions import InputError


def build_custom_head(
    reference: str,
    *,
    num_classes: int,
    embedding_dim: int,
    generator: torch.Generator | None,
    params: Mapping[str, float | str],
) -> nn.Module:
    """Call the user's `(num_classes, embedding_dim, **params)` and see that a head came back.

    The callable knows nothing of generators and draws from torch's global one. So that its prototypes follow the seed
    all the same, the global one is seeded from `generator` for the length of the call and then put back.

    Raises:
        InputError: If the module, the attribute or the call fails, or the result is not a module with a forward.
    """
    make = _resolve(reference)
    with _seeded_from(generator):
        try:
            head = make(num_classes, embedding_dim, **params)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"loss {reference!r} could not be built with num_classes={num_classes}, embedding_dim={embedding_dim}, "
                f"{dict(params)}: {error}"
            ) from error
    if not isinstance(head, nn.Module):
        raise InputError(
            f"loss {reference!r} must return a torch.nn.Module with forward(embeddings, labels) -> HeadOutput, "
            f"but returned {type(head).__name__}"
        )
    return head


def _resolve(reference: str) -> Callable[..., object]:
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise InputError(f"a loss of your own is named 'module:attribute', but got {reference!r}")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(
            f"loss {reference!r}: cannot import {module_name!r} ({error}); is it installed or on PYTHONPATH?"
        ) from error
    make = getattr(module, attribute, None)
    if not callable(make):
        public = ", ".join(name for name in vars(module) if not name.startswith("_")) or "nothing public"
        trouble = "has no" if make is None else "has no callable"
        raise InputError(f"loss {reference!r}: {module_name!r} {trouble} {attribute!r} (it has {public})")
    return make


@contextlib.contextmanager
def _seeded_from(generator: torch.Generator | None) -> Iterator[None]:
    if generator is None:
        yield
        return
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
