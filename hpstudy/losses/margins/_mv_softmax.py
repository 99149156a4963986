"""What the two margins of MV-softmax share."""

from collections.abc import Callable

import torch
from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses.margins._hard_nontarget import HardNontargetMargin


class MVMargin(HardNontargetMargin):
    """Mis-classified vectors weigh more: others (1 + t)·cos θ_j + t where cos θ_j > f, the margined target.

    The adaptive form of MV-softmax (Wang et al., AAAI 2020), which its public code uses; there cos θ_j + t is the fixed
    one. At t = 0 the non-targets are left alone.

    Args:
        m: Margin, in the unit of the subclass.
        t: How much more a hard non-target weighs, dimensionless.

    Raises:
        InputError: If a parameter is outside the catalogue's hard range.
    """

    def __init__(self, *, m: float, t: float) -> None:
        super().__init__()
        info = MARGINS[self.name]
        self.m = info.parameters["m"].check(m)
        self.t = info.parameters["t"].check(t)

    def hardened(self, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        """(1 + t)·cos θ_j + t."""
        del dtype
        return lambda cos: (1.0 + self.t) * cos + self.t
