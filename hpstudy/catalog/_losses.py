"""The named losses, one row each."""

from collections.abc import Mapping
from dataclasses import replace

from hpstudy.catalog import _papers as papers
from hpstudy.catalog._parts import MARGINS, SCALES, S
from hpstudy.catalog._tables import by_name, named
from hpstudy.catalog._types import LossInfo, Paper, ParameterInfo


def _loss(
    *,
    name: str,
    title: str,
    paper: Paper,
    formula: str,
    margin: str,
    scale: str,
    bound: str,
    **overrides: ParameterInfo,
) -> LossInfo:
    """One row of the family; `overrides` replaces parameters of the parts by name."""
    parts = (SCALES[scale], MARGINS[margin])
    parameters = named(*(parameter for part in parts for parameter in part.parameters.values()))
    assert overrides.keys() <= parameters.keys(), f"{name} overrides what its parts lack"
    return LossInfo(
        name=name,
        title=title,
        paper=paper,
        formula=formula,
        margin=margin,
        scale=scale,
        parameters=parameters | overrides,
        options=named(*(option for part in parts for option in part.options.values())),
        bound=bound,
        adaptive=SCALES[scale].adaptive,
    )


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
        bound="s ≥ (C−1)/C·ln((C−1)·P_W/(1−P_W)) (eq. 6); 0 ≤ m ≤ 1 − max_{i≠j} W_i·W_j (eq. 7)",
    ),
    _loss(
        name="arcface",
        title="ArcFace",
        paper=papers.ARCFACE,
        formula="L = −log( e^{s cos(θ_y + m)} / (e^{s cos(θ_y + m)} + Σ_{j≠y} e^{s cos θ_j}) )",
        margin="additive_angle",
        scale="fixed",
        bound="by CosFace's argument: s ≥ ln((C−1)·P/(1−P)) / (cos m + 1/(C−1)); m ≤ the least angle of two prototypes",
    ),
    _loss(
        name="sphereface",
        title="SphereFace",
        paper=papers.SPHEREFACE,
        formula="L = −log( e^{s ψ(θ_y)} / (e^{s ψ(θ_y)} + Σ_{j≠y} e^{s cos θ_j}) ), features normalised",
        margin="multiplicative_angle",
        scale="fixed",
        bound="m ≥ 2 + √3 (two classes), m ≥ 3 (many): every angle inside a class is below every one between classes",
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
)
"""Every named loss, by name."""
