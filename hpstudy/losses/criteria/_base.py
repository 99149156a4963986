"""What a criterion is. Shapes: N samples, C classes, K embedding dimensions."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import Tensor

from hpstudy.losses._class_product import ClassProduct
from hpstudy.losses._full_precision import FullPrecision
from hpstudy.losses._nontargets import NontargetSum, measure, with_gradient
from hpstudy.losses._parallel import Parallel


@dataclass(frozen=True, kw_only=True, slots=True)
class CriterionBatch:
    """What a criterion sees of a batch; everything but the labels carries gradient."""

    cos_target_N: Tensor
    """cos θ_y."""
    unit_NK: Tensor
    """Directions of the embeddings."""
    label_N: Tensor
    """y, int64, in [0, C)."""
    weight_CK: Tensor
    """Prototypes of this rank, of any norm."""
    label_here_N: Tensor
    """y as row of `weight_CK`; outside [0, rows) where the target's prototype is on another rank."""
    num_classes: int
    """C, over all ranks."""
    classes_at_once: int | None
    parallel: Parallel

    def sums_of_rows(self, unit_NK: Tensor, sums: Sequence[NontargetSum]) -> tuple[Tensor, ...]:
        """Sums over j ≠ y of functions of rows·W_j for other unit rows than the embeddings, (N,) each."""
        product = ClassProduct(
            unit_NK.detach(), self.weight_CK.detach(), self.label_here_N, classes_at_once=self.classes_at_once
        )
        target_N = self.parallel.total(product.target_cosines())
        values = measure(product, sums, target_N, self.parallel)
        return with_gradient(
            product,
            sums,
            values=values,
            target_N=target_N,
            unit_NK=unit_NK,
            weight_CK=self.weight_CK,
            parallel=self.parallel,
        )[1]


class Criterion(FullPrecision, ABC):
    """A loss of the cosines other than the softmax's: alone it trains a head, weighed it is a regulariser of any other.

    A criterion works in float32 or better and must not synchronise with the device. What it learns keeps its type when
    the head is cast.
    """

    name: ClassVar[str]
    """Name of its row in the catalogue; empty for a criterion from outside."""

    @classmethod
    def for_classes(cls, num_classes: int, **params: Any) -> Self:
        """The criterion of a head with `num_classes` classes; one that needs the number overrides this."""
        del num_classes
        return cls(**params)

    def sums(self) -> tuple[NontargetSum, ...]:
        """The sums over non-target classes that `forward` needs."""
        return ()

    @abstractmethod
    def forward(self, batch: CriterionBatch, sums: Sequence[Tensor]) -> Tensor:
        """The mean over the batch, 0-d.

        Args:
            batch: The batch.
            sums: The values of `sums()`, (N,) each, with gradient.
        """

    @property
    def s(self) -> float:
        """What multiplies the cosines; 1 for a criterion of the cosines as they are."""
        return 1.0
