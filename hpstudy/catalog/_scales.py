"""The scales a head can be built of."""

from collections.abc import Mapping

from hpstudy.catalog._tables import by_name, named
from hpstudy.catalog._types import OptionInfo, ParameterInfo, ScaleInfo

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
_START = "where s starts; the optimiser moves it"
_CAP = ParameterInfo(
    name="cap",
    unit="factor",
    default=2.0,
    minimum=0.0,
    minimum_included=False,
    maximum=100.0,
    plausible=(1.0, 4.0),
    meaning="largest s in units of the fixed AdaCos scale √2·log(C − 1)",
)
_MOMENTUM = ParameterInfo(
    name="momentum",
    unit="dimensionless",
    default=0.95,
    minimum=0.0,
    maximum=0.9999,
    plausible=(0.0, 0.99),
    meaning="ρ, the weight of the past in both averages; 0 is no averaging",
)
_BIASES = OptionInfo(
    name="biases",
    default="learned",
    allowed=("learned", "none"),
    meaning="learned: b_j starts at 0 and is a parameter; none: b_j = 0",
)

SCALES: Mapping[str, ScaleInfo] = by_name(
    ScaleInfo(
        name="fixed",
        title="fixed scale",
        formula="s",
        parameters=named(S),
        options={},
        adaptive=False,
        sets_itself=False,
    ),
    ScaleInfo(
        name="learned",
        title="learned scale",
        formula="s, a parameter of the network, s ≥ s_min",
        parameters=named(
            ParameterInfo(
                name="s",
                unit="dimensionless",
                default=10.0,
                minimum=0.0,
                minimum_included=False,
                maximum=1e4,
                plausible=(4.0, 64.0),
                meaning=_START,
            ),
            ParameterInfo(
                name="s_min",
                unit="dimensionless",
                default=0.01,
                minimum=0.0,
                minimum_included=False,
                maximum=1e4,
                plausible=(0.01, 4.0),
                meaning="floor of s",
            ),
        ),
        options={},
        adaptive=True,
        sets_itself=True,
    ),
    ScaleInfo(
        name="learned_temperature",
        title="learned temperature",
        formula="s = e^t, t a parameter of the network, 1 ≤ s ≤ s_max",
        parameters=named(
            ParameterInfo(
                name="s",
                unit="dimensionless",
                default=1 / 0.07,
                minimum=1.0,
                maximum=1e4,
                plausible=(5.0, 50.0),
                meaning=_START,
            ),
            ParameterInfo(
                name="s_max",
                unit="dimensionless",
                default=100.0,
                minimum=1.0,
                maximum=1e4,
                plausible=(30.0, 200.0),
                meaning="ceiling of s",
            ),
        ),
        options={},
        adaptive=True,
        sets_itself=True,
    ),
    ScaleInfo(
        name="feature_norm",
        title="norm of the feature",
        formula="s_i = ‖x_i‖",
        parameters={},
        options={},
        adaptive=True,
        sets_itself=False,
        reads_norm=True,
    ),
    ScaleInfo(
        name="softmax",
        title="norms of feature and prototype, and a bias",
        formula="s_ij = ‖x_i‖·‖W_j‖, + b_j",
        parameters={},
        options=named(_BIASES),
        adaptive=True,
        sets_itself=False,
        reads_norm=True,
    ),
    ScaleInfo(
        name="l2_softmax",
        title="given norm of the feature, norm of the prototype, and a bias",
        formula="s_j = α·‖W_j‖, + b_j",
        parameters=named(
            ParameterInfo(
                name="alpha",
                unit="dimensionless",
                default=16.0,
                minimum=0.0,
                minimum_included=False,
                maximum=1e4,
                plausible=(8.0, 64.0),
                meaning="α, the norm that every feature is given",
            )
        ),
        options={},
        adaptive=True,
        sets_itself=False,
        reads_norm=True,
    ),
    ScaleInfo(
        name="adacos_fixed",
        title="fixed AdaCos scale",
        formula="s = √2·log(C − 1)",
        parameters={},
        options={},
        adaptive=False,
        sets_itself=True,
    ),
    ScaleInfo(
        name="adacos_dynamic",
        title="dynamic AdaCos scale",
        formula="s_t = log B_avg(s_{t−1}) / cos(min(π/4, θ_med)),  s_0 = √2·log(C − 1)",
        parameters={},
        options={},
        adaptive=True,
        sets_itself=True,
    ),
    ScaleInfo(
        name="adacos_capped",
        title="dynamic AdaCos scale with a ceiling",
        formula="s_t = min(log B_avg(s_{t−1}) / cos(min(π/4, θ_med)), cap·√2·log(C − 1))",
        parameters=named(_CAP),
        options={},
        adaptive=True,
        sets_itself=True,
    ),
    ScaleInfo(
        name="adacos_geometric",
        title="dynamic AdaCos scale of the geometric mean of B, with a ceiling",
        formula="s_t = min((1/N)·Σ_i log B_i(s_{t−1}) / cos(min(π/4, θ_med)), cap·√2·log(C − 1))",
        parameters=named(_CAP),
        options={},
        adaptive=True,
        sets_itself=True,
    ),
    ScaleInfo(
        name="adacos_ema",
        title="dynamic AdaCos scale of moving averages, with a ceiling",
        formula="s_t = min(ℓ_t / cos θ̄_t, cap·√2·log(C − 1)),  ℓ, θ̄ averages of log B_avg(s_{t−1}), min(π/4, θ_med)",
        parameters=named(_MOMENTUM, _CAP),
        options={},
        adaptive=True,
        sets_itself=True,
    ),
)
"""The scales a head can be built of, by name."""
