"""The named losses, one row each."""

from collections.abc import Mapping
from dataclasses import replace

from hpstudy.catalog import _papers as papers
from hpstudy.catalog._criteria import CRITERIA
from hpstudy.catalog._margins import MARGINS
from hpstudy.catalog._scales import SCALES, S
from hpstudy.catalog._tables import by_name, named
from hpstudy.catalog._types import LossInfo, OptionInfo, Paper, ParameterInfo


def _loss(
    *,
    name: str,
    title: str,
    paper: Paper,
    formula: str,
    margin: str,
    scale: str,
    bound: str,
    options: Mapping[str, str] | None = None,
    **overrides: ParameterInfo,
) -> LossInfo:
    """A margin and a scale; `overrides` replaces parameters of the parts by name, `options` their defaults."""
    parts = (SCALES[scale], MARGINS[margin])
    parameters = named(*(parameter for part in parts for parameter in part.parameters.values()))
    choices = named(*(option for part in parts for option in part.options.values()))
    assert overrides.keys() <= parameters.keys(), f"{name} overrides what its parts lack"
    return LossInfo(
        name=name,
        title=title,
        paper=paper,
        formula=formula,
        margin=margin,
        scale=scale,
        criterion="",
        parameters=parameters | overrides,
        options=choices | {key: _with_default(choices[key], value) for key, value in (options or {}).items()},
        bound=bound,
        adaptive=SCALES[scale].adaptive,
        norm_invariant=not any(part.reads_norm for part in parts),
    )


def _with_default(option: OptionInfo, default: str) -> OptionInfo:
    return replace(option, default=option.check(default))


def _criterion(name: str, bound: str) -> LossInfo:
    """A criterion alone."""
    info = CRITERIA[name]
    assert info.alone, f"{name} trains nothing by itself"
    return LossInfo(
        name=name,
        title=info.title,
        paper=info.paper,
        formula=f"L = {info.formula}",
        margin="",
        scale="",
        criterion=name,
        parameters=info.parameters,
        options=info.options,
        bound=bound,
        adaptive=False,
        norm_invariant=True,
    )


_NO_BOUND = "none of its own"
_ARCFACE_BOUND = (
    "by CosFace's argument: s ≥ ln((C−1)·P/(1−P)) / (cos m + 1/(C−1)); m ≤ the least angle of two prototypes"
)
_COSFACE_BOUND = "s ≥ (C−1)/C·ln((C−1)·P_W/(1−P_W)) (eq. 6); 0 ≤ m ≤ 1 − max_{i≠j} W_i·W_j (eq. 7)"
_SPHEREFACE_BOUND = (
    "m ≥ 2 + √3 (two classes), m ≥ 3 (many): every angle inside a class is below every one between classes"
)
_ADACOS_BOUND = "without a ceiling, collapsed, balanced, C ≤ K+1: s → (C−1)/C·log(C−1), CosFace's eq. 6 at P_W = 1/2"
_SOFTMAX = "L = −log( e^{z_y} / Σ_j e^{z_j} )"

LOSSES: Mapping[str, LossInfo] = by_name(
    _loss(
        name="normface",
        title="NormFace",
        paper=papers.NORMFACE,
        formula="L = −log( e^{s cos θ_y} / Σ_j e^{s cos θ_j} )",
        margin="none",
        scale="fixed",
        s=replace(S, default=20.0, plausible=(2.0, 64.0)),
        bound="L ≥ log(1 + (C−1)·e^{−sC/(C−1)}) on a balanced training set (Proposition 2)",
    ),
    _loss(
        name="cosface",
        title="CosFace",
        paper=papers.COSFACE,
        formula="L = −log( e^{s(cos θ_y − m)} / (e^{s(cos θ_y − m)} + Σ_{j≠y} e^{s cos θ_j}) )",
        margin="additive_cosine",
        scale="fixed",
        bound=_COSFACE_BOUND,
    ),
    _loss(
        name="arcface",
        title="ArcFace",
        paper=papers.ARCFACE,
        formula="L = −log( e^{s cos(θ_y + m)} / (e^{s cos(θ_y + m)} + Σ_{j≠y} e^{s cos θ_j}) )",
        margin="additive_angle",
        scale="fixed",
        bound=_ARCFACE_BOUND,
    ),
    _loss(
        name="sphereface",
        title="SphereFace",
        paper=papers.SPHEREFACE,
        formula="L = −log( e^{s ψ(θ_y)} / (e^{s ψ(θ_y)} + Σ_{j≠y} e^{s cos θ_j}) ), features normalised",
        margin="multiplicative_angle",
        scale="fixed",
        bound=_SPHEREFACE_BOUND,
    ),
    _loss(
        name="adacos_fixed",
        title="AdaCos (fixed)",
        paper=papers.ADACOS,
        formula="L = −log( e^{s cos θ_y} / Σ_j e^{s cos θ_j} ),  s = √2·log(C − 1)",
        margin="none",
        scale="adacos_fixed",
        bound="nothing to choose: s = √2·log(C−1) is CosFace's eq. 6 at P_W = 1/(1 + (C−1)^{1 − √2·C/(C−1)})",
    ),
    _loss(
        name="adacos",
        title="AdaCos (dynamic)",
        paper=papers.ADACOS,
        formula="L = −log( e^{s_t cos θ_y} / Σ_j e^{s_t cos θ_j} ),  s_t = log B_avg / cos(min(π/4, θ_med))",
        margin="none",
        scale="adacos_dynamic",
        bound="collapsed, balanced, C ≤ K+1: s → (C−1)/C·log(C−1), CosFace's eq. 6 at P_W = 1/2; loss → ln 2",
    ),
    _loss(
        name="softmax",
        title="softmax",
        paper=papers.COSFACE,
        formula=f"{_SOFTMAX},  z_j = W_j·x + b_j",
        margin="none",
        scale="softmax",
        bound="none: the norms of x and W grow as they like",
    ),
    _loss(
        name="modified_softmax",
        title="modified softmax",
        paper=papers.SPHEREFACE,
        formula=f"{_SOFTMAX},  z_j = ‖x‖·cos θ_j",
        margin="none",
        scale="feature_norm",
        bound="none: the norm of x grows as it likes",
    ),
    _loss(
        name="a_softmax",
        title="A-Softmax (SphereFace as published)",
        paper=papers.SPHEREFACE,
        formula=f"{_SOFTMAX},  z_y = ‖x‖·(λ·cos θ_y + ψ(θ_y))/(1 + λ),  z_j = ‖x‖·cos θ_j",
        margin="annealed_multiplicative_angle",
        scale="feature_norm",
        bound=_SPHEREFACE_BOUND,
    ),
    _loss(
        name="l2_softmax",
        title="L2-softmax",
        paper=papers.L2_SOFTMAX,
        formula=f"{_SOFTMAX},  z_j = W_j·(α·x/‖x‖) + b_j",
        margin="none",
        scale="l2_softmax",
        bound="α ≥ ln(P·(C−2)/(1−P))",
    ),
    _loss(
        name="normface_learned",
        title="NormFace with learned scale",
        paper=papers.NORMFACE,
        formula="L = −log( e^{s cos θ_y} / Σ_j e^{s cos θ_j} ),  s learned",
        margin="none",
        scale="learned",
        bound="L ≥ log(1 + (C−1)·e^{−sC/(C−1)}) on a balanced training set (Proposition 2)",
    ),
    _loss(
        name="learned_temperature",
        title="learned temperature",
        paper=papers.CLIP,
        formula="L = −log( e^{s cos θ_y} / Σ_j e^{s cos θ_j} ),  s = e^t, t learned",
        margin="none",
        scale="learned_temperature",
        bound="L ≥ log(1 + (C−1)·e^{−sC/(C−1)}) on a balanced training set (NormFace, Proposition 2)",
    ),
    _loss(
        name="am_softmax",
        title="AM-softmax",
        paper=papers.AM_SOFTMAX,
        formula="CosFace's, L = −log( e^{s(cos θ_y − m)} / (e^{s(cos θ_y − m)} + Σ_{j≠y} e^{s cos θ_j}) ), at s = 30",
        margin="additive_cosine",
        scale="fixed",
        s=replace(S, default=30.0),
        bound=_COSFACE_BOUND,
    ),
    _loss(
        name="combined",
        title="combined margin",
        paper=papers.ARCFACE,
        formula=f"{_SOFTMAX},  z_y = s·(cos(m1·θ_y + m2) − m3),  z_j = s·cos θ_j",
        margin="combined",
        scale="fixed",
        bound=_NO_BOUND,
    ),
    _loss(
        name="sphereface_r1",
        title="SphereFace-R, first form",
        paper=papers.SPHEREFACE_R,
        formula=f"{_SOFTMAX},  z_y = s·cos(min(m·θ_y, π)),  z_j = s·cos θ_j",
        margin="multiplicative_angle",
        scale="fixed",
        options={"gradient": "detached", "past_pi": "clamp"},
        s=replace(S, default=30.0),
        m=replace(MARGINS["multiplicative_angle"].parameters["m"], default=1.5),
        bound=_SPHEREFACE_BOUND,
    ),
    _loss(
        name="sphereface_r2",
        title="SphereFace-R, second form",
        paper=papers.SPHEREFACE_R,
        formula=f"{_SOFTMAX},  z_y = s·cos θ_y,  z_j = s·cos(θ_j/m)",
        margin="divided_angle",
        scale="fixed",
        options={"gradient": "detached"},
        s=replace(S, default=30.0),
        bound=_NO_BOUND,
    ),
    _loss(
        name="adacos_ema",
        title="AdaCos (dynamic, averaged)",
        paper=papers.ADACOS,
        formula="AdaCos's with moving averages of log B_avg and θ_med, s_t ≤ cap·√2·log(C − 1)",
        margin="none",
        scale="adacos_ema",
        bound=_ADACOS_BOUND,
    ),
    _loss(
        name="adacos_geometric",
        title="AdaCos (dynamic, geometric mean)",
        paper=papers.ADACOS,
        formula="AdaCos's with the geometric mean of B_i, s_t ≤ cap·√2·log(C − 1)",
        margin="none",
        scale="adacos_geometric",
        bound=_ADACOS_BOUND,
    ),
    _loss(
        name="adacos_capped",
        title="AdaCos (dynamic, capped)",
        paper=papers.ADACOS,
        formula="AdaCos's with s_t ≤ cap·√2·log(C − 1)",
        margin="none",
        scale="adacos_capped",
        bound=_ADACOS_BOUND,
    ),
    _loss(
        name="adaface",
        title="AdaFace",
        paper=papers.ADAFACE,
        formula=f"{_SOFTMAX},  z_y = s·(cos(θ_y − m·ẑ) − (m + m·ẑ)),  ẑ = clip((‖x‖ − μ)/(σ + 0.001)·h, −1, 1)",
        margin="adaface",
        scale="fixed",
        bound="CosFace's at ẑ = 0, ArcFace's at ẑ = −1",
    ),
    _loss(
        name="magface",
        title="MagFace",
        paper=papers.MAGFACE,
        formula=f"{_SOFTMAX} + λ_g·(a/u_a² + 1/a),  z_y = s·cos(θ_y + m(a)),  a = clip(‖x‖, l_a, u_a)",
        margin="magface",
        scale="fixed",
        bound=_ARCFACE_BOUND,
    ),
    _loss(
        name="curricularface",
        title="CurricularFace",
        paper=papers.CURRICULARFACE,
        formula=f"{_SOFTMAX},  z_y = s·cos(θ_y + m),  z_j = s·cos θ_j·(t + cos θ_j) where cos θ_j > cos(θ_y + m)",
        margin="curricular",
        scale="fixed",
        bound=_ARCFACE_BOUND,
    ),
    _loss(
        name="mv_am_softmax",
        title="MV-AM-Softmax",
        paper=papers.MV_SOFTMAX,
        formula=f"{_SOFTMAX},  z_y = s·(cos θ_y − m),  z_j = s·((1+t)·cos θ_j + t) where cos θ_j > cos θ_y − m",
        margin="mv_cosine",
        scale="fixed",
        s=replace(S, default=32.0),
        bound=_COSFACE_BOUND,
    ),
    _loss(
        name="mv_arc_softmax",
        title="MV-Arc-Softmax",
        paper=papers.MV_SOFTMAX,
        formula=f"{_SOFTMAX},  z_y = s·cos(θ_y + m),  z_j = s·((1+t)·cos θ_j + t) where cos θ_j > cos(θ_y + m)",
        margin="mv_angle",
        scale="fixed",
        s=replace(S, default=32.0),
        m=replace(MARGINS["mv_angle"].parameters["m"], default=0.35),
        bound=_ARCFACE_BOUND,
    ),
    _loss(
        name="circle",
        title="Circle loss (class level)",
        paper=papers.CIRCLE,
        formula=f"{_SOFTMAX},  z_y = s·α_y·(cos θ_y − 1 + m),  z_j = s·α_j·(cos θ_j − m),  α without gradient",
        margin="circle",
        scale="fixed",
        s=replace(S, default=256.0, plausible=(16.0, 512.0), meaning="γ in the paper"),
        bound="the boundary is (1 − cos θ_y)² + cos² θ_j = 2·m²",
    ),
    _criterion("c_contrastive", _NO_BOUND),
    _criterion("c_triplet", _NO_BOUND),
    _criterion("p2sgrad", "nothing to choose: neither s nor m"),
    _criterion("sphereface2", _NO_BOUND),
)
"""Every named loss, by name."""
