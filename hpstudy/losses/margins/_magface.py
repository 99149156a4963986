"""Margin by feature norm with a reward for long features (MagFace)."""

from typing import Literal

from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.exceptions import InputError
from hpstudy.losses._cosines import Targets
from hpstudy.losses.margins._angles import shifted_cosine_past_pi
from hpstudy.losses.margins._base import Margin


class MagFaceMargin(Margin):
    """ψ = cos(θ_y + m(a)), a the clipped norm, and a term that rewards long features; MagFace (Meng et al., CVPR 2021).

    m(a) = l_m + (u_m − l_m)(a − l_a)/(u_a − l_a) with a = clip(‖x‖, l_a, u_a), and the loss gains
    λ_g·mean(a/u_a² + 1/a), which falls with a. Both pass gradients to ‖x‖ where it is not clipped: the margin shortens
    hard features, the term lengthens all. The paper asks for λ_g ≥ s·k·u_a²·l_a²/(u_a² − l_a²) with the slope k of
    m(a), 22.6 with the published values, of which λ_g is 35.

    Args:
        l_a: Shortest norm that counts.
        u_a: Longest norm that counts; larger than l_a.
        l_m: Margin at l_a, radians.
        u_m: Margin at u_a, radians; not below l_m.
        lambda_g: λ_g, dimensionless; multiplies the mean over the batch.
        past_pi: `easy`: cos θ itself where θ ≥ π/2, no margin, as the public code trains; `linear`: cos θ − m·sin m
            where θ + m > π; `monotone`: −cos(θ+m) − 2 there.

    Raises:
        InputError: If a parameter is outside the catalogue's hard range, l_a ≥ u_a, l_m > u_m, or `past_pi` is none of
            its choices.
    """

    name = "magface"

    def __init__(
        self,
        *,
        l_a: float,
        u_a: float,
        l_m: float,
        u_m: float,
        lambda_g: float,
        past_pi: Literal["easy", "linear", "monotone"] = "easy",
    ) -> None:
        super().__init__()
        info = MARGINS[self.name]
        self.l_a = info.parameters["l_a"].check(l_a)
        self.u_a = info.parameters["u_a"].check(u_a)
        self.l_m = info.parameters["l_m"].check(l_m)
        self.u_m = info.parameters["u_m"].check(u_m)
        self.lambda_g = info.parameters["lambda_g"].check(lambda_g)
        self.past_pi = info.options["past_pi"].check(past_pi)
        if self.l_a >= self.u_a:
            raise InputError(f"l_a must be smaller than u_a, but got l_a={l_a!r} and u_a={u_a!r}")
        if self.l_m > self.u_m:
            raise InputError(f"l_m must not be larger than u_m, but got l_m={l_m!r} and u_m={u_m!r}")

    def forward(self, targets: Targets) -> Tensor:
        """ψ of the targets at their norms."""
        return shifted_cosine_past_pi(targets.cos_N, self.margin_at(targets.norm_N), self.past_pi)

    def margin_at(self, norm_N: Tensor) -> Tensor:
        """m(a) in radians, (N,)."""
        slope = (self.u_m - self.l_m) / (self.u_a - self.l_a)
        return self.l_m + slope * (norm_N.clamp(self.l_a, self.u_a) - self.l_a)

    def penalty(self, targets: Targets) -> Tensor:
        """λ_g·mean(a/u_a² + 1/a)."""
        a_N = targets.norm_N.clamp(self.l_a, self.u_a)
        return self.lambda_g * (a_N / self.u_a**2 + 1.0 / a_N).mean()

    def extra_repr(self) -> str:
        """The parameters with their units, and the option."""
        norms = f"l_a={self.l_a:g}, u_a={self.u_a:g}"
        margins = f"l_m={self.l_m:g} rad, u_m={self.u_m:g} rad"
        return f"{norms}, {margins}, lambda_g={self.lambda_g:g}, past_pi={self.past_pi}"
