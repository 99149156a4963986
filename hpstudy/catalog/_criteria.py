"""Losses of the cosines other than the softmax's, alone or as regularisers."""

import math
from collections.abc import Mapping
from dataclasses import replace

from hpstudy.catalog import _papers as papers
from hpstudy.catalog._tables import by_name, named
from hpstudy.catalog._types import CriterionInfo, OptionInfo, ParameterInfo

_WEIGHT = ParameterInfo(
    name="weight",
    unit="dimensionless",
    default=1.0,
    minimum=0.0,
    maximum=1e4,
    plausible=(1e-3, 10.0),
    meaning="what the term is multiplied with before it is added to the loss",
)
_DISTANCE_M = ParameterInfo(
    name="m",
    unit="squared distance",
    default=1.0,
    minimum=0.0,
    maximum=4.0,
    plausible=(0.4, 1.5),
    meaning="squared distance of unit vectors, 2 − 2·cos θ, that is wanted",
)

CRITERIA: Mapping[str, CriterionInfo] = by_name(
    CriterionInfo(
        name="c_contrastive",
        title="C-contrastive",
        formula="D_y + Σ_{j≠y} max(0, m − D_j),  D_j = ‖x̂ − Ŵ_j‖² = 2 − 2·cos θ_j",
        parameters=named(_DISTANCE_M),
        options={},
        alone=True,
        paper=papers.NORMFACE,
        weight=replace(_WEIGHT, default=0.01),
    ),
    CriterionInfo(
        name="c_triplet",
        title="C-triplet",
        formula="Σ_{j≠y} max(0, m + D_y − D_j),  D_j = ‖x̂ − Ŵ_j‖² = 2 − 2·cos θ_j",
        parameters=named(replace(_DISTANCE_M, default=0.8, meaning="how much farther the other prototypes shall be")),
        options=named(
            OptionInfo(
                name="negatives",
                default="all",
                allowed=("all", "hardest"),
                meaning="all: every class that is too near, as in eq. 11; hardest: the nearest only",
            )
        ),
        alone=True,
        paper=papers.NORMFACE,
        weight=_WEIGHT,
    ),
    CriterionInfo(
        name="p2sgrad",
        title="P2SGrad",
        formula="½·Σ_j (cos θ_j − [j = y])²",
        parameters={},
        options={},
        alone=True,
        paper=papers.P2SGRAD,
        weight=_WEIGHT,
    ),
    CriterionInfo(
        name="sphereface2",
        title="SphereFace2",
        formula="(w/s)·(λ·log(1 + e^{−(s(g(cos θ_y) − m) + b)}) + (1−λ)·Σ_{j≠y} log(1 + e^{s(g(cos θ_j) + m) + b})),  "
        "g(z) = 2·((z+1)/2)^t − 1, b learned, w the loss weight",
        parameters=named(
            ParameterInfo(
                name="s",
                unit="dimensionless",
                default=40.0,
                minimum=0.0,
                minimum_included=False,
                maximum=1e4,
                plausible=(20.0, 64.0),
                meaning="scale of the cosines (r in the paper)",
            ),
            ParameterInfo(
                name="m",
                unit="cosine",
                default=0.4,
                minimum=0.0,
                maximum=2.0,
                plausible=(0.2, 0.5),
                meaning="subtracted from the target similarity, added to the others",
            ),
            ParameterInfo(
                name="t",
                unit="dimensionless",
                default=3.0,
                minimum=1.0,
                maximum=100.0,
                plausible=(1.0, 5.0),
                meaning="power of the similarity adjustment g; 1 is none",
            ),
            ParameterInfo(
                name="balance",
                unit="dimensionless",
                default=0.7,
                minimum=0.0,
                minimum_included=False,
                maximum=0.999,
                plausible=(0.5, 0.9),
                meaning="λ, the weight of the target against all others",
            ),
            ParameterInfo(
                name="loss_weight",
                unit="dimensionless",
                default=50.0,
                minimum=0.0,
                minimum_included=False,
                maximum=1e4,
                plausible=(1.0, 50.0),
                meaning="what the public code multiplies the loss with",
            ),
        ),
        options=named(
            OptionInfo(
                name="gradient",
                default="exact",
                allowed=("detached", "exact"),
                meaning="exact: that of the formula; detached: g and m are constant offsets, as the public code trains",
            )
        ),
        alone=True,
        paper=papers.SPHEREFACE2,
        weight=_WEIGHT,
    ),
    CriterionInfo(
        name="intra",
        title="intra-loss",
        formula="θ_y/π",
        parameters={},
        options={},
        alone=False,
        paper=papers.ARCFACE,
        weight=_WEIGHT,
    ),
    CriterionInfo(
        name="inter",
        title="inter-loss",
        formula="−Σ_{j≠y} arccos(W_y·W_j)/(π·(C − 1))",
        parameters={},
        options={},
        alone=False,
        paper=papers.ARCFACE,
        weight=_WEIGHT,
    ),
    CriterionInfo(
        name="angular_triplet",
        title="angular triplet",
        formula="max(0, arccos(x·x⁺) + m − arccos(x·x⁻)), farthest x⁺ and nearest x⁻ of the batch",
        parameters=named(
            ParameterInfo(
                name="m",
                unit="rad",
                default=0.35,
                minimum=0.0,
                maximum=math.pi / 2,
                plausible=(0.1, 0.5),
                meaning="how much larger the angle between classes shall be than within",
            )
        ),
        options={},
        alone=False,
        paper=papers.ARCFACE,
        weight=_WEIGHT,
    ),
)
"""The criteria, by name."""
