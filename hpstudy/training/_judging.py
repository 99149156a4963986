"""What a network is judged by: the verification protocol on held-out identities, and the geometry of its prototypes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hpstudy.data import normalise
from hpstudy.evaluation import draw_identities, prototype_geometry, tar_metric, verification, verification_replicates
from hpstudy.exceptions import InputError
from hpstudy.losses import CosineHead
from hpstudy.seeds import derive_seed
from hpstudy.spec import chance_of, is_cost
from hpstudy.training._trial_data import TrialData

CUSTOMARY_FARS = (1e-2, 1e-3, 1e-4)
_BATCH = 512
_TILE = 512
HISTOGRAM_BINS = 180
REPLICATES = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """The validation metric that the search maximises, first of all if it follows several.

    Args:
        name: e.g. `val/tar_at_far_1e-3`.
        others: Further metrics that the search maximises.
    """

    name: str
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Sequence[str]) -> "Objective":
        """Of all objectives of a search; its costs, which every trial records, need no measuring here."""
        return cls(name=names[0], others=tuple(name for name in names[1:] if not is_cost(name)))

    @property
    def chance(self) -> float:
        """What guessing scores."""
        return chance_of(self.name)

    def check(self, labels: Tensor) -> None:
        """Refuses an objective that the held-out images can't resolve.

        Raises:
            InputError: the FAR is below one impostor pair.
        """
        pairs = _impostor_pairs(labels)
        for name in (self.name, *self.others):
            far = chance_of(name)
            if far * pairs < 1:
                raise InputError(
                    f"search.objective {name}: a FAR of {far:g} must be at least 1 / the number of impostor pairs, "
                    f"1/{pairs} here: ask for a larger FAR or hold out more identities"
                )

    def fars(self, labels: Tensor) -> tuple[float, ...]:
        """The FARs to measure: the objectives', and the customary ones that the number of impostor pairs supports."""
        smallest = 1 / _impostor_pairs(labels)
        asked = {chance_of(name) for name in (self.name, *self.others)}
        return tuple(sorted({*asked, *(far for far in CUSTOMARY_FARS if far >= smallest)}, reverse=True))


@torch.no_grad()
def embed(model: nn.Module, images: Tensor) -> Tensor:
    """Embeddings of images (N, channels, H, W) in evaluation mode, (N, K) float32; bytes are normalised on the way."""
    was_training = model.training
    model.eval()
    embeddings = torch.cat([model(_ready(batch)).float() for batch in torch.split(images, _BATCH)])
    model.train(was_training)
    return embeddings


def _ready(images: Tensor) -> Tensor:
    floats = normalise(images) if images.dtype == torch.uint8 else images
    return floats.contiguous(memory_format=torch.channels_last)


def judge(embeddings: Tensor, labels: Tensor, objective: Objective, prefix: str) -> dict[str, float]:
    """TAR@FAR over all pairs of the held-out embeddings; chance everywhere if one of them is not finite."""
    fars = objective.fars(labels)
    if not bool(torch.isfinite(embeddings).all()):
        return {f"{prefix}/{tar_metric(far)}": far for far in fars}
    return verification(embeddings, labels, fars=fars, block_size=_TILE).as_metrics(prefix)


def judge_replicates(
    embeddings: Tensor, labels: Tensor, objective: Objective, prefix: str
) -> dict[str, NDArray[np.float64]]:
    """The metrics of `judge` in bootstrap samples of the identities; nothing if an embedding is not finite.

    The samples follow from the number of identities alone, so that all trials judged on the same identities share them.
    """
    if not bool(torch.isfinite(embeddings).all()):
        return {}
    identities = int(labels.bincount().count_nonzero())
    counts = draw_identities(
        identities, REPLICATES, torch.Generator().manual_seed(derive_seed("identities", identities))
    )
    found = verification_replicates(embeddings, labels, counts, fars=objective.fars(labels), block_size=_TILE)
    return {f"{prefix}/{tar_metric(far)}": values.numpy() for far, values in found.items()}


def geometry(model: nn.Module, head: nn.Module, data: TrialData) -> dict[str, float]:
    """The prototypes held against the training set: posteriors at class centres, packing, margin satisfaction.

    Of a user's own head, which need not have prototypes, nothing is measured.
    """
    if not isinstance(head, CosineHead):
        return {}
    embeddings = embed(model, data.train_images)
    return {
        f"geometry/{name}": value
        for name, value in prototype_geometry(
            head.weight.detach(), head.scale.value, embeddings, data.train_labels, head.margin.satisfied
        ).items()
    }


def angle_histograms(cosine_blocks: Iterable[Tensor], labels: Tensor) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts of θ_target and θ_non-target in one-degree bins over a batch; NaN is not counted.

    Args:
        cosine_blocks: cos θ_j in blocks (N, B) of classes in order, `HeadOutput.cosine_blocks()`.
        labels: (N,).
    """
    target = torch.zeros(HISTOGRAM_BINS + 1, dtype=torch.int64, device=labels.device)
    everything = torch.zeros_like(target)
    first = 0
    for cos_NB in cosine_blocks:
        degrees = torch.rad2deg(torch.acos(cos_NB.detach().float().clamp(-1, 1)))
        bins = degrees.clamp(0, HISTOGRAM_BINS - 1).nan_to_num(HISTOGRAM_BINS).long()
        everything += torch.bincount(bins.flatten(), minlength=HISTOGRAM_BINS + 1)
        column = labels - first
        is_here = (column >= 0) & (column < bins.shape[1])
        own = bins.gather(1, column.clamp(0, bins.shape[1] - 1)[:, None]).squeeze(1)
        target += torch.bincount(own.where(is_here, HISTOGRAM_BINS), minlength=HISTOGRAM_BINS + 1)
        first += bins.shape[1]
    return target[:-1].cpu().numpy(), (everything - target)[:-1].cpu().numpy()


def _impostor_pairs(labels: Tensor) -> int:
    counts = labels.bincount()
    return (len(labels) ** 2 - int((counts**2).sum())) // 2
