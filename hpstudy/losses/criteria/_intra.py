"""ArcFace's intra-loss."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hpstudy.losses.criteria._base import Criterion, CriterionBatch
from hpstudy.losses.margins._angles import angle


class Intra(Criterion):
    """θ_y/π, the angle between a sample and its prototype as a share of the largest; ArcFace (CVPR 2019), eq. 5.

    The paper adds it to the softmax with weight 1; this is the added term. Its gradient fades to 0 where the angle is
    below what a cosine resolves, instead of jumping to the slope of an arc cosine.
    """

    name = "intra"

    def forward(self, batch: CriterionBatch, sums: Sequence[Tensor]) -> Tensor:
        """The mean over the batch."""
        del sums
        return angle(batch.cos_target_N).mean() / torch.pi
