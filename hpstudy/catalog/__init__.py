"""The loss family as data: every named loss, its margin and scale, their units, defaults, ranges and papers.

Nothing here needs torch or any third-party package, so a study file is checked without either. A new loss is one
`_loss(...)` row of two parts; a new part is one `MarginInfo` or `ScaleInfo`. A loss takes the parameters and options of
its parts and overrides what it wants of them (its own default, its own plausible range).

Notation of the formulas: θ_j is the angle between the unit feature and the unit prototype W_j, y the target class,
C the number of classes, K the embedding dimension.
"""

from hpstudy.catalog._losses import LOSSES
from hpstudy.catalog._parts import MARGINS, SCALES
from hpstudy.catalog._tables import find
from hpstudy.catalog._types import LossInfo, MarginInfo, OptionInfo, Paper, ParameterInfo, ScaleInfo

__all__ = [
    "LOSSES",
    "MARGINS",
    "SCALES",
    "LossInfo",
    "MarginInfo",
    "OptionInfo",
    "Paper",
    "ParameterInfo",
    "ScaleInfo",
    "loss_info",
    "margin_info",
    "scale_info",
]


def loss_info(name: str) -> LossInfo:
    """The row of a named loss.

    Raises:
        InputError: If there is no such loss; the message carries the nearest name.
    """
    return find("loss", name, LOSSES)


def margin_info(name: str) -> MarginInfo:
    """The margin of that name.

    Raises:
        InputError: If there is no such margin; the message carries the nearest name.
    """
    return find("margin", name, MARGINS)


def scale_info(name: str) -> ScaleInfo:
    """The scale of that name.

    Raises:
        InputError: If there is no such scale; the message carries the nearest name.
    """
    return find("scale", name, SCALES)
