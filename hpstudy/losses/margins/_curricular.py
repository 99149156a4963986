"""Additive angular margin with a curriculum of hard non-targets (CurricularFace)."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses._cosines import Targets
from hpstudy.losses.margins._angles import shifted_cosine, shifted_cosine_past_pi
from hpstudy.losses.margins._hard_nontarget import HardNontargetMargin


class CurricularMargin(HardNontargetMargin):
    """cos(θ_y + m), hard non-targets cos θ_j·(t + cos θ_j); CurricularFace (Huang et al., CVPR 2020).

    Hard is cos θ_j > cos(θ_y + m). t is a running average of the batch's mean cos θ_y, without margin, from 0 and moved
    before use; a constant to the gradient. While t < 1 − cos θ_j a hard non-target counts less than it would by itself,
    afterwards more. The bar is cos(θ_y + m) itself whatever stands for it in the target past π, as in the public code,
    which also moves t when it is not training. At m = 0 non-targets above cos θ_y are still reweighed.

    Args:
        m: Margin in radians.
        momentum: Weight of the past in t.
        past_pi: Where θ + m > π. `linear`: cos θ − m·sin m, as the public code has it; `monotone`: −cos(θ+m) − 2.

    Raises:
        InputError: If a parameter is outside the catalogue's hard range, or `past_pi` is none of its choices.
    """

    name = "curricular"
    adaptive = True
    t: Tensor
    """0-d, float32."""

    def __init__(self, *, m: float, momentum: float, past_pi: Literal["linear", "monotone"] = "linear") -> None:
        super().__init__()
        info = MARGINS[self.name]
        self.m = info.parameters["m"].check(m)
        self.momentum = info.parameters["momentum"].check(momentum)
        self.past_pi = info.options["past_pi"].check(past_pi)
        self.register_buffer("t", torch.zeros((), dtype=torch.float32))

    def step(self, targets: Targets) -> None:
        """Move t; a batch that is not finite leaves it, or its NaN would hide in gradients behind finite losses."""
        mean = targets.cos_N.clamp(-1.0, 1.0).mean().to(self.t.dtype)
        self.t.lerp_(torch.where(mean.isfinite(), mean, self.t), 1.0 - self.momentum)

    def forward(self, targets: Targets) -> Tensor:
        """cos(θ_y + m)."""
        return shifted_cosine_past_pi(targets.cos_N, self.m, self.past_pi)

    def bar(self, cos: Tensor) -> Tensor:
        """cos(θ_y + m)."""
        return shifted_cosine(cos, self.m)

    def hardened(self, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        """cos θ_j·(t + cos θ_j)."""
        t = self.t.to(dtype, copy=True)
        return lambda cos: cos * (t + cos)

    def extra_repr(self) -> str:
        """The parameters with their units, and the option."""
        return f"m={self.m:g} rad, momentum={self.momentum:g}, past_pi={self.past_pi}"
