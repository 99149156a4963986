"""Margin on the non-target angles (SphereFace-R, second form)."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from hpstudy.catalog import MARGINS
from hpstudy.losses._cosines import Targets
from hpstudy.losses.margins._angles import angle, as_offset
from hpstudy.losses.margins._base import Margin


class DividedAngleMargin(Margin):
    """The target keeps cos θ_y, the others become cos(θ_j/m); SphereFace-R (Liu et al., TPAMI 2022), second form.

    The boundary is SphereFace's, m·θ_y ≤ θ_j, but nothing goes past π. The public code multiplies its loss by a
    constant, 50/s, which belongs to the learning rate and is left out here.

    Args:
        m: Margin, a divisor of the other angles; 1 is no margin.
        gradient: `exact`: d cos(θ/m)/d cos θ = sin(θ/m)/(m·sin θ), which is 1/m² at θ = 0 and grows towards π;
            `detached`: the margin is an offset without gradient, slope 1, as the public code trains.

    Raises:
        InputError: If m is outside the catalogue's hard range, or an option is none of its choices.
    """

    name = "divided_angle"
    moves_nontargets = True

    def __init__(self, *, m: float, gradient: Literal["exact", "detached"] = "exact") -> None:
        super().__init__()
        info = MARGINS[self.name]
        self.m = info.parameters["m"].check(m)
        self.gradient = info.options["gradient"].check(gradient)

    def forward(self, targets: Targets) -> Tensor:
        """cos θ_y."""
        return targets.cos_N

    def nontarget(self, targets: Targets) -> Callable[[Tensor], Tensor]:
        """cos(θ_j/m)."""
        del targets
        return self._offset if self.gradient == "detached" else self._value

    def _value(self, cos: Tensor) -> Tensor:
        return (angle(cos) / self.m).cos()

    def _offset(self, cos: Tensor) -> Tensor:
        return as_offset(self._value, cos)

    def extra_repr(self) -> str:
        """The margin with its unit, and the option."""
        return f"m={self.m:g} factor, gradient={self.gradient}"
