"""How far TAR@FAR would move with other identities. Shapes: N embeddings, G identities, R replicates, M pairs."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hpstudy.evaluation._verification import verification

_CHUNK = 16
"""Replicates at a time: their cumulated pair weights are held together."""
_ROOM = 1.5
"""How many times the impostor scores above a threshold are kept, since a replicate's threshold may be lower."""


def draw_identities(num_identities: int, replicates: int, generator: torch.Generator) -> Tensor:
    """How often each identity comes in each bootstrap sample of identities, (R, G) int64 with rows that sum to G."""
    drawn_RG = torch.randint(num_identities, (replicates, num_identities), generator=generator)
    return torch.zeros_like(drawn_RG).scatter_add_(1, drawn_RG, torch.ones_like(drawn_RG))


@torch.no_grad()
def verification_replicates(
    embeddings: Tensor,
    identities: Tensor,
    counts: Tensor,
    *,
    fars: Sequence[float] = (1e-2, 1e-3, 1e-4),
    block_size: int = 1024,
) -> Mapping[float, Tensor]:
    """TAR@FAR in bootstrap samples of the identities, each with all images and its own threshold.

    Pairs that share an identity move together, so that resampling pairs would understate the spread of TAR. An
    identity drawn c times counts c times in genuine pairs; the impostor pair of two identities counts the product of
    their counts, and two copies of one identity make no impostor pair. With every count 1 this is `verification`.

    Args:
        embeddings: (N, K), as for `verification`.
        identities: (N,); the columns of `counts` are its distinct values, ascending.
        counts: (R, G) of `draw_identities`: the same counts for two networks give paired replicates.
        fars: False accept rates in [1/num_impostor, 1).
        block_size: Rows and columns of a tile.

    Returns:
        For each FAR the TAR of every replicate, (R,) float64 on the CPU; NaN for a replicate without a genuine or
        without an impostor pair.

    Raises:
        InputError: As `verification` does.
    """
    whole = verification(embeddings, identities, fars=fars, block_size=block_size)
    names, groups_N = torch.unique(identities.to(embeddings.device), return_inverse=True)
    assert counts.shape[1] == len(names), f"counts are for {counts.shape[1]} identities, the set has {len(names)}"
    counts_RG = counts.to(embeddings.device, torch.float64)
    wanted = max(whole.tar)
    allowed = wanted * whole.num_impostor
    room = _ROOM
    while True:
        # The threshold of a FAR `room` times as large, or none: then every pair is kept.
        reach = room * allowed / whole.num_impostor
        cut_off = -2.0
        if reach < 1:
            cut_off = verification(embeddings, identities, fars=[reach], block_size=block_size).thresholds[reach]
        pairs = _Pairs(embeddings, groups_N, cut_off, block_size)
        found = pairs.rates(counts_RG, list(whole.tar))
        if found is not None:
            return {far: tar_R.cpu() for far, tar_R in found.items()}
        room *= 4


class _Pairs:
    """Genuine scores, and the impostor scores above a cut-off, both descending, with their identities."""

    def __init__(self, embeddings: Tensor, groups_N: Tensor, cut_off: float, block_size: int) -> None:
        self._everything = cut_off < -1
        self._sizes_G = groups_N.bincount().double()
        wide = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        genuine: list[tuple[Tensor, Tensor, Tensor]] = []
        impostor: list[tuple[Tensor, Tensor, Tensor]] = []
        with torch.autocast(embeddings.device.type, enabled=False):
            unit_NK = F.normalize(wide)
            for row in range(0, len(unit_NK), block_size):
                rows_RK, row_groups_R = unit_NK[row : row + block_size], groups_N[row : row + block_size]
                for column in range(row, len(unit_NK), block_size):
                    scores_RS = rows_RK @ unit_NK[column : column + block_size].T
                    groups_S = groups_N[column : column + block_size]
                    is_same_RS = row_groups_R[:, None] == groups_S
                    once_RS = torch.ones_like(is_same_RS).triu(1) if row == column else torch.ones_like(is_same_RS)
                    for mask_RS, kept in (
                        (is_same_RS & once_RS, genuine),
                        (~is_same_RS & once_RS & (scores_RS > cut_off), impostor),
                    ):
                        r, c = mask_RS.nonzero(as_tuple=True)
                        kept.append((scores_RS[r, c], row_groups_R[r], groups_S[c]))
        self._genuine, self._genuine_group, _ = _descending(genuine)
        self._impostor, self._first, self._second = _descending(impostor)

    def rates(self, counts_RG: Tensor, fars: Sequence[float]) -> dict[float, Tensor] | None:
        """TAR (R,) of each FAR, or None if a replicate's threshold lies below the cut-off."""
        found: dict[float, list[Tensor]] = {far: [] for far in fars}
        for counts_CG in torch.split(counts_RG, _CHUNK):
            images_CG = counts_CG * self._sizes_G
            total_C = (images_CG.sum(1) ** 2 - (images_CG**2).sum(1)) / 2
            impostor_CM = (counts_CG[:, self._first] * counts_CG[:, self._second]).cumsum(1)
            genuine_CM = counts_CG[:, self._genuine_group].cumsum(1)
            for far, rates in found.items():
                allowed_C = (far * total_C * (1 + 1e-12)).floor()
                above_C = torch.searchsorted(impostor_CM, allowed_C[:, None], right=True).squeeze(1)
                if not self._everything and bool((above_C >= len(self._impostor)).any()):
                    return None
                threshold_C = self._impostor[above_C.clamp(max=len(self._impostor) - 1)]
                accepted_C = torch.searchsorted(-self._genuine, -threshold_C)
                padded_CM = F.pad(genuine_CM, (1, 0))
                tar_C = padded_CM.gather(1, accepted_C[:, None]).squeeze(1) / padded_CM[:, -1]
                rates.append(tar_C.where(total_C > 0, torch.nan))
        return {far: torch.cat(rates) for far, rates in found.items()}


def _descending(parts: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    scores_M, first_M, second_M = (torch.cat(column) for column in zip(*parts, strict=True))
    order_M = scores_M.argsort(descending=True)
    return scores_M[order_M], first_M[order_M], second_M[order_M]
