"""The margins a head can be built of."""

import math
from collections.abc import Mapping

from hpstudy.catalog._tables import by_name, named
from hpstudy.catalog._types import MarginInfo, OptionInfo, ParameterInfo

_GRADIENT = OptionInfo(
    name="gradient",
    default="exact",
    allowed=("detached", "exact"),
    meaning="exact: that of the formula, e.g. sin(θ+m)/sin θ; detached: the margin is a constant offset, factor 1",
)
_PAST_PI = OptionInfo(
    name="past_pi",
    default="monotone",
    allowed=("clamp", "easy", "linear", "monotone", "wrap"),
    meaning="where θ+m > π: monotone: −cos(θ+m) − 2, which keeps falling; clamp: −1; wrap: cos(θ+m) as it is; "
    "linear: cos θ − m·sin m, a step; easy: no margin at all where θ > π/2",
)
_PAST_PI_FACTOR = OptionInfo(
    name="past_pi",
    default="monotone",
    allowed=("clamp", "monotone"),
    meaning="where mθ > π: monotone: ψ, which keeps falling; clamp: −1 (SphereFace-R, first form)",
)
_COSINE_M = ParameterInfo(
    name="m",
    unit="cosine",
    default=0.35,
    minimum=0.0,
    maximum=2.0,
    plausible=(0.0, 0.6),
    meaning="subtracted from the target cosine",
)
_ANGLE_M = ParameterInfo(
    name="m",
    unit="rad",
    default=0.5,
    minimum=0.0,
    maximum=math.pi / 2,
    plausible=(0.0, 0.8),
    meaning="added to the target angle",
)
_FACTOR_M = ParameterInfo(
    name="m",
    unit="factor",
    default=1.35,
    minimum=1.0,
    maximum=10.0,
    plausible=(1.0, 2.0),
    meaning="multiplies the target angle; 1 is no margin",
)


def _norm(name: str, *, default: float, plausible: tuple[float, float], meaning: str) -> ParameterInfo:
    return ParameterInfo(
        name=name,
        unit="norm",
        default=default,
        minimum=0.0,
        minimum_included=False,
        maximum=1e4,
        plausible=plausible,
        meaning=meaning,
    )


def _hard(default: float) -> ParameterInfo:
    return ParameterInfo(
        name="t",
        unit="cosine",
        default=default,
        minimum=0.0,
        maximum=1.0,
        plausible=(0.0, 0.4),
        meaning="how much more a hard non-target weighs: (1+t)·cos θ_j + t",
    )


MARGINS: Mapping[str, MarginInfo] = by_name(
    MarginInfo(name="none", title="no margin", formula="cos θ_y", parameters={}, options={}),
    MarginInfo(
        name="additive_cosine",
        title="additive cosine margin",
        formula="cos θ_y − m",
        parameters=named(_COSINE_M),
        options={},
    ),
    MarginInfo(
        name="additive_angle",
        title="additive angular margin",
        formula="cos(θ_y + m)",
        parameters=named(_ANGLE_M),
        options=named(_GRADIENT, _PAST_PI),
    ),
    MarginInfo(
        name="multiplicative_angle",
        title="multiplicative angular margin",
        formula="ψ(θ_y) = (−1)^k cos(m·θ_y) − 2k,  k = ⌊m·θ_y/π⌋",
        parameters=named(_FACTOR_M),
        options=named(_GRADIENT, _PAST_PI_FACTOR),
    ),
    MarginInfo(
        name="annealed_multiplicative_angle",
        title="multiplicative angular margin, annealed",
        formula="(λ·cos θ_y + ψ(θ_y))/(1 + λ),  λ = max(λ_min, base·(1 + γ·t)^−power) at step t = 1, 2, …",
        parameters=named(
            ParameterInfo(
                name="m",
                unit="factor",
                default=4.0,
                minimum=1.0,
                maximum=10.0,
                plausible=(1.0, 4.0),
                meaning="multiplies the target angle; 1 is no margin",
            ),
            ParameterInfo(
                name="base",
                unit="dimensionless",
                default=1000.0,
                minimum=0.0,
                maximum=1e6,
                plausible=(10.0, 1000.0),
                meaning="λ before the first step",
            ),
            ParameterInfo(
                name="gamma",
                unit="per step",
                default=0.12,
                minimum=0.0,
                maximum=1e3,
                plausible=(1e-4, 1.0),
                meaning="γ, how fast λ falls",
            ),
            ParameterInfo(
                name="power",
                unit="dimensionless",
                default=1.0,
                minimum=0.0,
                maximum=10.0,
                plausible=(1.0, 2.0),
                meaning="how steeply λ falls in the end",
            ),
            ParameterInfo(
                name="lambda_min",
                unit="dimensionless",
                default=5.0,
                minimum=0.0,
                maximum=1e6,
                plausible=(0.0, 5.0),
                meaning="λ_min, what is left of it: 5 leaves a sixth of the margin",
            ),
        ),
        options={},
    ),
    MarginInfo(
        name="divided_angle",
        title="margin on the non-target angles",
        formula="cos θ_y, others cos(θ_j/m)",
        parameters=named(
            ParameterInfo(
                name="m",
                unit="factor",
                default=1.5,
                minimum=1.0,
                maximum=10.0,
                plausible=(1.0, 2.0),
                meaning="divides the other angles; 1 is no margin",
            )
        ),
        options=named(_GRADIENT),
    ),
    MarginInfo(
        name="combined",
        title="combined margin",
        formula="cos(m1·θ_y + m2) − m3, continued past π like ψ",
        parameters=named(
            ParameterInfo(
                name="m1",
                unit="factor",
                default=1.0,
                minimum=0.1,
                maximum=10.0,
                plausible=(0.9, 1.35),
                meaning="multiplies the target angle",
            ),
            ParameterInfo(
                name="m2",
                unit="rad",
                default=0.3,
                minimum=0.0,
                maximum=math.pi / 2,
                plausible=(0.0, 0.5),
                meaning="added to the target angle",
            ),
            ParameterInfo(
                name="m3",
                unit="cosine",
                default=0.2,
                minimum=0.0,
                maximum=2.0,
                plausible=(0.0, 0.35),
                meaning="subtracted from the target cosine",
            ),
        ),
        options={},
    ),
    MarginInfo(
        name="adaface",
        title="margin by feature norm",
        formula="cos(clip(θ_y − m·ẑ, 0, π)) − (m + m·ẑ),  ẑ = clip((‖x‖ − μ)/(σ + 0.001)·h, −1, 1)",
        parameters=named(
            ParameterInfo(
                name="m",
                unit="rad and cosine",
                default=0.4,
                minimum=0.0,
                maximum=1.0,
                plausible=(0.0, 0.6),
                meaning="angular margin of the shortest features, cosine margin of the average ones",
            ),
            ParameterInfo(
                name="h",
                unit="dimensionless",
                default=0.333,
                minimum=0.0,
                maximum=10.0,
                plausible=(0.2, 0.66),
                meaning="how much of the spread of norms the margin uses; 0 is CosFace",
            ),
            ParameterInfo(
                name="t_alpha",
                unit="dimensionless",
                default=0.01,
                minimum=0.0,
                maximum=1.0,
                plausible=(0.01, 1.0),
                meaning="weight of the new batch in the averages μ and σ of the norms",
            ),
        ),
        options={},
        reads_norm=True,
    ),
    MarginInfo(
        name="magface",
        title="margin by feature norm, with a reward for long features",
        formula="cos(θ_y + m(a)),  m(a) = l_m + (u_m − l_m)(a − l_a)/(u_a − l_a),  a = clip(‖x‖, l_a, u_a)",
        parameters=named(
            _norm("l_a", default=10.0, plausible=(1.0, 20.0), meaning="shortest norm that counts"),
            _norm("u_a", default=110.0, plausible=(50.0, 200.0), meaning="longest norm that counts"),
            ParameterInfo(
                name="l_m",
                unit="rad",
                default=0.45,
                minimum=0.0,
                maximum=math.pi / 2,
                plausible=(0.25, 0.5),
                meaning="margin at the shortest norm",
            ),
            ParameterInfo(
                name="u_m",
                unit="rad",
                default=0.8,
                minimum=0.0,
                maximum=math.pi / 2,
                plausible=(0.5, 1.0),
                meaning="margin at the longest norm",
            ),
            ParameterInfo(
                name="lambda_g",
                unit="dimensionless",
                default=35.0,
                minimum=0.0,
                maximum=1e4,
                plausible=(5.0, 50.0),
                meaning="weight of the term mean(a/u_a² + 1/a), which falls with the norm",
            ),
        ),
        options=named(
            OptionInfo(
                name="past_pi",
                default="easy",
                allowed=("easy", "linear", "monotone"),
                meaning="easy: no margin where θ > π/2; linear: cos θ − m·sin m where θ+m > π; monotone: keeps falling",
            )
        ),
        reads_norm=True,
    ),
    MarginInfo(
        name="curricular",
        title="additive angular margin, hard non-targets reweighed",
        formula="cos(θ_y + m), others cos θ_j·(t + cos θ_j) if cos θ_j > cos(θ_y + m);  t average of cos θ_y",
        parameters=named(
            _ANGLE_M,
            ParameterInfo(
                name="momentum",
                unit="dimensionless",
                default=0.99,
                minimum=0.0,
                maximum=0.9999,
                plausible=(0.9, 0.99),
                meaning="weight of the past in t",
            ),
        ),
        options=named(
            OptionInfo(
                name="past_pi",
                default="linear",
                allowed=("linear", "monotone"),
                meaning="where θ+m > π: linear: cos θ − m·sin m; monotone: −cos(θ+m) − 2",
            )
        ),
    ),
    MarginInfo(
        name="mv_cosine",
        title="additive cosine margin, mis-classified vectors reweighed",
        formula="cos θ_y − m, others (1+t)·cos θ_j + t if cos θ_j > cos θ_y − m",
        parameters=named(_COSINE_M, _hard(0.2)),
        options={},
    ),
    MarginInfo(
        name="mv_angle",
        title="additive angular margin, mis-classified vectors reweighed",
        formula="cos(θ_y + m), others (1+t)·cos θ_j + t if cos θ_j > cos(θ_y + m)",
        parameters=named(_ANGLE_M, _hard(0.2)),
        options=named(
            OptionInfo(
                name="past_pi",
                default="monotone",
                allowed=("easy", "monotone", "wrap"),
                meaning="where θ+m > π: monotone: −cos(θ+m) − 2; wrap: cos(θ+m) as it is; "
                "easy: no margin at all where θ > π/2",
            )
        ),
    ),
    MarginInfo(
        name="circle",
        title="circle margin",
        formula="α_y·(cos θ_y − 1 + m), others α_j·(cos θ_j − m);  α_y = [1 + m − cos θ_y]₊, α_j = [cos θ_j + m]₊",
        parameters=named(
            ParameterInfo(
                name="m",
                unit="cosine",
                default=0.25,
                minimum=0.0,
                maximum=1.0,
                plausible=(0.1, 0.4),
                meaning="radius of the decision circle, over √2",
            )
        ),
        options={},
    ),
)
"""The margins a head can be built of, by name."""
