"""CosFace's bounds, NormFace's floor of the loss and AdaCos's rule, held against what trials did."""

from hpstudy.analysis.audit._audit import Audit, Finding
from hpstudy.analysis.audit._below_bound import READ_AT, below_bound
from hpstudy.analysis.audit._best_scales import BEST_LISTED, best_scales
from hpstudy.analysis.audit._bounds import bound_audit
from hpstudy.analysis.audit._convergence import (
    CONVERGED,
    POSTERIORS,
    convergence,
    convergence_fit,
    convergence_shares,
    has_plain_scale,
    posterior_tag,
    scale_bounds,
)
from hpstudy.analysis.audit._joint import JOINT_REACHES, joint_audit, joint_findings, joint_reach
from hpstudy.analysis.audit._loss_floor import floor_at, floor_findings, loss_floor, trials_at_one
from hpstudy.analysis.audit._margin_audit import margin_curve, margin_drops, margin_points
from hpstudy.analysis.audit._margin_drop import MarginDrop, fit_drop, isotonic_curve
from hpstudy.analysis.audit._margin_scores import margin_score_findings, margin_scores
from hpstudy.analysis.audit._planes import Plane, angle_shares, loss_reads_norm, merged_prototypes
from hpstudy.analysis.audit._premises import adacos_premises, premise_courses
from hpstudy.analysis.audit._scale_audit import LISTED, OWN_SCALE, scale_audit
from hpstudy.analysis.audit._scale_findings import posterior_text, scale_findings
from hpstudy.analysis.audit._self_check import self_checks
from hpstudy.analysis.audit._stability import (
    CEILING,
    NOISE_COSINE,
    PUBLISHED,
    RESTS,
    RUNS_AWAY,
    dynamic_rule,
    stability_agreement,
    stability_map,
)
from hpstudy.analysis.audit._threshold import Threshold, threshold

__all__ = [
    "BEST_LISTED",
    "CEILING",
    "CONVERGED",
    "JOINT_REACHES",
    "LISTED",
    "NOISE_COSINE",
    "OWN_SCALE",
    "POSTERIORS",
    "PUBLISHED",
    "READ_AT",
    "RESTS",
    "RUNS_AWAY",
    "Audit",
    "Finding",
    "MarginDrop",
    "Plane",
    "Threshold",
    "adacos_premises",
    "angle_shares",
    "below_bound",
    "best_scales",
    "bound_audit",
    "convergence",
    "convergence_fit",
    "convergence_shares",
    "dynamic_rule",
    "fit_drop",
    "floor_at",
    "floor_findings",
    "has_plain_scale",
    "isotonic_curve",
    "joint_audit",
    "joint_findings",
    "joint_reach",
    "loss_floor",
    "loss_reads_norm",
    "margin_curve",
    "margin_drops",
    "margin_points",
    "margin_score_findings",
    "margin_scores",
    "merged_prototypes",
    "posterior_tag",
    "posterior_text",
    "premise_courses",
    "scale_audit",
    "scale_bounds",
    "scale_findings",
    "self_checks",
    "stability_agreement",
    "stability_map",
    "threshold",
    "trials_at_one",
]
