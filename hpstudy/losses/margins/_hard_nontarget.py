"""Margins that weigh hard non-targets more. Shapes: N samples, B classes of a block."""

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from hpstudy.losses._cosines import Targets
from hpstudy.losses.margins._base import Margin


class HardNontargetMargin(Margin):
    """A margin that also replaces cos θ_j where it lies above a bar, such as cos(θ_y + m).

    Which cosines are hard is a constant to the gradient; what replaces them is differentiated.
    """

    moves_nontargets = True

    @abstractmethod
    def bar(self, cos: Tensor) -> Tensor:
        """The bar from cos θ_y, elementwise."""

    @abstractmethod
    def hardened(self, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        """What replaces a hard cosine, elementwise, of the state as it is now."""

    def nontarget(self, targets: Targets) -> Callable[[Tensor], Tensor]:
        """cos θ_j up to the bar, and what replaces it above."""
        bar_N1 = self.bar(targets.cos_N)[:, None]
        hardened = self.hardened(bar_N1.dtype)
        return lambda cos_NB: torch.where(cos_NB > bar_N1, hardened(cos_NB), cos_NB)

    @torch.no_grad()
    def satisfied(self, cos_target: Tensor, cos_hardest: Tensor, norm: Tensor) -> Tensor:
        """Whether the margined target wins against the cosines themselves, as under the margin without the weighing."""
        psi: Tensor = self(Targets(cos_N=cos_target, norm_N=norm))
        return psi >= cos_hardest
