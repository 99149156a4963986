"""The head of a trial from its settings."""

from typing import Any

import torch
from torch import nn

from hpstudy.exceptions import InputError
from hpstudy.losses import (
    HeadOptions,
    OneProcess,
    Parallel,
    build_head,
    build_head_from_criterion,
    build_head_from_parts,
)
from hpstudy.spec import HeadSettings


def build_trial_head(
    settings: HeadSettings,
    *,
    num_classes: int,
    embedding_dim: int,
    generator: torch.Generator,
    classes_at_once: int | None = None,
    parallel: Parallel | None = None,
) -> nn.Module:
    """Builds the head of a trial: of margin and scale, of a criterion, or whatever a user's own loss returns.

    Raises:
        InputError: the user's attribute can't be imported, a parameter is not allowed, or a user's own loss would see
            only a part of the batch.
    """
    size = {"num_classes": num_classes, "embedding_dim": embedding_dim}
    options: HeadOptions = {
        "generator": generator,
        "regularisers": settings.regularisers,
        "classes_at_once": classes_at_once,
        "parallel": parallel,
    }
    if settings.criterion:
        return build_head_from_criterion(settings.criterion, **size, **options)
    if settings.margin:
        return build_head_from_parts(settings.margin, settings.scale, **size, **options)
    if not isinstance(parallel or OneProcess(), OneProcess):
        raise InputError(
            f"loss {settings.loss!r} is your own and would see a part of the batch: set resources.gpus to 1 or less"
        )
    params: dict[str, Any] = settings.params
    return build_head(settings.loss, generator=generator, **size, **params)
