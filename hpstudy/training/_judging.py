"""What a network is judged by: the verification protocol on held-out identities, and the geometry of its prototypes."""

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hpstudy.evaluation import draw_identities, prototype_geometry, tar_metric, verification, verification_replicates
from hpstudy.exceptions import InputError
from hpstudy.losses import CosineHead, CriterionHead, OneProcess
from hpstudy.seeds import derive_seed
from hpstudy.spec import chance_of, is_cost
from hpstudy.training._trial_data import TrialData

CUSTOMARY_FARS = (1e-2, 1e-3, 1e-4)
_TILE = 512
_MOST_LOGITS = 2**22
_MOST_POINTS = 5000
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
        pairs = impostor_pairs(labels)
        for name in (self.name, *self.others):
            far = chance_of(name)
            if far * pairs < 1:
                raise InputError(
                    f"search.objective {name}: a FAR of {far:g} must be at least 1 / the number of impostor pairs, "
                    f"1/{pairs} here: ask for a larger FAR or hold out more identities"
                )

    def fars(self, labels: Tensor) -> tuple[float, ...]:
        """The FARs to measure: the objectives', and the customary ones that the number of impostor pairs supports."""
        smallest = 1 / impostor_pairs(labels)
        asked = {chance_of(name) for name in (self.name, *self.others)}
        return tuple(sorted({*asked, *(far for far in CUSTOMARY_FARS if far >= smallest)}, reverse=True))


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


@torch.no_grad()
def geometry(head: nn.Module, embeddings: Tensor, data: TrialData) -> dict[str, float]:
    """The prototypes held against the training set, without capture conditions.

    What `prototype_geometry` measures, and for a softmax loss in nats at the final s, margin included: `train_loss`,
    the mean over the samples as often as a pass shows them, and `train_loss_balanced`, the mean of the class means,
    which is what NormFace's floor is about
    (NaN if a class has no sample). Of a user's own head, which need not have prototypes, nothing is measured.

    Args:
        head: The trained head.
        embeddings: Of all training samples, (N, K).
        data: What they are.
    """
    if not isinstance(head, CosineHead):
        return {}
    head = copy.copy(head)
    head.parallel = OneProcess()  # the other ranks of the trial, if there are any, do not look on
    labels = data.train_labels
    found = prototype_geometry(head.weight.detach(), head.scale.value, embeddings, labels, head.margin.satisfied)
    if not isinstance(head, CriterionHead):
        losses = _softmax_losses(head, embeddings, labels)
        sums = losses.new_zeros(data.num_classes).index_add_(0, labels, losses)
        counts = labels.bincount(minlength=data.num_classes)
        found["train_loss"] = float(losses[data.shown].mean())
        found["train_loss_balanced"] = float((sums / counts).mean())
    return {f"geometry/{name}": value for name, value in found.items()}


def _softmax_losses(head: CosineHead, embeddings: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of every sample, (N,) float64, in evaluation mode."""
    was_training = head.training
    head.eval()
    rows = max(1, _MOST_LOGITS // head.num_classes)
    losses = [
        functional.cross_entropy(head(some, theirs).logits.double(), theirs, reduction="none")
        for some, theirs in zip(torch.split(embeddings, rows), torch.split(labels, rows), strict=True)
    ]
    head.train(was_training)
    return torch.cat(losses)


def plane(head: nn.Module, embeddings: Tensor, data: TrialData) -> dict[str, NDArray[Any]]:
    """Where training samples and prototypes lie in two dimensions, for a picture; nothing in more dimensions.

    Returns:
        Columns `x`, `y`, `label` and `prototype` (whether the row is a prototype); at most a few thousand samples,
        evenly taken.
    """
    if not isinstance(head, CosineHead) or embeddings.shape[1] != 2:
        return {}
    step = -(-len(embeddings) // _MOST_POINTS)
    points = torch.cat([embeddings[::step], head.weight.detach()]).float().cpu().numpy()
    labels = torch.cat([data.train_labels[::step].cpu(), torch.arange(data.num_classes)]).numpy()
    is_prototype = np.arange(len(points)) >= len(points) - data.num_classes
    return {"x": points[:, 0], "y": points[:, 1], "label": labels, "prototype": is_prototype}


@dataclass(slots=True)
class AngleCounts:
    """θ_target and θ_non-target of some batches in one-degree bins, and how many samples are nearest to their own."""

    target: NDArray[np.int64]
    nontarget: NDArray[np.int64]
    nearest: int = 0
    samples: int = 0

    @classmethod
    def none(cls) -> "AngleCounts":
        """Of no batch yet."""
        return cls(np.zeros(HISTOGRAM_BINS, np.int64), np.zeros(HISTOGRAM_BINS, np.int64))

    @property
    def accuracy(self) -> float:
        """Share of the samples whose own prototype is the nearest; NaN without a sample."""
        return self.nearest / self.samples if self.samples else math.nan

    def over(self, total: Callable[[Tensor], Tensor], device: torch.device) -> "AngleCounts":
        """The counts of all processes that share the batches, `total` being their sum."""
        counts = np.concatenate([self.target, self.nontarget, [self.nearest, self.samples]])
        summed = total(torch.from_numpy(counts).to(device)).cpu().numpy()
        return AngleCounts(summed[:HISTOGRAM_BINS], summed[HISTOGRAM_BINS:-2], int(summed[-2]), int(summed[-1]))

    def add(self, cosine_blocks: Iterable[Tensor], labels: Tensor) -> None:
        """Counts a batch; NaN is not counted.

        Args:
            cosine_blocks: cos θ_j in blocks (N, B) of classes in order, `HeadOutput.cosine_blocks()`.
            labels: (N,).
        """
        target = torch.zeros(HISTOGRAM_BINS + 1, dtype=torch.int64, device=labels.device)
        everything = torch.zeros_like(target)
        own = torch.full(labels.shape, torch.nan, device=labels.device)
        hardest = torch.full_like(own, -torch.inf)
        first = 0
        for block in cosine_blocks:
            cos_NB = block.detach().float()
            degrees = torch.rad2deg(torch.acos(cos_NB.clamp(-1, 1)))
            bins = degrees.clamp(0, HISTOGRAM_BINS - 1).nan_to_num(HISTOGRAM_BINS).long()
            everything += torch.bincount(bins.flatten(), minlength=HISTOGRAM_BINS + 1)
            column = labels - first
            is_here = (column >= 0) & (column < bins.shape[1])
            at = column.clamp(0, bins.shape[1] - 1)[:, None]
            own_bin = bins.gather(1, at).squeeze(1)
            target += torch.bincount(own_bin.where(is_here, HISTOGRAM_BINS), minlength=HISTOGRAM_BINS + 1)
            own = torch.where(is_here, cos_NB.gather(1, at).squeeze(1), own)
            is_own_NB = (column[:, None] == torch.arange(cos_NB.shape[1], device=labels.device)) & is_here[:, None]
            hardest = torch.maximum(hardest, cos_NB.masked_fill(is_own_NB, -torch.inf).amax(1))
            first += bins.shape[1]
        self.target += target[:-1].cpu().numpy()
        self.nontarget += (everything - target)[:-1].cpu().numpy()
        self.nearest += int((own > hardest).sum())
        self.samples += len(labels)


def impostor_pairs(labels: Tensor) -> int:
    """Pairs of images of two identities, from the label of each image."""
    counts = labels.bincount()
    return (len(labels) ** 2 - int((counts**2).sum())) // 2
