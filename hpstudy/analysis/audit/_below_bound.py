"""What became of trials whose scale lies below CosFace's bound, beside those above it."""

import numpy as np
import pandas as pd
from scipy import stats

from hpstudy.analysis._rates import wilson_interval
from hpstudy.analysis._statistics import holm
from hpstudy.analysis.audit._convergence import plain_trials
from hpstudy.theory import cosface_scale_bound

READ_AT: tuple[float, ...] = (0.5, 0.9)
"""The P_W at which "below the bound the network cannot converge" is put to the test."""


def below_bound(rows: pd.DataFrame) -> pd.DataFrame:
    """How many trials converged below CosFace's bound and above it, and whether they took longer below.

    Speed is compared by the rank-sum test (Mann & Whitney 1947, two-sided, normal approximation with ties) of the epoch
    of convergence; a trial that never converged counts as later than all. A scale far above the bound can be slow too,
    which this comparison does not tell apart: `convergence_shares` has the epochs scale by scale.

    Args:
        rows: `convergence`.

    Returns:
        One row per condition in which a given scale varied without a margin, and P_W of 0.5 and 0.9: `condition`,
        `num_classes`, `embedding_dim`, `posterior`, `bound`; `below`, `below_converged`, `low`, `high` (95 % Wilson of
        their share), `above`, `above_converged`; `epoch_below`, `epoch_above` (medians, ∞ if that trial never
        converged, NaN if none is known), `later` (share of pairs of a trial below and one above of which the one below
        took longer, ties half), `p_holm` (adjusted over the conditions at this P_W; both NaN where a side is empty or
        no trial converged); `least_all` and `least_most`, the smallest s at which all, and more than half, of the
        trials converged (NaN if there is none).
    """
    found = []
    for condition, group in plain_trials(rows).groupby("condition", sort=False):
        classes = int(group["num_classes"].iloc[0])
        shares = group.groupby("s", sort=True)["converged"].mean()
        least_all, least_most = (float(shares[shares >= least].index.min()) for least in (1.0, np.nextafter(0.5, 1)))
        for posterior in READ_AT:
            bound = cosface_scale_bound(classes, posterior)
            below, above = group[group["s"] < bound], group[group["s"] >= bound]
            late = [_times(side) for side in (below, above)]
            later, p = _rank_sum(*late)
            found.append(
                {
                    "condition": condition,
                    "num_classes": classes,
                    "embedding_dim": int(group["embedding_dim"].iloc[0]),
                    "posterior": posterior,
                    "bound": bound,
                    "below": len(below),
                    "below_converged": int(below["converged"].sum()),
                    **dict(zip(("low", "high"), wilson_interval(below["converged"].sum(), len(below)), strict=True)),
                    "above": len(above),
                    "above_converged": int(above["converged"].sum()),
                    "epoch_below": float(late[0].median()),
                    "epoch_above": float(late[1].median()),
                    "later": later,
                    "p_holm": p,
                    "least_all": least_all,
                    "least_most": least_most,
                }
            )
    frame = pd.DataFrame(found, columns=None if found else ["condition", "posterior", "later", "p_holm"])
    for _, part in frame.groupby("posterior"):
        frame.loc[part.index, "p_holm"] = holm(part["p_holm"].to_list())
    return frame


def _times(trials: pd.DataFrame) -> pd.Series:
    """Epoch of convergence, ∞ for never; nothing for trials that converged at an epoch that was not recorded."""
    return trials["epoch_converged"].where(trials["converged"], np.inf).dropna()


def _rank_sum(below: pd.Series, above: pd.Series) -> tuple[float, float]:
    """How often a trial below took longer than one above, and p."""
    if below.empty or above.empty or not np.isfinite(pd.concat([below, above])).any():
        return float("nan"), float("nan")
    ranks = stats.rankdata(np.concatenate([below, above]))
    if np.ptp(ranks) == 0:
        return 0.5, 1.0
    first, second = ranks[: len(below)], ranks[len(below) :]
    found = stats.mannwhitneyu(first, second, method="asymptotic")
    return float(found.statistic) / (len(below) * len(above)), float(found.pvalue)
