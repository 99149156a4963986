"""A triplet loss of angles between the embeddings of a batch. Shapes: N samples."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hpstudy.catalog import CRITERIA
from hpstudy.losses.criteria._base import Criterion, CriterionBatch
from hpstudy.losses.margins._angles import angle

_BEYOND = 2.0
"""Larger than any cosine."""


class AngularTriplet(Criterion):
    """max(0, arccos(x·x⁺) + m − arccos(x·x⁻)) with the farthest x⁺ of the same class and the nearest x⁻ of another.

    ArcFace (Deng et al., CVPR 2019), §2.3, compares with arccos(x·x⁺) + m ≤ arccos(x·x⁻) and leaves open which triplets
    of a batch it takes; the hardest ones are this project's choice. The mean goes over the samples that have both an x⁺
    (never themselves) and an x⁻ in the batch; a batch without any has the value 0 and the gradient 0. It takes N×N
    cosines, and no prototypes. Samples that tie for hardest share its gradient; an x⁺ equal to x has none.

    Under `DataParallel` the batch is each rank's own, under `ClassShards` that of all ranks.

    Args:
        m: How much larger, in radians, the angle between classes shall be than within.

    Raises:
        InputError: If m is outside the catalogue's hard range.
    """

    name = "angular_triplet"

    def __init__(self, *, m: float) -> None:
        super().__init__()
        self.m = CRITERIA[self.name].parameters["m"].check(m)

    def forward(self, batch: CriterionBatch, sums: Sequence[Tensor]) -> Tensor:
        """The mean over the samples that have both."""
        del sums
        cos_NN = batch.unit_NK @ batch.unit_NK.T
        is_same_NN = batch.label_N[:, None] == batch.label_N
        is_positive_NN = is_same_NN & ~torch.eye(len(cos_NN), dtype=torch.bool, device=cos_NN.device)
        has_both_N = is_positive_NN.any(1) & ~is_same_NN.all(1)
        positive_N = angle(cos_NN.masked_fill(~is_positive_NN, _BEYOND).amin(1))
        negative_N = angle(cos_NN.masked_fill(is_same_NN, -_BEYOND).amax(1))
        hinge_N = torch.where(has_both_N, (positive_N + self.m - negative_N).relu(), 0.0)
        return hinge_N.sum() / has_both_N.sum().clamp_min(1)

    def extra_repr(self) -> str:
        """The margin with its unit."""
        return f"m={self.m:g} rad"
