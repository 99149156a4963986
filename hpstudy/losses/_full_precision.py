"""Modules whose own numbers no cast touches."""

from collections.abc import Callable
from typing import Self

from torch import Tensor, nn


class FullPrecision(nn.Module):
    """A module that moves between devices but keeps the type of its parameters and buffers when it is cast.

    They are a few numbers, not matrices: a scale of 31.2 would be 31.25 in bfloat16, and a recursion would drift.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = {name: tensor.detach() for name, tensor in (*self.named_parameters(), *self.named_buffers())}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            if tensor.dtype != before[name].dtype:
                tensor.data = before[name].to(tensor.device)
                if tensor.grad is not None:
                    tensor.grad.data = tensor.grad.to(tensor.dtype)
        return self
