"""The parts of a head: margins and scales."""

import math
from collections.abc import Mapping

from hpstudy.catalog._tables import by_name, named
from hpstudy.catalog._types import MarginInfo, OptionInfo, ParameterInfo, ScaleInfo

S = ParameterInfo(
    name="s",
    unit="dimensionless",
    default=64.0,
    minimum=0.0,
    minimum_included=False,
    maximum=1e4,
    plausible=(2.0, 128.0),
    meaning="scale of the cosines; the logits lie in [−s, s]",
)

_GRADIENT = OptionInfo(
    name="gradient",
    default="exact",
    allowed=("detached", "exact"),
    meaning="exact: d cos(θ+m)/d cos θ = sin(θ+m)/sin θ; detached: the margin is a constant offset, factor 1",
)
_PAST_PI = OptionInfo(
    name="past_pi",
    default="monotone",
    allowed=("clamp", "monotone", "wrap"),
    meaning="where θ+m > π: monotone: −cos(θ+m) − 2, which keeps falling; clamp: −1; wrap: cos(θ+m) as it is",
)

MARGINS: Mapping[str, MarginInfo] = by_name(
    MarginInfo(name="none", title="no margin", formula="cos θ_y", parameters={}, options={}),
    MarginInfo(
        name="additive_cosine",
        title="additive cosine margin",
        formula="cos θ_y − m",
        parameters=named(
            ParameterInfo(
                name="m",
                unit="cosine",
                default=0.35,
                minimum=0.0,
                maximum=2.0,
                plausible=(0.0, 0.6),
                meaning="subtracted from the target cosine",
            )
        ),
        options={},
    ),
    MarginInfo(
        name="additive_angle",
        title="additive angular margin",
        formula="cos(θ_y + m)",
        parameters=named(
            ParameterInfo(
                name="m",
                unit="rad",
                default=0.5,
                minimum=0.0,
                maximum=math.pi / 2,
                plausible=(0.0, 0.8),
                meaning="added to the target angle",
            )
        ),
        options=named(_GRADIENT, _PAST_PI),
    ),
    MarginInfo(
        name="multiplicative_angle",
        title="multiplicative angular margin",
        formula="ψ(θ_y) = (−1)^k cos(m·θ_y) − 2k,  k = ⌊m·θ_y/π⌋",
        parameters=named(
            ParameterInfo(
                name="m",
                unit="factor",
                default=1.35,
                minimum=1.0,
                maximum=10.0,
                plausible=(1.0, 2.0),
                meaning="multiplies the target angle; 1 is no margin",
            )
        ),
        options={},
    ),
)
"""The margins a head can be built of, by name."""

SCALES: Mapping[str, ScaleInfo] = by_name(
    ScaleInfo(name="fixed", title="fixed scale", formula="s", parameters=named(S), options={}, adaptive=False),
    ScaleInfo(
        name="adacos_fixed",
        title="fixed AdaCos scale",
        formula="s = √2·log(C − 1)",
        parameters={},
        options={},
        adaptive=False,
    ),
    ScaleInfo(
        name="adacos_dynamic",
        title="dynamic AdaCos scale",
        formula="s_t = log B_avg(s_{t−1}) / cos(min(π/4, θ_med)),  s_0 = √2·log(C − 1)",
        parameters={},
        options={},
        adaptive=True,
    ),
)
"""The scales a head can be built of, by name."""
