"""Verification over all pairs. Shapes: N embeddings, K dimensions, R × S a tile of the N × N scores."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from hpstudy.evaluation._metric_names import tar_metric
from hpstudy.exceptions import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class VerificationResult:
    """TAR@FAR over all pairs of a set."""

    tar: Mapping[float, float]
    """Share of genuine pairs accepted, by FAR."""
    thresholds: Mapping[float, float]
    """Cosine above which a pair is accepted, by FAR."""
    num_genuine: int
    """Pairs of one identity."""
    num_impostor: int
    """Pairs of two identities."""

    def as_metrics(self, prefix: str) -> dict[str, float]:
        """The TARs by metric name, e.g. `{"val/tar_at_far_1e-3": 0.81}` for the prefix `val`."""
        return {f"{prefix}/{tar_metric(far)}": tar for far, tar in self.tar.items()}


@torch.no_grad()
def verification(
    embeddings: Tensor,
    identities: Tensor,
    *,
    fars: Sequence[float] = (1e-2, 1e-3, 1e-4),
    block_size: int = 1024,
) -> VerificationResult:
    """TAR@FAR over all N(N−1)/2 pairs by cosine, with exact thresholds.

    A pair is accepted if its score is above the threshold. The threshold of a FAR f is the smallest t with at most
    ⌊f·num_impostor⌋ impostor scores above it, which is the (⌊f·num_impostor⌋+1)-th largest impostor score, however many
    scores tie with it. ⌊·⌋ is exact in the decimal that f is written as.

    The scores are never held together: they come in tiles of block_size², of which the genuine ones stay, and of the
    impostors those above a cut-off that rises as more are seen.

    Args:
        embeddings: (N, K), any norm, any floating type, any device; cosines in float32 or better. A zero row has cosine
            0 with everything.
        identities: (N,), any integer type.
        fars: False accept rates in [1/num_impostor, 1).
        block_size: Rows and columns of a tile.

    Raises:
        InputError: If the shapes do not fit, an embedding is not finite, there is no genuine or no impostor pair, or a
            FAR is below what the number of impostor pairs resolves.
    """
    _check(embeddings, identities, block_size)
    order = identities.argsort(stable=True)
    identities_N = identities[order].to(embeddings.device)
    wide = embeddings[order.to(embeddings.device)]
    with torch.autocast(embeddings.device.type, enabled=False):
        unit_NK = F.normalize(wide.to(torch.promote_types(wide.dtype, torch.float32)))
        is_new_N = F.pad(identities_N[1:] != identities_N[:-1], (1, 0))
        counts = is_new_N.cumsum(0).bincount()
        num_pairs = len(identities) * (len(identities) - 1) // 2
        num_genuine = int((counts * (counts - 1) // 2).sum())
        num_impostor = num_pairs - num_genuine
        allowed = _allowed_impostors(fars, num_genuine=num_genuine, num_impostor=num_impostor)
        largest = _LargestScores(max(allowed.values()) + 1)
        genuine: list[Tensor] = []
        for genuine_scores, impostor_scores in _tiles(unit_NK, identities_N, block_size):
            genuine.append(genuine_scores)
            largest.add(impostor_scores)
        impostor_descending = largest.descending()
        genuine_ascending = torch.cat(genuine).sort().values
        ranks = torch.tensor(list(allowed.values()), device=impostor_descending.device)
        thresholds = impostor_descending[ranks]
        accepted = num_genuine - torch.searchsorted(genuine_ascending, thresholds, right=True)
    return VerificationResult(
        tar={far: count / num_genuine for far, count in zip(allowed, accepted.tolist(), strict=True)},
        thresholds=dict(zip(allowed, thresholds.tolist(), strict=True)),
        num_genuine=num_genuine,
        num_impostor=num_impostor,
    )


def _check(embeddings: Tensor, identities: Tensor, block_size: int) -> None:
    if embeddings.ndim != 2 or not embeddings.is_floating_point():
        raise InputError(
            f"embeddings must be (N, K) of a floating type, but got {tuple(embeddings.shape)} of {embeddings.dtype}"
        )
    if identities.shape != embeddings.shape[:1] or identities.is_floating_point():
        raise InputError(
            f"identities must be ({len(embeddings)},) of an integer type like the embeddings have rows, "
            f"but got {tuple(identities.shape)} of {identities.dtype}"
        )
    if block_size < 1:
        raise InputError(f"block_size must be at least 1, but got {block_size}")
    bad = len(embeddings) - int(embeddings.isfinite().all(1).sum())
    if bad:
        raise InputError(f"embeddings must be finite, but {bad} of {len(embeddings)} rows are not")


def _allowed_impostors(fars: Sequence[float], *, num_genuine: int, num_impostor: int) -> dict[float, int]:
    """⌊f·num_impostor⌋ by FAR, refusing what the pairs do not resolve."""
    if not num_genuine or not num_impostor:
        raise InputError(
            "verification needs a pair of one identity and a pair of two, "
            f"but the set has {num_genuine} genuine and {num_impostor} impostor pairs"
        )
    if not fars:
        raise InputError("fars must name at least one false accept rate, but is empty")
    allowed = {}
    for far in map(float, fars):
        if not 0.0 < far < 1.0:
            raise InputError(f"a FAR must lie in (0, 1), but got {far}")
        allowed[far] = math.floor(Fraction(repr(far)) * num_impostor)
        if not allowed[far]:
            raise InputError(
                f"a FAR must be at least 1/num_impostor, but got {far:g} with {num_impostor} impostor pairs "
                f"(at least {1 / num_impostor:.3g}); take a larger FAR or more identities"
            )
    return allowed


def _tiles(unit_NK: Tensor, identities_N: Tensor, block_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Genuine and impostor scores of the pairs i < j, tile by tile.

    Identities are sorted, so that genuine pairs lie near the diagonal and most tiles need no mask.
    """
    for row in range(0, len(unit_NK), block_size):
        rows_RK, row_ids_R = unit_NK[row : row + block_size], identities_N[row : row + block_size]
        scores_RR = rows_RK @ rows_RK.T
        same_RR = row_ids_R[:, None] == row_ids_R
        once_RR = torch.ones_like(same_RR).triu(1)
        yield scores_RR[same_RR & once_RR], scores_RR[once_RR & ~same_RR]
        # an identity may reach past its block; beyond its end there are impostors only
        genuine_end = int(torch.searchsorted(identities_N, row_ids_R[-1:], right=True))
        for column in range(row + len(rows_RK), genuine_end, block_size):
            end = min(column + block_size, genuine_end)
            scores_RS = rows_RK @ unit_NK[column:end].T
            same_RS = row_ids_R[:, None] == identities_N[column:end]
            yield scores_RS[same_RS], scores_RS[~same_RS]
        for column in range(genuine_end, len(unit_NK), block_size):
            scores_RS = rows_RK @ unit_NK[column : column + block_size].T
            yield scores_RS.new_empty(0), scores_RS.flatten()


class _LargestScores:
    """The `count` largest of a stream, with at most a few times as many in memory.

    The smallest of the `count` largest so far bounds the final one from below, so what does not exceed it is dropped.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[Tensor] = []
        self._num_kept = 0
        self._cut_off: float | None = None

    def add(self, scores: Tensor) -> None:
        """Take in more scores, (M,)."""
        if self._cut_off is not None:
            scores = scores[scores > self._cut_off]
        self._kept.append(scores)
        self._num_kept += len(scores)
        if self._num_kept > 2 * self._count:
            self._shrink()

    def descending(self) -> Tensor:
        """The `count` largest, largest first."""
        return torch.cat(self._kept).topk(self._count).values

    def _shrink(self) -> None:
        largest = torch.cat(self._kept).topk(self._count, sorted=False).values
        self._kept, self._num_kept = [largest], self._count
        self._cut_off = float(largest.min())
