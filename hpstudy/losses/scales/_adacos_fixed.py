"""The scale AdaCos fixes before training."""

from typing import Any, Self

from hpstudy.exceptions import InputError
from hpstudy.losses.scales._base import BufferedScale
from hpstudy.theory import adacos_fixed_scale


def initial_scale(num_classes: int) -> float:
    """√2·log(C − 1), AdaCos's fixed scale and the start of its dynamic one.

    Raises:
        InputError: If C < 3: for C = 2 the rule gives s = 0, and nothing would train.
    """
    if num_classes < 3:
        raise InputError(
            f"an AdaCos scale needs at least 3 classes, but got {num_classes}: √2·log(C−1) is 0 for C = 2; "
            "use the scale 'fixed'"
        )
    return adacos_fixed_scale(num_classes)


class AdaCosFixedScale(BufferedScale):
    """s = √2·log(C − 1) = log(C − 1)/cos(π/4); AdaCos (Zhang et al., CVPR 2019).

    Args:
        num_classes: C.

    Raises:
        InputError: If C < 3.
    """

    name = "adacos_fixed"

    def __init__(self, *, num_classes: int) -> None:
        super().__init__(initial_scale(num_classes))

    @classmethod
    def for_classes(cls, num_classes: int, num_here: int, **params: Any) -> Self:
        """The scale for C classes; it takes no other parameter."""
        del num_here
        return cls(num_classes=num_classes, **params)
