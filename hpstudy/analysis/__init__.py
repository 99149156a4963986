"""From the record of a study to its answers: frames in, frames and words out.

Everything that a report prints is computed here, so that it can be tested, exported and read without drawing anything.
"""

from hpstudy.analysis._arms import ArmKind, arm_kinds, conditions, margin_of, margin_unit, sets_own_scale
from hpstudy.analysis._bounds import bound_audit
from hpstudy.analysis._comparisons import confirm_by_seed, confirm_summary, paired_comparisons
from hpstudy.analysis._components import confirm_scores, variance_components
from hpstudy.analysis._cost import cost_table, divergences
from hpstudy.analysis._equivalence import equivalence_power, establishable_margin, seeds_for_equivalence
from hpstudy.analysis._facts import StudyFacts
from hpstudy.analysis._metrics import MetricName, chance_level, metric_name, scores
from hpstudy.analysis._power import detectable_difference, seeds_needed
from hpstudy.analysis._price import CONFIRMED, break_even, expected_best
from hpstudy.analysis._price_words import interval_text, price_headline
from hpstudy.analysis._rates import clopper_pearson_interval, divergence_rates, improvement, wilson_interval
from hpstudy.analysis._resampling import bca_interval, sign_flip_interval, sign_flip_p
from hpstudy.analysis._search import search_curve, search_points, settings_table
from hpstudy.analysis._searches import RUNNING_BEST
from hpstudy.analysis._statistics import Estimate, Interval, PairedTest, estimate, holm, paired_test, t_interval
from hpstudy.analysis._trajectories import decimate, seed_band
from hpstudy.analysis._verdict import Verdict, confirm_metric, verdict
from hpstudy.analysis._words import hours_text, listed, p_text, points_text, scale_text, value_text

__all__ = [
    "CONFIRMED",
    "RUNNING_BEST",
    "ArmKind",
    "Estimate",
    "Interval",
    "MetricName",
    "PairedTest",
    "StudyFacts",
    "Verdict",
    "arm_kinds",
    "bca_interval",
    "bound_audit",
    "break_even",
    "chance_level",
    "clopper_pearson_interval",
    "conditions",
    "confirm_by_seed",
    "confirm_metric",
    "confirm_scores",
    "confirm_summary",
    "cost_table",
    "decimate",
    "detectable_difference",
    "divergence_rates",
    "divergences",
    "equivalence_power",
    "establishable_margin",
    "estimate",
    "expected_best",
    "holm",
    "hours_text",
    "improvement",
    "interval_text",
    "listed",
    "margin_of",
    "margin_unit",
    "metric_name",
    "p_text",
    "paired_comparisons",
    "paired_test",
    "points_text",
    "price_headline",
    "scale_text",
    "scores",
    "search_curve",
    "search_points",
    "seed_band",
    "seeds_for_equivalence",
    "seeds_needed",
    "sets_own_scale",
    "settings_table",
    "sign_flip_interval",
    "sign_flip_p",
    "t_interval",
    "value_text",
    "variance_components",
    "verdict",
    "wilson_interval",
]
