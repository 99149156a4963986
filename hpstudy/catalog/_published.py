"""Published results with the losses of the catalogue, for a reader to look up beside a study's own.

Only numbers read in the source that is named stand here. A field that the source was not read for is empty.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hpstudy.catalog._losses import LOSSES

PUBLISHED_CAVEAT = (
    "Published rows are from other data, other networks and other protocols than this study's: they show what the "
    "field reports of a loss and with which s and m, and are not comparable with the study's numbers, nor with one "
    "another where the source differs."
)
"""What has to stand beside published rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """One published score."""

    source: str
    """Publication and table."""
    data: str
    """Training data."""
    network: str
    protocol: str
    """Test set and what is measured."""
    loss: str
    """Name in `LOSSES`."""
    named: str
    """What the source calls it."""
    s: float | None = None
    """Scale; None where the source has none, adapts it or was not read for it."""
    m: float | None = None
    """Margin in the unit of the loss; None likewise."""
    score: float
    digits: int = 2
    """Decimals that the source gives."""
    unit: str = "%"
    note: str = ""


_LFW, _YTF = "LFW verification", "YTF verification"
_Scores = tuple[str, str, float | None, float | None, tuple[float, ...]]
"""Loss, what the source calls it, s, m, and a score for each protocol."""


def _table(
    source: str, data: str, network: str, protocols: tuple[str, ...], *rows: _Scores, note: str = ""
) -> Iterator[PublishedRow]:
    for loss, named, s, m, scores in rows:
        for protocol, score in zip(protocols, scores, strict=True):
            yield PublishedRow(
                source=source, data=data, network=network, protocol=protocol, loss=loss, named=named, s=s, m=m,
                score=score, digits=1 if protocol == _YTF else 2, note=note,
            )  # fmt: skip


_ARCFACE_SETS = (_LFW, "CFP-FP verification", "AgeDB-30 verification")
_COSFACE_SETS = (_LFW, _YTF, "MegaFace rank 1", "MegaFace verification")
_ZOO_SETS = (_LFW, "CPLFW verification", "CALFW verification", "AgeDB verification", "MegaFace rank 1")
_KIN: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("multiplicative_angle", "fixed"): ("annealed_multiplicative_angle", "feature_norm")
}
"""Losses that are shown with the results of another: SphereFace with normalised features with those as published."""

PUBLISHED: tuple[PublishedRow, ...] = (
    *_table(
        "ArcFace (CVPR 2019), Table 2", "CASIA-WebFace", "ResNet50", _ARCFACE_SETS,
        ("arcface", "ArcFace", 64.0, 0.4, (99.53, 95.41, 94.98)),
        ("arcface", "ArcFace", 64.0, 0.45, (99.46, 95.47, 94.93)),
        ("arcface", "ArcFace", 64.0, 0.5, (99.53, 95.56, 95.15)),
        ("arcface", "ArcFace", 64.0, 0.55, (99.41, 95.32, 95.05)),
        ("sphereface", "SphereFace", 64.0, 1.35, (99.11, 94.38, 91.70)),
        ("cosface", "CosFace", 64.0, 0.35, (99.51, 95.44, 94.56)),
        ("combined", "CM1 (1, 0.3, 0.2)", 64.0, None, (99.48, 95.12, 94.38)),
        ("combined", "CM2 (0.9, 0.4, 0.15)", 64.0, None, (99.50, 95.24, 94.86)),
        ("softmax", "Softmax", None, None, (99.08, 94.39, 92.33)),
        ("normface", "Norm-Softmax", 64.0, None, (98.56, 89.79, 88.72)),
    ),
    *_table(
        "ArcFace (T-PAMI), Table 2", "CASIA-WebFace", "ResNet50", _ARCFACE_SETS,
        ("normface", "Norm-Softmax", 20.0, None, (99.20, 94.61, 92.65)),
        note="the same loss at s = 64 has 98.56, 89.79 and 88.72",
    ),
    *_table(
        "ArcFace (T-PAMI), Table 6", "", "", ("MegaFace rank 1, refined",),
        ("p2sgrad", "P2SGrad", None, None, (97.25,)),
        ("adacos", "AdaCos", None, None, (97.41,)),
    ),
    *_table(
        "CosFace (CVPR 2018), Table 2", "CASIA-WebFace", "64-layer CNN", _COSFACE_SETS,
        ("cosface", "LMCL (CosFace)", 64.0, None, (99.33, 96.1, 77.11, 89.88)),
        ("softmax", "Softmax", None, None, (97.88, 93.1, 54.85, 65.92)),
        ("a_softmax", "A-Softmax", None, None, (99.42, 95.0, 72.72, 85.56)),
        ("sphereface", "A-Softmax-NormFea", None, None, (99.32, 95.4, 75.42, 88.82)),
    ),
    *_table(
        "NormFace (ACM MM 2017)", "", "ResNet of Wen et al., fine-tuned", (_LFW,),
        ("softmax", "softmax, nothing normalised", None, None, (98.28,)),
        ("l2_softmax", "softmax, features normalised", None, None, (98.72,)),
        ("modified_softmax", "softmax, weights normalised", None, None, (98.95,)),
        ("c_contrastive", "C-contrastive", None, None, (99.15,)),
        ("c_triplet", "C-triplet", None, None, (99.11,)),
    ),
    *_table(
        "NormFace (ACM MM 2017)", "", "ResNet of Wen et al., fine-tuned", (_LFW,),
        ("normface", "softmax, both normalised", None, None, (99.16,)),
        note="± 0.025",
    ),
    *_table(
        "SphereFace, README of the released code", "", "20-layer CNN", (_LFW,),
        *(("a_softmax", f"SphereFace, run {run}", None, None, (score,))
          for run, score in enumerate((99.24, 99.20, 99.30, 99.27, 99.13), start=1)),
        note="five runs of one setting: mean 99.228, standard deviation 0.066",
    ),
    *_table(
        "FaceX-Zoo, README of training_mode", "72,778 identities", "MobileFaceNet", _ZOO_SETS,
        ("cosface", "AM-Softmax", 32.0, 0.35, (99.58, 83.63, 93.93, 95.85, 88.92)),
        ("arcface", "ArcFace", 32.0, 0.35, (99.57, 83.68, 93.98, 96.23, 88.39)),
        ("adacos", "AdaCos", None, None, (99.65, 83.27, 92.63, 95.38, 82.95)),
        ("curricularface", "CurricularFace", None, None, (99.60, 83.03, 93.75, 95.82, 87.27)),
        ("circle", "Circle loss", None, None, (99.57, 83.42, 94.00, 95.73, 88.75)),
        ("magface", "MagFace", None, None, (99.53, 84.32, 94.03, 95.82, 89.85)),
    ),
)  # fmt: skip
"""Every published score, in the order of the sources."""


def published_rows(losses: Iterable[str]) -> tuple[PublishedRow, ...]:
    """The published scores of these losses, and of others with the same margin and scale: AM-softmax is CosFace.

    Args:
        losses: Names in the catalogue, or `margin+scale` of parts; others have no row.
    """
    wanted = {parts for loss in losses if (parts := _parts(loss))}
    wanted |= {_KIN[parts] for parts in wanted & _KIN.keys()}
    return tuple(row for row in PUBLISHED if _parts(row.loss) in wanted)


def _parts(loss: str) -> tuple[str, ...]:
    """What makes a loss: margin and scale, or a criterion; nothing for a loss from outside."""
    if loss in LOSSES:
        info = LOSSES[loss]
        return (info.criterion,) if info.criterion else (info.margin, info.scale)
    margin, plus, scale = loss.partition("+")
    return (margin, scale) if plus else ()
