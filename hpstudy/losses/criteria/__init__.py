"""Criteria: losses of the cosines other than the softmax's. One rule, one class."""

from hpstudy.losses.criteria._angular_triplet import AngularTriplet
from hpstudy.losses.criteria._base import Criterion, CriterionBatch
from hpstudy.losses.criteria._c_contrastive import CContrastive
from hpstudy.losses.criteria._c_triplet import CTriplet
from hpstudy.losses.criteria._inter import Inter
from hpstudy.losses.criteria._intra import Intra
from hpstudy.losses.criteria._p2sgrad import P2SGrad
from hpstudy.losses.criteria._sphereface2 import SphereFace2

__all__ = [
    "AngularTriplet",
    "CContrastive",
    "CTriplet",
    "Criterion",
    "CriterionBatch",
    "Inter",
    "Intra",
    "P2SGrad",
    "SphereFace2",
]
