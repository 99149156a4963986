"""Scores of trials that may have nothing to be judged on."""

import numpy as np
import pandas as pd

from hpstudy.analysis._metrics import scores


def audit_scores(trials: pd.DataFrame, metric: str) -> pd.Series:
    """`scores`, but NaN for all where no completed trial measured the metric: chance alone is no score.

    Free features have no test identities, so that a trial of theirs that diverged isn't at chance of anything.

    Args:
        trials: The record.
        metric: Column of the score.
    """
    found = scores(trials, metric)
    measured = trials.loc[trials["status"] == "completed", metric] if metric in trials else pd.Series(dtype=float)
    return found if measured.notna().any() else found.where(np.zeros(len(found), dtype=bool))
