"""How embeddings and prototypes are judged: verification pairs, and the geometry that the papers' bounds speak of."""

from hpstudy.evaluation._bootstrap import draw_identities, verification_replicates
from hpstudy.evaluation._geometry import prototype_geometry
from hpstudy.evaluation._metric_names import far_label, tar_metric
from hpstudy.evaluation._verification import VerificationResult, verification

__all__ = [
    "VerificationResult",
    "draw_identities",
    "far_label",
    "prototype_geometry",
    "tar_metric",
    "verification",
    "verification_replicates",
]
