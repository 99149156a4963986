"""What the objective does over the values that an arm searched, as its trials show it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError, cKDTree
from scipy.special import expit, logit

from hpstudy.analysis._arms import KEYS
from hpstudy.analysis._box import SearchedValue, Values, searched_values
from hpstudy.analysis._gaussian_process import GaussianProcess, fit_gaussian_process
from hpstudy.analysis._metrics import chance_level, metric_name
from hpstudy.analysis._search import search_points
from hpstudy.spec import SearchRange

_LEAST_Q2 = 0.2

_ENDED = ("completed", "pruned", "diverged")
_ALMOST_ONE = 1 - 1e-4
_FROM_PRIOR = 0.8
"""A standard deviation above this share of the prior's says that the surface is not known there."""
_MOST_HULL_VALUES, _MOST_READ = 3, 200

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """A Gaussian process through the completed trials of one arm in one condition, all its searches pooled.

    Rates are fitted as logits, so that no prediction leaves 0 to 100 %; what the methods give is in the objective's own
    scale. Points are rows of positions in the unit cube (`SearchedValue.to_unit`).
    """

    condition: str
    arm: str
    values: tuple[SearchedValue, ...]
    """What was searched, s and m first."""
    n: int
    """Completed trials."""
    q2: float
    """1 − (squared error of each trial predicted from the others) / (the same by their mean); NaN with too few."""
    reason: str
    """Why there is no surface; empty if there is one."""
    process: GaussianProcess | None
    is_rate: bool
    ended: Values
    """(N, d) positions of every trial that completed, was pruned or diverged."""
    status: NDArray[np.str_]
    """(N,) how each of them ended."""
    epoch: int = 0
    """The epoch whose objective is fitted; 0 is the end."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the searched values."""
        return tuple(value.name for value in self.values)

    def mean(self, points: Values) -> Values:
        """The objective at points; of a rate, the median of what the process holds possible."""
        return self.shown(self._fitted.mean(points))

    def interval(self, points: Values) -> tuple[Values, Values]:
        """Pointwise 95 % interval of the surface, without the noise of a trial."""
        mean, half = self._fitted.mean(points), 1.96 * self._fitted.std(points)
        return self.shown(mean - half), self.shown(mean + half)

    def shown(self, fitted: Values) -> Values:
        """Fitted values on the objective's scale."""
        return np.asarray(expit(fitted)) if self.is_rate else fitted

    def clearance(self, points: Values) -> Values:
        """How much farther off the nearest trial that diverged is than the nearest that didn't; ∞ if none diverged."""
        diverged = self.status == "diverged"
        if not diverged.any() or diverged.all():
            return np.full(len(points), -np.inf if diverged.any() else np.inf)
        return np.asarray(_distance(self.ended[diverged], points) - _distance(self.ended[~diverged], points))

    def known(self, points: Values) -> Flags:
        """Where the surface says more than its prior.

        Not where its standard deviation is nearly the prior's, not where the nearest trial diverged, and, outside the
        hull of the completed trials, not where the nearest trial was pruned: what it would have come to isn't known.
        """
        nearest = self.status[cKDTree(self.ended).query(points)[1]]
        reached = (nearest == "completed") | ((nearest == "pruned") & self._inside(points))
        sure = self._fitted.std(points) < _FROM_PRIOR * self._fitted.prior_std
        return np.asarray(reached & sure)

    @property
    def _fitted(self) -> GaussianProcess:
        assert self.process is not None, f"no surface: {self.reason}"
        return self.process

    def _inside(self, points: Values) -> Flags:
        """Whether points lie between completed trials: in their convex hull, which is not asked for in many values."""
        completed = self.ended[self.status == "completed"]
        if completed.shape[1] == 1:
            return np.asarray((points >= completed.min()) & (points <= completed.max())).ravel()
        if completed.shape[1] > _MOST_HULL_VALUES:
            return np.zeros(len(points), dtype=bool)
        try:
            faces = ConvexHull(completed).equations
        except QhullError:
            return np.zeros(len(points), dtype=bool)
        return np.asarray((points @ faces[:, :-1].T + faces[:, -1] <= 1e-9).all(axis=1))


def _distance(among: Values, points: Values) -> Values:
    return np.asarray(cKDTree(among).query(points)[0])


def fit_responses(
    trials: pd.DataFrame, objective: str, ranges: Mapping[str, Mapping[str, SearchRange]] | None = None
) -> list[Response]:
    """A response surface for each arm and condition whose search or grid varied something.

    Completed trials of the search alone enter the fit. Diverged ones don't: a cliff would bend a smooth surface for
    some way around it, so they mark off the ground next to them (`Response.known`). Pruned ones neither: the value at
    their stop is less than they might have reached. There is no surface, and `reason` says why, with fewer than four
    completed trials a searched value (six for one), and where it predicts no more of trials left out than pure noise
    would: Q² < 0.2, or < (1 + 2·values)/trials, which noise alone passes in one fit of twenty to one of ten.

    Args:
        trials: The record.
        objective: Metric of the search, whose values are in the column `objective`.
        ranges: The `search` section of each arm by its name; see `searched_values` for what is assumed without.
    """
    return _responses(trials, objective, ranges, 0)


def early_responses(
    trials: pd.DataFrame,
    epochs: Callable[[str], pd.DataFrame],
    objective: str,
    ranges: Mapping[str, Mapping[str, SearchRange]] | None = None,
    *,
    epoch: int,
) -> list[Response]:
    """The response surfaces of the objective at an epoch, of the searches in which some trial was pruned.

    Early stopping selects what is trained to the end. At its first rung every trial has a value, unless it diverged
    before, so that a surface there is of the whole box; it is of what that epoch can tell.

    Args:
        trials: The record.
        epochs: The per-epoch record of a trial; it may be empty, or raise KeyError or FileNotFoundError. Read for at
            most 200 trials of an arm and condition, evenly spaced.
        objective: Metric of the search.
        ranges: As for `fit_responses`.
        epoch: The first rung.
    """
    points = trials[trials["phase"].isin(["search", "grid"])]
    groups = [
        evenly(rows, _MOST_READ) for _, rows in points.groupby(KEYS, sort=False) if "pruned" in set(rows["status"])
    ]
    if not groups:
        return []
    kept = pd.concat(groups)
    values = {index: _value_at(epochs, str(trial_id), objective, epoch) for index, trial_id in kept["trial_id"].items()}
    reached = kept["status"].isin(["completed", "pruned"])
    kept = kept.assign(objective=pd.Series(values), status=kept["status"].mask(reached, "completed"))
    return _responses(kept, objective, ranges, epoch)


def evenly(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many rows, evenly spaced."""
    return rows if len(rows) <= most else rows.iloc[np.linspace(0, len(rows) - 1, most).astype(int)]


def objective_by_epoch(epochs: Callable[[str], pd.DataFrame], trial_id: str, objective: str) -> pd.Series:
    """A trial's objective at each epoch, as far as it is recorded and finite; empty where it isn't."""
    try:
        frame = epochs(trial_id)
    except (KeyError, FileNotFoundError):
        return pd.Series(dtype=float)
    if objective not in frame:
        return pd.Series(dtype=float)
    values = frame.drop_duplicates("epoch", keep="last").set_index("epoch")[objective].astype(float)
    return values[np.isfinite(values)]


def _value_at(epochs: Callable[[str], pd.DataFrame], trial_id: str, objective: str, epoch: int) -> float:
    return float(objective_by_epoch(epochs, trial_id, objective).get(epoch, np.nan))


def _responses(
    trials: pd.DataFrame, objective: str, ranges: Mapping[str, Mapping[str, SearchRange]] | None, epoch: int
) -> list[Response]:
    points = search_points(trials)
    return [
        _fit(str(condition), str(arm), rows, objective, (ranges or {}).get(str(arm)), epoch)
        for (condition, arm), rows in points.groupby(KEYS, sort=False)
        if searched_values(rows)
    ]


def _fit(
    condition: str, arm: str, rows: pd.DataFrame, objective: str, ranges: Mapping[str, SearchRange] | None, epoch: int
) -> Response:
    values = searched_values(rows, ranges)
    columns = [f"param/{value.name}" for value in values]
    told = rows["objective"].notna() | (rows["status"] == "diverged")
    rows = rows[rows["status"].isin(_ENDED) & rows[columns].notna().all(axis=1) & told]
    unit = np.column_stack([value.to_unit(rows[column]) for value, column in zip(values, columns, strict=True)])
    status = rows["status"].to_numpy(dtype=str)
    completed = status == "completed"
    is_rate, n = metric_name(objective).is_rate, int(completed.sum())
    scores = rows["objective"].to_numpy(dtype=float)[completed]
    reason, process, q2 = "", None, float("nan")
    if n < (least := max(6, 4 * len(values))):
        reason = f"{n} completed trial{'s' * (n != 1)}, and {least} are needed"
    elif np.ptp(scores) <= 1e-12 * np.abs(scores).max():
        reason = "all completed trials have the same value"
    else:
        process = fit_gaussian_process(unit[completed], _fitted_scale(scores, objective) if is_rate else scores)
        q2 = _q2(process, is_rate)
        if q2 < (enough := max(_LEAST_Q2, (1 + 2 * len(values)) / n)):
            reason = f"Q² = {q2:.2f}, and noise alone gives up to {enough:.2f}".replace("-", "−")
            process = None
    return Response(condition, arm, values, n, q2, reason, process, is_rate, unit, status, epoch)


def _fitted_scale(rates: Values, objective: str) -> Values:
    """Logits; a rate below chance counts as chance."""
    chance = chance_level(objective)
    return np.asarray(logit(np.clip(rates, chance if 0 < chance < 0.5 else 1e-4, _ALMOST_ONE)))


def _q2(process: GaussianProcess, is_rate: bool) -> float:
    fitted = process.centre + process.spread * process.targets
    seen, predicted = (expit(values) if is_rate else values for values in (fitted, process.left_out()))
    by_mean = (seen.sum() - seen) / (len(seen) - 1)
    return float(1 - ((seen - predicted) ** 2).sum() / ((seen - by_mean) ** 2).sum())
