"""Geometry of prototypes and class centres.

Shapes: C classes, K dimensions, N embeddings, P classes with an embedding, M rows in blocks of B, S columns of a tile.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hpstudy.exceptions import InputError

MERGED = 0.99
"""Two prototypes with a larger cosine count as one: 8 degrees."""


class _AgainstPrototypes(NamedTuple):
    """What rows look like from the prototypes, one entry a row."""

    cos_own_M: Tensor
    cos_hardest_M: Tensor
    """Largest cosine with another class's prototype."""
    log_odds_M: Tensor
    """s cos_own − ln Σ_{j≠own} e^{s cos_j}."""
    merged_M: Tensor
    """How many prototypes of other classes have a cosine above `MERGED` with the row."""

    @property
    def posterior_M(self) -> Tensor:
        """e^{s cos_own}/(e^{s cos_own} + Σ_{j≠own} e^{s cos_j})."""
        return torch.sigmoid(self.log_odds_M)


@torch.no_grad()
def prototype_geometry(
    weight: Tensor,
    scale: float | Tensor,
    embeddings: Tensor,
    labels: Tensor,
    margin_satisfied: float | Callable[[Tensor, Tensor, Tensor], Tensor],
    *,
    block_size: int = 1024,
) -> dict[str, float]:
    """The quantities that CosFace's bounds speak of (Wang et al., CVPR 2018, eq. 6 and 7), measured.

    Centre of a class is the direction of the mean of its unit embeddings; classes without an embedding are left out of
    what needs one. Nothing larger than block_size² or (N + C) × K is built.

    Args:
        weight: Prototypes (C, K) of any norm, C ≥ 2.
        scale: s, dimensionless.
        embeddings: (N, K) of any norm.
        labels: (N,) int64 in [0, C).
        margin_satisfied: The fraction itself, or `Margin.satisfied(cos_target, cos_hardest, norm)`, to be asked for
            every embedding.
        block_size: Rows and columns of a tile.

    Returns:
        `class_centre_posterior_min`, `class_centre_posterior_mean`: posterior of class y for x = W_y, over classes;
        its minimum is the P_W of eq. 6. `feature_centre_posterior_min`, `feature_centre_posterior_mean`: the same for
        x = centre of class y. `class_centre_log_odds_min`, `feature_centre_log_odds_min`: ln(P/(1−P)) of the minima,
        which tell apart what no P in floating point does. `max_prototype_cosine`: max_{i≠j} W_i·W_j, of eq. 7;
        `max_centre_cosine`: the same of the centres (NaN with fewer than two). `merged_pairs`: pairs of prototypes with
        W_i·W_j above `MERGED`. `margin_satisfied_fraction`. `train_accuracy`: fraction of the embeddings whose own
        prototype is the nearest. `prototype_centre_angle_mean`: mean angle of W_y and centre of class y in radians.
        `final_s`.

    Raises:
        InputError: If the shapes do not fit, there is no embedding, a label is outside [0, C), or a value is not
            finite.
    """
    s = float(scale)
    _check(weight, s, embeddings, labels)
    with torch.autocast(weight.device.type, enabled=False):
        dtype = torch.promote_types(torch.promote_types(weight.dtype, embeddings.dtype), torch.float32)
        prototypes_CK, unit_NK = F.normalize(weight.to(dtype)), F.normalize(embeddings.to(dtype))
        classes_C = torch.arange(len(weight), device=weight.device)
        present_P, centres_PK = _class_centres(unit_NK, labels, num_classes=len(weight))
        of_prototypes = _against_prototypes(prototypes_CK, classes_C, prototypes_CK, s, block_size)
        of_centres = _against_prototypes(centres_PK, present_P, prototypes_CK, s, block_size)
        among_centres = _against_prototypes(
            centres_PK, torch.arange(len(centres_PK), device=weight.device), centres_PK, s, block_size
        )
        of_samples = _against_prototypes(unit_NK, labels, prototypes_CK, s, block_size)
        if callable(margin_satisfied):
            norm_N = embeddings.to(dtype).norm(dim=1)
            satisfied = margin_satisfied(of_samples.cos_own_M, of_samples.cos_hardest_M, norm_N)
            fraction = float(satisfied.to(dtype).mean())
        else:
            fraction = float(margin_satisfied)
        own_PK = prototypes_CK[present_P]
        # 2·atan2(chord, co-chord) keeps small angles that arccos of a cosine near 1 loses
        angle_P = 2.0 * torch.atan2((centres_PK - own_PK).norm(dim=1), (centres_PK + own_PK).norm(dim=1))
    return {
        "class_centre_posterior_min": float(of_prototypes.posterior_M.min()),
        "class_centre_posterior_mean": float(of_prototypes.posterior_M.mean()),
        "feature_centre_posterior_min": float(of_centres.posterior_M.min()),
        "feature_centre_posterior_mean": float(of_centres.posterior_M.mean()),
        "class_centre_log_odds_min": float(of_prototypes.log_odds_M.min()),
        "feature_centre_log_odds_min": float(of_centres.log_odds_M.min()),
        "max_prototype_cosine": float(of_prototypes.cos_hardest_M.max()),
        "max_centre_cosine": float(among_centres.cos_hardest_M.max()) if len(centres_PK) > 1 else math.nan,
        "merged_pairs": float(of_prototypes.merged_M.sum() // 2),
        "margin_satisfied_fraction": fraction,
        "train_accuracy": float((of_samples.cos_own_M > of_samples.cos_hardest_M).to(dtype).mean()),
        "prototype_centre_angle_mean": float(angle_P.mean()),
        "final_s": s,
    }


def _check(weight: Tensor, s: float, embeddings: Tensor, labels: Tensor) -> None:
    if weight.ndim != 2 or len(weight) < 2:
        raise InputError(f"weight must be (C, K) with C ≥ 2, but got {tuple(weight.shape)}")
    if embeddings.ndim != 2 or embeddings.shape[1] != weight.shape[1] or not len(embeddings):
        raise InputError(f"embeddings must be (N, {weight.shape[1]}), N ≥ 1, but got {tuple(embeddings.shape)}")
    if labels.shape != embeddings.shape[:1] or labels.dtype != torch.int64:
        raise InputError(f"labels must be ({len(embeddings)},) int64, but got {tuple(labels.shape)} of {labels.dtype}")
    lowest, highest = (int(bound) for bound in labels.aminmax())
    if lowest < 0 or highest >= len(weight):
        raise InputError(f"labels must lie in [0, {len(weight)}), but got values from {lowest} to {highest}")
    for name, tensor in (("weight", weight), ("embeddings", embeddings), ("scale", torch.tensor(s))):
        if not bool(tensor.isfinite().all()):
            raise InputError(f"{name} must be finite, but is not: the trial has diverged and has no geometry")


def _class_centres(unit_NK: Tensor, labels_N: Tensor, *, num_classes: int) -> tuple[Tensor, Tensor]:
    """Classes that have an embedding, (P,), and the unit directions of their means, (P, K)."""
    sums_CK = unit_NK.new_zeros(num_classes, unit_NK.shape[1]).index_add_(0, labels_N, unit_NK)
    present_P = labels_N.bincount(minlength=num_classes).nonzero().squeeze(1)
    return present_P, F.normalize(sums_CK[present_P])


def _against_prototypes(
    rows_MK: Tensor, own_M: Tensor, prototypes_CK: Tensor, s: float, block_size: int
) -> _AgainstPrototypes:
    """Compare rows with every prototype, tile by tile, keeping running sums and maxima."""
    blocks = [
        _against_prototypes_block(
            rows_MK[start : start + block_size], own_M[start : start + block_size], prototypes_CK, s, block_size
        )
        for start in range(0, len(rows_MK), block_size)
    ]
    return _AgainstPrototypes(*(torch.cat(parts) for parts in zip(*blocks, strict=True)))


def _against_prototypes_block(
    rows_BK: Tensor, own_B: Tensor, prototypes_CK: Tensor, s: float, block_size: int
) -> _AgainstPrototypes:
    cos_own_B = (rows_BK * prototypes_CK[own_B]).sum(1)
    hardest_B = torch.full_like(cos_own_B, -torch.inf)
    log_b_B = torch.full_like(cos_own_B, -torch.inf)
    merged_B = torch.zeros_like(own_B)
    for start in range(0, len(prototypes_CK), block_size):
        cos_BS = rows_BK @ prototypes_CK[start : start + block_size].T
        is_own_BS = own_B[:, None] == torch.arange(start, start + cos_BS.shape[1], device=own_B.device)
        others_BS = cos_BS.masked_fill(is_own_BS, -torch.inf)
        hardest_B = torch.maximum(hardest_B, others_BS.amax(1))
        merged_B += (others_BS > MERGED).sum(1)
        log_b_B = torch.logaddexp(log_b_B, (s * cos_BS).masked_fill_(is_own_BS, -torch.inf).logsumexp(1))
    return _AgainstPrototypes(cos_own_B, hardest_B, s * cos_own_B - log_b_B, merged_B)
