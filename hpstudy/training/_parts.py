"""The network and the head of a trial, built once to see that they work together."""

import torch

from hpstudy.exceptions import InputError
from hpstudy.losses import STATISTICS, HeadOutput
from hpstudy.models import build_model
from hpstudy.spec import TrialSettings
from hpstudy.training._heads import build_trial_head

_IMAGES = 4


def check_parts(settings: TrialSettings, *, channels: int) -> None:
    """Sends a few blank images through the network and the head of a trial.

    Raises:
        InputError: a part can't be built, or gives something else than a trial needs.
    """
    generator = torch.Generator().manual_seed(0)
    size, dim = settings.data.image_size, settings.model.embedding_dim
    classes = settings.data.identities.train
    try:
        model = build_model(settings.model, channels=channels, image_size=size, generator=generator)
        head = build_trial_head(settings.head, num_classes=classes, embedding_dim=dim, generator=generator)
        embeddings = model(torch.randn(_IMAGES, channels, size, size, generator=generator))
        if embeddings.shape != (_IMAGES, dim):
            raise InputError(
                f"model.name {settings.model.name!r} must give embeddings of shape (N, {dim}), "
                f"but gave {tuple(embeddings.shape)} for N = {_IMAGES}"
            )
        output = head(embeddings, torch.arange(_IMAGES) % classes)
    except InputError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise InputError(f"{type(error).__name__}: {error}") from error
    if not isinstance(output, HeadOutput):
        raise InputError(f"loss {settings.head.loss!r} must return a HeadOutput, but returned {type(output).__name__}")
    missing = [name for name in STATISTICS if name not in output.statistics]
    if missing:
        raise InputError(
            f"loss {settings.head.loss!r} must give the statistics {', '.join(STATISTICS)}, but "
            f"{', '.join(missing)} are missing (hpstudy.losses.head_statistics computes them from cosines)"
        )
