"""The loss family as data: every named loss, its margin and scale, their units, defaults, ranges and papers.

Nothing here needs torch or any third-party package, so a study file is checked without either. A new loss is one
`_loss(...)` row of a margin and a scale; a new part is one `MarginInfo`, `ScaleInfo` or `CriterionInfo`. A loss takes
the parameters and options of its parts and overrides what it wants of them (its own default, its own range). A
criterion is a loss of the cosines other than the softmax's: a named loss by itself, or a regulariser of any other.

Notation of the formulas: θ_j is the angle between the unit feature and the unit prototype W_j, y the target class,
C the number of classes, K the embedding dimension.
"""

from hpstudy.catalog._criteria import CRITERIA
from hpstudy.catalog._losses import LOSSES
from hpstudy.catalog._margins import MARGINS
from hpstudy.catalog._own import installed_losses, own_loss
from hpstudy.catalog._published import PUBLISHED, PUBLISHED_CAVEAT, PublishedRow, published_rows
from hpstudy.catalog._scales import SCALES
from hpstudy.catalog._tables import find
from hpstudy.catalog._types import (
    CriterionInfo,
    LossInfo,
    MarginInfo,
    OptionInfo,
    Paper,
    ParameterInfo,
    Part,
    ScaleInfo,
)

__all__ = [
    "CRITERIA",
    "LOSSES",
    "MARGINS",
    "PUBLISHED",
    "PUBLISHED_CAVEAT",
    "SCALES",
    "CriterionInfo",
    "LossInfo",
    "MarginInfo",
    "OptionInfo",
    "Paper",
    "ParameterInfo",
    "Part",
    "PublishedRow",
    "ScaleInfo",
    "criterion_info",
    "installed_losses",
    "loss_info",
    "margin_info",
    "own_loss",
    "published_rows",
    "scale_info",
]


def criterion_info(name: str) -> CriterionInfo:
    """The criterion of that name.

    Raises:
        InputError: If there is no such criterion; the message carries the nearest name.
    """
    return find("criterion", name, CRITERIA)


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
