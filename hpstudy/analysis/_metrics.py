"""Names and scales of metrics, and what a trial scores when it diverged."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

_TAR = re.compile(r"tar_at_far_(?P<mantissa>[\d.]+)e-?(?P<exponent>\d+)$")
_COSTS = {
    "cost/wall_s": ("wall time of a trial", "s"),
    "cost/cpu_s": ("CPU time of a trial", "s"),
    "cost/gpu_s": ("GPU time of a trial", "s"),
    "cost/peak_memory_mb": ("peak memory of a trial", "MiB"),
}
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True, slots=True)
class MetricName:
    """How a metric is written for a reader: its title, and the factor and unit of its values."""

    title: str
    factor: float
    """Multiplies the stored value before it is shown."""
    unit: str
    """Unit of a shown value, empty for a plain number."""
    difference_unit: str
    """Unit of a shown difference."""

    def value(self, number: float) -> str:
        """A value as text, e.g. `87.3 %`."""
        return _unit(_number(number * self.factor, self._digits), self.unit)

    def difference(self, number: float) -> str:
        """A difference as text with its sign, e.g. `+1.2 points`."""
        return _unit(_number(number * self.factor, self._digits, sign=True), self.difference_unit)

    def magnitude(self, number: float) -> str:
        """A size of a difference as text, without a sign, e.g. `1.0 points`."""
        return _unit(_number(number * self.factor, self._digits), self.difference_unit)

    def interval(self, low: float, high: float, *, sign: bool = False) -> str:
        """An interval as text without its unit, e.g. `85.0 to 89.6`."""
        ends = (_number(end * self.factor, self._digits, sign=sign) for end in (low, high))
        return " to ".join(ends)

    @property
    def is_rate(self) -> bool:
        """Whether a value is a share, between 0 and 1."""
        return self.factor == 100

    @property
    def _digits(self) -> int:
        return 1 if self.unit else 3


def _number(value: float, digits: int, *, sign: bool = False) -> str:
    if not np.isfinite(value):
        return "–"
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    zero = text.lstrip("+-").strip("0.") == ""
    return text.lstrip("+-") if zero else text.replace("-", "−")


def _unit(text: str, unit: str) -> str:
    return f"{text}\N{NO-BREAK SPACE}{unit}" if unit and text != "–" else text


def metric_name(metric: str) -> MetricName:
    """The reader's name of a column with a metric or a cost, such as `test/tar_at_far_1e-3`."""
    if metric in _COSTS:
        title, unit = _COSTS[metric]
        return MetricName(title, 1.0, unit, unit)
    name = metric.split("/", 1)[-1]
    if match := _TAR.search(name):
        mantissa, exponent = match["mantissa"], match["exponent"].translate(_SUPERSCRIPTS)
        far = f"10⁻{exponent}" if mantissa == "1" else f"{mantissa}·10⁻{exponent}"
        return MetricName(f"TAR at FAR {far}", 100.0, "%", "points")
    if "accuracy" in name or name.startswith("rank"):
        return MetricName(name.replace("_", " "), 100.0, "%", "points")
    return MetricName(name.replace("_", " "), 1.0, "", "")


def chance_level(metric: str) -> float:
    """What guessing scores: the false accept rate for TAR@FAR, 1/2 for pair accuracy, NaN where it isn't known."""
    name = metric.split("/", 1)[-1]
    if match := _TAR.search(name):
        return float(match["mantissa"]) * 10.0 ** -int(match["exponent"])
    return 0.5 if "accuracy" in name else float("nan")


def scores(trials: pd.DataFrame, metric: str) -> pd.Series:
    """Value of `metric` for each trial, with divergence counted as an outcome.

    Completed trials score what they measured, diverged trials score at chance (`chance_level`, else the trial's own
    `objective`, which is chance for it); pruned and failed trials have no score (NaN).
    """
    measured = trials[metric] if metric in trials else pd.Series(np.nan, index=trials.index)
    chance = chance_level(metric)
    fallback = trials["objective"] if np.isnan(chance) else pd.Series(chance, index=trials.index)
    values = measured.where(trials["status"] == "completed", fallback.where(trials["status"] == "diverged"))
    return values.astype(float).replace([np.inf, -np.inf], np.nan).rename("score")
