"""From the record of a study to its answers: frames in, frames and words out.

Everything that a report prints is computed here, so that it can be tested, exported and read without drawing anything.
"""

from hpstudy.analysis._across import NO_TRIAL, Across, across
from hpstudy.analysis._angles import STAGES, angle_histograms
from hpstudy.analysis._arms import ArmKind, arm_kinds, conditions, margin_of, margin_unit, sets_own_scale
from hpstudy.analysis._between import IDENTICAL, PAIRED, arms_across, between_studies, settings_words
from hpstudy.analysis._cautions import cautions
from hpstudy.analysis._comparability import differing_keys, shared_facts
from hpstudy.analysis._compared import UNKNOWN, ComparedStudy, Place
from hpstudy.analysis._comparisons import confirm_by_seed, confirm_summary, paired_comparisons
from hpstudy.analysis._components import confirm_scores, variance_components
from hpstudy.analysis._cost import cost_table, divergences
from hpstudy.analysis._deviations import deviations
from hpstudy.analysis._equivalence import equivalence_power, establishable_margin, seeds_for_equivalence
from hpstudy.analysis._facts import StudyFacts
from hpstudy.analysis._fidelity import ALL, CONFIRM, SURVIVORS, fidelity, stopping_rungs, tau_interval
from hpstudy.analysis._identities import identity_errors, identity_intervals
from hpstudy.analysis._importance import HIGHER, UNEXPLAINED, importance
from hpstudy.analysis._meta_analysis import random_effects
from hpstudy.analysis._metrics import MetricName, chance_level, metric_name, scores
from hpstudy.analysis._pareto import pareto_front
from hpstudy.analysis._pooled import BEST, merged_studies, pooled_differences
from hpstudy.analysis._power import detectable_difference, seeds_needed
from hpstudy.analysis._price import CONFIRMED, break_even, expected_best
from hpstudy.analysis._price_words import interval_text, price_headline
from hpstudy.analysis._profiles import control_arm, performance_profiles, pooled_summary
from hpstudy.analysis._protocol import protocol_checks
from hpstudy.analysis._ranks import rank_comparison
from hpstudy.analysis._rates import clopper_pearson_interval, divergence_rates, improvement, wilson_interval
from hpstudy.analysis._replicates import Evaluations
from hpstudy.analysis._resampling import bca_interval, sign_flip_interval, sign_flip_p
from hpstudy.analysis._response import Response, early_responses, fit_responses
from hpstudy.analysis._search import search_curve, search_points, settings_table
from hpstudy.analysis._searches import RUNNING_BEST
from hpstudy.analysis._statistics import Estimate, Interval, PairedTest, estimate, holm, paired_test, t_interval
from hpstudy.analysis._surface import Surface, surface_summary, surfaces
from hpstudy.analysis._survey_verdict import self_check_line, survey_verdict
from hpstudy.analysis._trajectories import decimate, first_crossing, seed_band
from hpstudy.analysis._verdict import Verdict, confirm_metric, verdict
from hpstudy.analysis._words import hours_text, listed, p_text, points_text, scale_text, value_text
from hpstudy.analysis.audit import Audit, Finding, bound_audit

__all__ = [
    "ALL",
    "BEST",
    "CONFIRM",
    "CONFIRMED",
    "HIGHER",
    "IDENTICAL",
    "NO_TRIAL",
    "PAIRED",
    "RUNNING_BEST",
    "STAGES",
    "SURVIVORS",
    "UNEXPLAINED",
    "UNKNOWN",
    "Across",
    "ArmKind",
    "Audit",
    "ComparedStudy",
    "Estimate",
    "Evaluations",
    "Finding",
    "Interval",
    "MetricName",
    "PairedTest",
    "Place",
    "Response",
    "StudyFacts",
    "Surface",
    "Verdict",
    "across",
    "angle_histograms",
    "arm_kinds",
    "arms_across",
    "bca_interval",
    "between_studies",
    "bound_audit",
    "break_even",
    "cautions",
    "chance_level",
    "clopper_pearson_interval",
    "conditions",
    "confirm_by_seed",
    "confirm_metric",
    "confirm_scores",
    "confirm_summary",
    "control_arm",
    "cost_table",
    "decimate",
    "detectable_difference",
    "deviations",
    "differing_keys",
    "divergence_rates",
    "divergences",
    "early_responses",
    "equivalence_power",
    "establishable_margin",
    "estimate",
    "expected_best",
    "fidelity",
    "first_crossing",
    "fit_responses",
    "holm",
    "hours_text",
    "identity_errors",
    "identity_intervals",
    "importance",
    "improvement",
    "interval_text",
    "listed",
    "margin_of",
    "margin_unit",
    "merged_studies",
    "metric_name",
    "p_text",
    "paired_comparisons",
    "paired_test",
    "pareto_front",
    "performance_profiles",
    "points_text",
    "pooled_differences",
    "pooled_summary",
    "price_headline",
    "protocol_checks",
    "random_effects",
    "rank_comparison",
    "scale_text",
    "scores",
    "search_curve",
    "search_points",
    "seed_band",
    "seeds_for_equivalence",
    "seeds_needed",
    "self_check_line",
    "sets_own_scale",
    "settings_table",
    "settings_words",
    "shared_facts",
    "sign_flip_interval",
    "sign_flip_p",
    "stopping_rungs",
    "surface_summary",
    "surfaces",
    "survey_verdict",
    "t_interval",
    "tau_interval",
    "value_text",
    "variance_components",
    "verdict",
    "wilson_interval",
]
