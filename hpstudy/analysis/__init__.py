"""From the record of a study to its answers: frames in, frames and words out.

Everything that a report prints is computed here, so that it can be tested, exported and read without drawing anything.
"""

from hpstudy.analysis._arms import ArmKind, arm_kinds, conditions, margin_of, margin_unit, sets_own_scale
from hpstudy.analysis._bounds import bound_audit
from hpstudy.analysis._comparisons import confirm_by_seed, confirm_summary, paired_comparisons
from hpstudy.analysis._cost import cost_table, divergences
from hpstudy.analysis._facts import StudyFacts
from hpstudy.analysis._metrics import MetricName, chance_level, metric_name, scores
from hpstudy.analysis._search import search_curve, search_points, settings_table
from hpstudy.analysis._statistics import Interval, PairedTest, holm, paired_test, seeds_needed, t_interval
from hpstudy.analysis._trajectories import decimate, seed_band
from hpstudy.analysis._verdict import Verdict, confirm_metric, verdict
from hpstudy.analysis._words import hours_text, listed, p_text, points_text, scale_text, value_text

__all__ = [
    "ArmKind",
    "Interval",
    "MetricName",
    "PairedTest",
    "StudyFacts",
    "Verdict",
    "arm_kinds",
    "bound_audit",
    "chance_level",
    "conditions",
    "confirm_by_seed",
    "confirm_metric",
    "confirm_summary",
    "cost_table",
    "decimate",
    "divergences",
    "holm",
    "hours_text",
    "listed",
    "margin_of",
    "margin_unit",
    "metric_name",
    "p_text",
    "paired_comparisons",
    "paired_test",
    "points_text",
    "scale_text",
    "scores",
    "search_curve",
    "search_points",
    "seed_band",
    "seeds_needed",
    "sets_own_scale",
    "settings_table",
    "t_interval",
    "value_text",
    "verdict",
]
