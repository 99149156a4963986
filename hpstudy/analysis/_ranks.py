"""Arms ranked over many conditions: Friedman's test, and Bonferroni and Dunn's critical difference from a control."""

import numpy as np
import pandas as pd
from scipy import stats

from hpstudy.analysis._components import confirm_scores
from hpstudy.analysis._profiles import control_arm

LEAST_RANKED = 5
"""Conditions that a test of ranks needs."""


def rank_comparison(trials: pd.DataFrame, metric: str, *, level: float = 0.05) -> pd.DataFrame:
    """Every arm's mean rank against the adaptive control's, over the conditions in which all arms have a score.

    Friedman's test asks whether the arms differ at all, in the form of Iman and Davenport (F with k − 1 and (k − 1)(N −
    1) degrees of freedom, ties averaged); then an arm differs from the control if their mean ranks are more than
    z·√(k(k + 1)/(6N)) apart, z at level/(2(k − 1)) (Bonferroni–Dunn; both as in Demšar, JMLR 2006). Ranks are those of
    the arms' means. The test takes the conditions for independent draws; conditions that share their data are not.

    Args:
        trials: One row a trial.
        metric: Column that the confirm phase measured, larger is better.
        level: Of either test.

    Returns:
        One row per arm, best rank first; none with fewer than five such conditions, fewer than two arms or no adaptive
        one. `arm`, `control`, `conditions` (N), `mean_rank` (1 is best), `difference` (rank of the control less the
        arm's: positive if the arm is better), `critical`, `friedman_p`, `word`: `better` or `worse` than the control
        if the difference is critical and Friedman's p is below the level, else `not shown`, empty for the control.
    """
    columns = ["arm", "control", "conditions", "mean_rank", "difference", "critical", "friedman_p", "word"]
    control = control_arm(trials, metric)
    found = confirm_scores(trials, metric)
    # An arm counts its searches and seeds alike, as its mean does.
    means = found.groupby(["condition", "arm"])["score"].mean().unstack().dropna()
    count, arms = means.shape
    if count < LEAST_RANKED or arms < 2 or control not in means:
        return pd.DataFrame(columns=columns)
    ranks = means.rank(axis=1, ascending=False)
    p = friedman_p(ranks)
    critical = critical_difference(arms, count, level=level)
    mean = ranks.mean()
    rows = []
    for arm in mean.sort_values(kind="stable").index:
        difference = float(mean[control] - mean[arm])
        shown = abs(difference) > critical and p < level
        word = "" if arm == control else ("better" if difference > 0 else "worse") if shown else "not shown"
        rows.append((str(arm), control, count, float(mean[arm]), difference, critical, p, word))
    return pd.DataFrame(rows, columns=columns)


def friedman_p(ranks: pd.DataFrame) -> float:
    """Iman and Davenport's p of equal mean ranks, from a row of ranks a condition (at least two), ties averaged."""
    conditions, arms = ranks.shape
    around = ranks.to_numpy(dtype=float) - (arms + 1) / 2
    spread = float((around**2).sum())
    if spread == 0.0:
        return 1.0  # every arm ties with every other throughout
    chi2 = (arms - 1) * float((around.sum(axis=0) ** 2).sum()) / spread
    most = conditions * (arms - 1)
    if chi2 >= most * (1 - 1e-12):
        return 0.0  # the same order in every condition
    statistic = (conditions - 1) * chi2 / (most - chi2)
    return float(stats.f.sf(statistic, arms - 1, (arms - 1) * (conditions - 1)))


def critical_difference(arms: int, conditions: int, *, level: float = 0.05) -> float:
    """Difference of mean ranks from a control that Bonferroni and Dunn's test takes for one."""
    z = stats.norm.isf(level / (2 * (arms - 1)))
    return float(z * np.sqrt(arms * (arms + 1) / (6 * conditions)))
