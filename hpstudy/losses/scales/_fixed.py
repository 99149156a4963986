"""A scale given by the user."""

from hpstudy.catalog import SCALES
from hpstudy.losses.scales._base import BufferedScale


class FixedScale(BufferedScale):
    """s stays what it was given.

    Args:
        s: Scale, dimensionless.

    Raises:
        InputError: If s is outside the catalogue's hard range.
    """

    name = "fixed"

    def __init__(self, *, s: float) -> None:
        super().__init__(SCALES[self.name].parameters["s"].check(s))
