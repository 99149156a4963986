"""Margins: what a head does to the cosines before they are scaled. One margin, one file, one class."""

from hpstudy.losses.margins._adaface import AdaFaceMargin
from hpstudy.losses.margins._additive_angle import AdditiveAngleMargin
from hpstudy.losses.margins._additive_cosine import AdditiveCosineMargin
from hpstudy.losses.margins._annealed_multiplicative_angle import AnnealedMultiplicativeAngleMargin
from hpstudy.losses.margins._base import Margin, TargetMargin
from hpstudy.losses.margins._circle import CircleMargin
from hpstudy.losses.margins._combined import CombinedMargin
from hpstudy.losses.margins._curricular import CurricularMargin
from hpstudy.losses.margins._divided_angle import DividedAngleMargin
from hpstudy.losses.margins._hard_nontarget import HardNontargetMargin
from hpstudy.losses.margins._magface import MagFaceMargin
from hpstudy.losses.margins._multiplicative_angle import MultiplicativeAngleMargin
from hpstudy.losses.margins._mv_angle import MVAngleMargin
from hpstudy.losses.margins._mv_cosine import MVCosineMargin
from hpstudy.losses.margins._none import NoMargin

__all__ = [
    "AdaFaceMargin",
    "AdditiveAngleMargin",
    "AdditiveCosineMargin",
    "AnnealedMultiplicativeAngleMargin",
    "CircleMargin",
    "CombinedMargin",
    "CurricularMargin",
    "DividedAngleMargin",
    "HardNontargetMargin",
    "MVAngleMargin",
    "MVCosineMargin",
    "MagFaceMargin",
    "Margin",
    "MultiplicativeAngleMargin",
    "NoMargin",
    "TargetMargin",
]
