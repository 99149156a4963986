"""ArcFace's inter-loss. Shapes: N samples, K embedding dimensions, B classes of a block."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hpstudy.losses._cosines import unit_rows
from hpstudy.losses._nontargets import PlainSum
from hpstudy.losses.criteria._base import Criterion, CriterionBatch
from hpstudy.losses.margins._angles import angle

_ANGLE_SUM = PlainSum(function=lambda cos_NB, *_: angle(cos_NB))
"""Σ_{j≠y} θ_j."""


class Inter(Criterion):
    """−Σ_{j≠y} arccos(W_y·W_j)/(π·(C − 1)), the mean angle between prototypes; ArcFace (CVPR 2019), eq. 6.

    W are unit prototypes. The paper adds it to the softmax with weight 1; this is the added term, which pushes
    prototypes apart: the sign is a minus. The mean goes over the batch, so that a class counts as often as it has
    samples there, and both prototypes of a pair move. Equal prototypes, whose direction apart nothing tells, have
    gradient 0.

    It costs as much again as the head's own cosines, in time and, where these are kept, in memory.
    """

    name = "inter"

    def forward(self, batch: CriterionBatch, sums: Sequence[Tensor]) -> Tensor:
        """The mean over the batch."""
        del sums
        (angles_N,) = batch.sums_of_rows(_own_prototypes(batch), [_ANGLE_SUM])
        return -angles_N.mean() / (torch.pi * (batch.num_classes - 1))


def _own_prototypes(batch: CriterionBatch) -> Tensor:
    """W_y of each sample, (N, K), from whichever rank has it."""
    here = len(batch.weight_CK)
    is_own_N1 = ((batch.label_here_N >= 0) & (batch.label_here_N < here))[:, None]
    rows_NK = batch.weight_CK[batch.label_here_N.clamp(0, here - 1)].to(batch.unit_NK.dtype)
    return batch.parallel.of_owners_for_classes(unit_rows(torch.where(is_own_N1, rows_NK, 0.0))[0])
