"""Sums over the non-target classes, with gradients that need no N×C buffer of their own.

Shapes: N samples, C classes, K embedding dimensions, B classes of a block.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hpstudy.losses._class_product import Block, ClassProduct
from hpstudy.losses._parallel import Parallel

Function = Callable[..., Tensor]
"""`(cos_NB, cos_target_N1, classes, *inputs) -> (N, B)`, elementwise and differentiable in everything but `classes`."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NontargetSum(ABC):
    """A sum, or what stands in its place, over j ≠ y of a function of cos θ_j: one number a sample."""

    function: Function
    inputs: tuple[Tensor, ...] = ()
    """What else the function needs and may need a gradient for: 0-d, (N, 1) or (C,), which it slices by `classes`."""
    reads_target: bool = False
    """Whether the function has a gradient with respect to cos θ_y."""

    neutral: ClassVar[float]
    """What an absent class contributes."""
    shares_slope: ClassVar[bool] = False
    """Whether classes with a slope share it, so that the slopes of a sample add up to 1."""

    @abstractmethod
    def folded(self, values_NB: Tensor) -> Tensor:
        """The sum of a block, (N,)."""

    @abstractmethod
    def joined(self, one_N: Tensor, other_N: Tensor) -> Tensor:
        """The sum of two blocks from theirs."""

    @abstractmethod
    def slope(self, values_NB: Tensor, sum_N1: Tensor) -> Tensor:
        """Derivative of the whole sum with respect to each value."""

    @abstractmethod
    def over_shards(self, parallel: Parallel, sum_N: Tensor) -> Tensor:
        """The sum over the classes of all ranks."""

    def of_block(self, block: Block, target_N: Tensor) -> Tensor:
        """The sum of a block, without gradient."""
        values_NB = self.function(block.cos_NB, target_N[:, None], block.classes, *self.inputs)
        if values_NB is block.cos_NB:
            values_NB = values_NB.clone()
        return self.folded(block.put_targets_(values_NB, self.neutral))


class PlainSum(NontargetSum):
    """Σ_{j≠y} f(cos θ_j)."""

    neutral = 0.0

    def folded(self, values_NB: Tensor) -> Tensor:
        return values_NB.sum(1)

    def joined(self, one_N: Tensor, other_N: Tensor) -> Tensor:
        return one_N + other_N

    def slope(self, values_NB: Tensor, sum_N1: Tensor) -> Tensor:
        del sum_N1
        return torch.ones_like(values_NB)

    def over_shards(self, parallel: Parallel, sum_N: Tensor) -> Tensor:
        return parallel.total(sum_N)


class LogSumExp(NontargetSum):
    """log Σ_{j≠y} e^{f(cos θ_j)}; finite for every f that the type holds."""

    neutral = -torch.inf

    def folded(self, values_NB: Tensor) -> Tensor:
        return values_NB.logsumexp(1)

    def joined(self, one_N: Tensor, other_N: Tensor) -> Tensor:
        return torch.logaddexp(one_N, other_N)

    def slope(self, values_NB: Tensor, sum_N1: Tensor) -> Tensor:
        return (values_NB - sum_N1).exp_()

    def over_shards(self, parallel: Parallel, sum_N: Tensor) -> Tensor:
        return parallel.log_total(sum_N)


class Hardest(NontargetSum):
    """max_{j≠y} f(cos θ_j). Classes that tie for it share its gradient equally."""

    neutral = -torch.inf
    shares_slope = True

    def folded(self, values_NB: Tensor) -> Tensor:
        return values_NB.amax(1)

    def joined(self, one_N: Tensor, other_N: Tensor) -> Tensor:
        return torch.maximum(one_N, other_N)

    def slope(self, values_NB: Tensor, sum_N1: Tensor) -> Tensor:
        return (values_NB == sum_N1).to(values_NB.dtype)

    def over_shards(self, parallel: Parallel, sum_N: Tensor) -> Tensor:
        return parallel.largest(sum_N)


@torch.no_grad()
def measure(
    product: ClassProduct, sums: Sequence[NontargetSum], target_N: Tensor, parallel: Parallel
) -> tuple[Tensor, ...]:
    """All the sums over all classes of all ranks in one pass, each (N,), without gradient."""
    totals: list[Tensor] = []
    for block in product.blocks():
        parts = [each.of_block(block, target_N) for each in sums]
        totals = [s.joined(a, b) for s, a, b in zip(sums, totals, parts, strict=True)] if totals else parts
    return tuple(each.over_shards(parallel, total) for each, total in zip(sums, totals, strict=True))


def with_gradient(
    product: ClassProduct,
    sums: Sequence[NontargetSum],
    *,
    values: Sequence[Tensor],
    target_N: Tensor,
    unit_NK: Tensor,
    weight_CK: Tensor,
    parallel: Parallel,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Give what `measure` found its gradient with respect to embeddings, prototypes and the inputs of the sums.

    Args:
        product: Made of `unit_NK` and `weight_CK`.
        sums: What was measured.
        values: What `measure` found for each.
        target_N: cos θ_y over all ranks, without gradient.
        unit_NK: Directions of the embeddings, with gradient.
        weight_CK: Prototypes, with gradient.
        parallel: Where the other classes are. Each rank's backward pass gives what its own classes contribute.

    Returns:
        cos θ_y and the sums, each (N,), with gradient.
    """
    inputs = [tensor for each in sums for tensor in each.inputs]
    target_N, *sums_N = _Backward.apply(  # type: ignore[no-untyped-call]
        product, tuple(sums), parallel, unit_NK, weight_CK, target_N, *values, *inputs
    )
    return target_N, tuple(sums_N)


class _Backward(torch.autograd.Function):
    """Values that are known already, and their gradient, recomputed block by block.

    d log Σ_j e^{z_j} / dz_j = e^{z_j − log Σ e^z} needs the sum over all classes and nothing else of the other blocks,
    so that every block's gradient stands alone; within a block autograd differentiates the elementwise function. With
    G = ∂L/∂cos, ŵ = w/‖w‖: ∂L/∂x̂ = G·ŵ and ∂L/∂w = (Gᵀ·x̂ − ŵ·Σ_i G·cos)/‖w‖.
    """

    @staticmethod
    def forward(
        ctx: Any,
        product: ClassProduct,
        sums: tuple[NontargetSum, ...],
        parallel: Parallel,
        unit_NK: Tensor,
        weight_CK: Tensor,
        target_N: Tensor,
        *values_and_inputs: Tensor,
    ) -> tuple[Tensor, ...]:
        values = values_and_inputs[: len(sums)]
        ctx.product, ctx.sums, ctx.parallel = product, sums, parallel
        ctx.save_for_backward(unit_NK, weight_CK, target_N, *values_and_inputs)
        return (target_N.clone(), *(value.clone() for value in values))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_target_N: Tensor, *grads: Tensor) -> tuple[Tensor | None, ...]:
        sums: tuple[NontargetSum, ...] = ctx.sums
        product: ClassProduct = ctx.product
        parallel: Parallel = ctx.parallel
        _, weight_CK, target_N, *rest = ctx.saved_tensors  # raises if an optimiser has moved them
        terms, position = [], len(sums)
        for each, value_N, grad_N in zip(sums, rest, grads, strict=False):
            inputs = rest[position : position + len(each.inputs)]
            position += len(inputs)
            terms.append(_Term(each, value_N[:, None], grad_N[:, None], inputs))
        _share(terms, product, target_N, parallel)
        grad_target_N = grad_target_N + _through_targets(terms, product, target_N, parallel)
        grad_unit_NK = torch.zeros_like(product.unit_NK)
        grad_weight_CK = torch.empty_like(weight_CK)
        for block in product.blocks():
            grad_cos_NB = None
            for term in terms:
                part_NB = term.gradient(block, target_N)[0]
                grad_cos_NB = part_NB if grad_cos_NB is None else grad_cos_NB.add_(part_NB)
            if grad_cos_NB is None:
                grad_cos_NB = torch.zeros_like(block.cos_NB)
            block.put_targets_(grad_cos_NB, grad_target_N)
            _through_product(block, product, grad_cos_NB, grad_unit_NK, grad_weight_CK[block.classes])
        grad_inputs = [
            grad if grad is None or grad.ndim == 1 else parallel.total(grad)  # (C,) belongs to the rank's classes
            for term in terms
            for grad in term.of_inputs
        ]
        return (None, None, None, grad_unit_NK, grad_weight_CK, None, *(None for _ in sums), *grad_inputs)


class _Term:
    """One sum on its way back; gathers the gradients of its inputs over the blocks."""

    def __init__(self, each: NontargetSum, value_N1: Tensor, grad_N1: Tensor, inputs: Sequence[Tensor]) -> None:
        self.sum = each
        self.value_N1 = value_N1
        self.grad_N1 = grad_N1
        self.inputs = inputs
        self.needed = [index for index, tensor in enumerate(each.inputs) if tensor.requires_grad]
        self.of_inputs: list[Tensor | None] = [None] * len(inputs)

    @torch.no_grad()
    def slopes(self, block: Block, target_N: Tensor) -> Tensor:
        """Derivative of the sum with respect to each value of a block, (N, B); 0 at the targets."""
        values_NB = self.sum.function(block.cos_NB, target_N[:, None], block.classes, *self.inputs)
        return block.put_targets_(self.sum.slope(values_NB, self.value_N1), 0.0)

    def gradient(self, block: Block, target_N: Tensor, *, of_target: bool = False) -> tuple[Tensor, Tensor]:
        """∂/∂cos θ_j, (N, B), and with `of_target` ∂/∂cos θ_y, (N, 1), for which alone the inputs are left out."""
        leaves = [tensor.detach() for tensor in self.inputs]
        needed = [] if of_target else self.needed
        for index in needed:
            leaves[index].requires_grad_()
        cos_NB = block.cos_NB.detach().requires_grad_()
        target_N1 = target_N[:, None].detach().requires_grad_(of_target)
        with torch.enable_grad():
            values_NB = self.sum.function(cos_NB, target_N1, block.classes, *leaves)
        weights_NB = self.sum.slope(values_NB.detach(), self.value_N1).mul_(self.grad_N1)
        block.put_targets_(weights_NB, 0.0)
        wanted = [target_N1] if of_target else [leaves[index] for index in needed]
        of_cos_NB, *others = torch.autograd.grad(values_NB, [cos_NB, *wanted], weights_NB)
        if of_target:
            return of_cos_NB, others[0]
        for index, grad in zip(needed, others, strict=True):
            before = self.of_inputs[index]
            self.of_inputs[index] = grad if before is None else before + grad
        return of_cos_NB, target_N1


def _share(terms: Sequence[_Term], product: ClassProduct, target_N: Tensor, parallel: Parallel) -> None:
    """Divide what comes in by the number of classes that share it, where a sum's classes do."""
    sharing = [term for term in terms if term.sum.shares_slope]
    if not sharing:
        return
    sharers = [torch.zeros_like(term.grad_N1) for term in sharing]
    for block in product.blocks():
        for term, count_N1 in zip(sharing, sharers, strict=True):
            count_N1 += term.slopes(block, target_N).sum(1, keepdim=True)
    for term, count_N1 in zip(sharing, sharers, strict=True):
        term.grad_N1 = term.grad_N1 / parallel.total(count_N1).clamp_min(1.0)


def _through_targets(
    terms: Sequence[_Term], product: ClassProduct, target_N: Tensor, parallel: Parallel
) -> Tensor | float:
    """∂/∂cos θ_y of the sums that read it, (N,): needed whole before the first block."""
    reading = [term for term in terms if term.sum.reads_target]
    if not reading:
        return 0.0
    grad_N = torch.zeros_like(target_N)
    for block in product.blocks():
        for term in reading:
            grad_N += term.gradient(block, target_N, of_target=True)[1].squeeze(1)
    return parallel.total(grad_N)


def _through_product(
    block: Block, product: ClassProduct, grad_cos_NB: Tensor, grad_unit_NK: Tensor, grad_weight_BK: Tensor
) -> None:
    """From cosines to embeddings (added) and to the block's prototypes (written); spends `grad_cos_NB`."""
    weight_BK = block.weight_BK
    along_B = (grad_cos_NB * block.cos_NB).sum(0) * block.inverse_norm_B.square()
    grad_cos_NB.mul_(block.inverse_norm_B)
    grad_unit_NK.addmm_(grad_cos_NB, weight_BK)
    in_place_BK = grad_weight_BK if grad_weight_BK.dtype == grad_cos_NB.dtype else None
    grad_BK = torch.mm(grad_cos_NB.T, product.unit_NK, out=in_place_BK)
    grad_weight_BK.copy_(grad_BK.addcmul_(weight_BK, along_B[:, None], value=-1.0))
