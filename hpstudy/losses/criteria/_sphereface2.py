"""SphereFace2: every class a yes or no of its own."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpstudy.catalog import CRITERIA
from hpstudy.losses._checks import check_size
from hpstudy.losses._nontargets import NontargetSum, PlainSum
from hpstudy.losses.criteria._base import Criterion, CriterionBatch
from hpstudy.theory import sphereface2_bias


class SphereFace2(Criterion):
    """(w/s)·(λ·log(1 + e^{−(s(g(cos θ_y) − m) + b)}) + (1−λ)·Σ_{j≠y} log(1 + e^{s(g(cos θ_j) + m) + b})).

    g(z) = 2·((z+1)/2)^t − 1; SphereFace2 (Wen et al., ICLR 2022), the additive margin on the cosine (`C` in its public
    code). The bias b is learned and starts where the loss is stationary in it if every cosine is 0. The sum goes over
    all classes and the mean over samples; the public code writes it as a mean over both with weights that undo it.

    Args:
        num_classes: C, for the start of b.
        s: Scale, r in the paper.
        m: Margin, a difference of cosines after g.
        t: Power in g; 1 makes g the identity.
        balance: λ in (0, 1), the weight of the target against all others.
        loss_weight: w; the paper's equation has 1, its public code 50.
        gradient: `exact`: that of the formula; `detached`: g and m are offsets without gradient, dlogit/d cos θ = s, as
            the public code trains.

    Raises:
        InputError: If C < 2, a parameter is outside the catalogue's hard range, or `gradient` is none of its choices.
    """

    name = "sphereface2"

    def __init__(
        self,
        *,
        num_classes: int,
        s: float,
        m: float,
        t: float,
        balance: float,
        loss_weight: float,
        gradient: Literal["exact", "detached"] = "exact",
    ) -> None:
        super().__init__()
        check_size(num_classes, embedding_dim=1)
        info = CRITERIA[self.name]
        self._s = info.parameters["s"].check(s)
        self.m = info.parameters["m"].check(m)
        self.t = info.parameters["t"].check(t)
        self.balance = info.parameters["balance"].check(balance)
        self.loss_weight = info.parameters["loss_weight"].check(loss_weight)
        self.gradient = info.options["gradient"].check(gradient)
        start = sphereface2_bias(num_classes, self._s, self.m, self.t, self.balance)
        self.b = nn.Parameter(torch.tensor(start, dtype=torch.float32))

    @classmethod
    def for_classes(cls, num_classes: int, **params: Any) -> Self:
        """The criterion for C classes."""
        return cls(num_classes=num_classes, **params)

    @property
    def s(self) -> float:
        """The scale."""
        return self._s

    def sums(self) -> tuple[NontargetSum, ...]:
        """Σ_{j≠y} log(1 + e^{s(g(cos θ_j) + m) + b})."""

        def rejected(cos_NB: Tensor, target_N1: Tensor, classes: slice, b: Tensor) -> Tensor:
            del target_N1, classes
            return _softplus(self._logits(cos_NB, self.m, b))

        return (PlainSum(function=rejected, inputs=(self.b,)),)

    def forward(self, batch: CriterionBatch, sums: Sequence[Tensor]) -> Tensor:
        """The mean over the batch."""
        (rejected_N,) = sums
        accepted_N = _softplus(-self._logits(batch.cos_target_N, -self.m, self.b))
        loss_N = self.balance * accepted_N + (1.0 - self.balance) * rejected_N
        return (self.loss_weight / self._s) * loss_N.mean()

    def _logits(self, cos: Tensor, margin: float, b: Tensor) -> Tensor:
        """s·(g(cos θ) + margin) + b."""
        similarity = self._adjusted(cos)
        if self.gradient == "detached":
            similarity = cos + (similarity - cos).detach()
        return self._s * (similarity + margin) + b.to(cos.dtype)

    def _adjusted(self, cos: Tensor) -> Tensor:
        """g(cos θ); rounding past −1 counts as −1."""
        return 2.0 * (0.5 * (cos + 1.0)).clamp_min(0.0).pow(self.t) - 1.0

    def extra_repr(self) -> str:
        """The parameters and the option."""
        return (
            f"s={self._s:g}, m={self.m:g} cosine, t={self.t:g}, balance={self.balance:g}, "
            f"loss_weight={self.loss_weight:g}, gradient={self.gradient}"
        )


def _softplus(logits: Tensor) -> Tensor:
    """log(1 + e^z) to full precision; torch's own is z from 20 on."""
    return -F.logsigmoid(-logits)
