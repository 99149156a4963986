"""The head of a trial from its settings."""

import torch
from torch import nn

from hpstudy.losses import build_head, build_head_from_parts
from hpstudy.spec import HeadSettings


def build_trial_head(
    settings: HeadSettings, *, num_classes: int, embedding_dim: int, generator: torch.Generator
) -> nn.Module:
    """Builds the head of a trial: a `CosineHead` of two parts, or whatever a user's own `module:attribute` returns.

    Raises:
        InputError: the user's attribute can't be imported, or a parameter is not allowed.
    """
    if ":" in settings.loss:
        return build_head(
            settings.loss,
            num_classes=num_classes,
            embedding_dim=embedding_dim,
            generator=generator,
            **settings.params,
        )
    return build_head_from_parts(
        settings.margin, settings.scale, num_classes=num_classes, embedding_dim=embedding_dim, generator=generator
    )
