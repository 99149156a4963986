"""Margins: what a head does to the cosines before they are scaled. One margin, one file, one class."""

from hpstudy.losses.margins._additive_angle import AdditiveAngleMargin
from hpstudy.losses.margins._additive_cosine import AdditiveCosineMargin
from hpstudy.losses.margins._base import Margin, TargetMargin
from hpstudy.losses.margins._multiplicative_angle import MultiplicativeAngleMargin
from hpstudy.losses.margins._none import NoMargin

__all__ = [
    "AdditiveAngleMargin",
    "AdditiveCosineMargin",
    "Margin",
    "MultiplicativeAngleMargin",
    "NoMargin",
    "TargetMargin",
]
