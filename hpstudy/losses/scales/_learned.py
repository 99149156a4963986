"""Scales that the optimiser moves. Shapes: N samples."""

import math

import torch
from torch import Tensor, nn

from hpstudy.catalog import SCALES
from hpstudy.exceptions import InputError
from hpstudy.losses.scales._base import Prototypes, Scale
from hpstudy.losses.scales._logits import ScaledLogits


class LearnedScale(Scale):
    """s is a parameter: NormFace's ℓ² (Wang et al., ACM Multimedia 2017, §5), never below a floor.

    The floor is put on the parameter before each training forward pass, as in NormFace's public code. Training loss
    falls with s once the classes are told apart, so that s tends to grow.

    Args:
        s: Where s starts.
        s_min: The floor.

    Raises:
        InputError: If a parameter is outside the catalogue's hard range, or s is below s_min.
    """

    name = "learned"

    def __init__(self, *, s: float, s_min: float) -> None:
        super().__init__()
        rows = SCALES[self.name].parameters
        self.s_min = rows["s_min"].check(s_min)
        if rows["s"].check(s) < self.s_min:
            raise InputError(f"s must be at least s_min = {self.s_min:g}, but got {s:g}")
        self.s = nn.Parameter(torch.tensor(s, dtype=torch.float32))

    @property
    def value(self) -> Tensor:  # type: ignore[override]
        """Current s."""
        return self.s.detach().float().clamp_min(self.s_min)

    def forward(self, norm_N: Tensor, prototypes: Prototypes) -> ScaledLogits:
        """s·cos θ, with gradient for s."""
        del prototypes
        if self.training:
            with torch.no_grad():
                self.s.clamp_(min=self.s_min)
        s = self.s if self.training else self.s.clamp_min(self.s_min)
        return ScaledLogits(s=s.to(norm_N.dtype, copy=True))  # the floor is put on it before a late backward

    def extra_repr(self) -> str:
        """The floor."""
        return f"s_min={self.s_min:g}"


class LearnedTemperatureScale(Scale):
    """s = e^t with t a parameter, 1 ≤ s ≤ s_max; the inverse temperature of contrastive image-text training (CLIP).

    A step of t is a relative step of s. The limits are put on the parameter before each training forward pass.

    Args:
        s: Where s starts.
        s_max: The ceiling.

    Raises:
        InputError: If a parameter is outside the catalogue's hard range, or s is above s_max.
    """

    name = "learned_temperature"

    def __init__(self, *, s: float, s_max: float) -> None:
        super().__init__()
        rows = SCALES[self.name].parameters
        self.s_max = rows["s_max"].check(s_max)
        if rows["s"].check(s) > self.s_max:
            raise InputError(f"s must be at most s_max = {self.s_max:g}, but got {s:g}")
        self.log_s = nn.Parameter(torch.tensor(math.log(s), dtype=torch.float32))

    @property
    def value(self) -> Tensor:  # type: ignore[override]
        """Current s."""
        return self.log_s.detach().float().clamp(0.0, math.log(self.s_max)).exp()

    def forward(self, norm_N: Tensor, prototypes: Prototypes) -> ScaledLogits:
        """e^t·cos θ, with gradient for t."""
        del prototypes
        if self.training:
            with torch.no_grad():
                self.log_s.clamp_(0.0, math.log(self.s_max))
        log_s = self.log_s if self.training else self.log_s.clamp(0.0, math.log(self.s_max))
        return ScaledLogits(s=log_s.to(norm_N.dtype).exp())

    def extra_repr(self) -> str:
        """The ceiling."""
        return f"s_max={self.s_max:g}"
