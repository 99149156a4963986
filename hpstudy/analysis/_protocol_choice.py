"""Rules about what was looked at when a point was chosen."""

import numpy as np
import pandas as pd

from hpstudy.analysis._account import LANE, Account
from hpstudy.analysis._protocol_words import Finding, finding, not_applicable, of_them
from hpstudy.analysis._words import counted

_ROUNDING = 1e-9
_SKEW_S = 1.0
"""Clocks of two nodes may differ by so much."""


def judged_once(account: Account) -> Finding:
    """Test metrics are in trials that count only, one row each."""
    trials, confirm, survey = account.trials, account.confirm, account.study.is_survey
    kind = "trial" if survey else "confirm trial"
    places = [condition.id for condition in account.study.conditions() if condition.data.identities.test]
    if not places:
        return not_applicable("no test identities in this survey")
    columns = [column for column in trials if str(column).startswith("test/")]
    measured = trials[columns].notna().any(axis=1)
    ended = confirm[(confirm["status"] == "completed") & confirm["condition"].isin(places)]
    if not measured.any() and ended.empty:
        return not_applicable(f"no {kind} has ended")
    early = trials.loc[measured & ~trials.index.isin(confirm.index), "trial_id"].to_list()
    missing = ended.loc[~measured[ended.index], "trial_id"].to_list()
    twice = confirm.loc[confirm.duplicated([*LANE, "phase", "number", "seed"]), "trial_id"].to_list()
    return finding(
        [
            *of_them(early, f"{counted(len(early), 'trial')} of a search saw the test identities"),
            *of_them(missing, f"{counted(len(missing), kind)} completed without being judged on them"),
            *of_them(twice, f"{counted(len(twice), kind)} repeated an arm, point and seed"),
        ],
        f"{counted(len(ended), 'completed trial')} of a survey judged on them, each once; it chooses nothing by them"
        if survey
        else f"{counted(len(ended), 'completed confirm trial')} judged on them, each once; "
        f"none of {counted(len(account.search), 'search trial')}",
    )


def chosen_by_validation(account: Account) -> Finding:
    """Every confirmed point is the best completed trial of its search, and the search had ended before."""
    confirm, objective = account.confirm, account.objective
    arms = {arm.name for arm in account.tuned}
    confirmed = confirm[confirm["arm"].isin(arms)]
    if confirmed.empty:
        return not_applicable("no choice of a search has been confirmed")
    completed = account.search[account.search["status"] == "completed"]
    told = completed["objective"].astype(float)
    seen = completed[objective].astype(float) if objective in completed else told * np.nan
    other = completed.loc[~np.isclose(told, seen, rtol=_ROUNDING, atol=_ROUNDING), "trial_id"].to_list()
    wrong, early, lanes = [], [], 0
    for key, rows in confirmed.groupby(LANE, sort=True):
        lane = account.search[(account.search[LANE] == list(key)).all(axis=1)]
        lanes += 1
        name = _lane_name(rows)
        if not _is_best(rows, lane):
            wrong.append(name)
        if rows["started_at"].min() < lane["ended_at"].max() - _SKEW_S:
            early.append(name)
    return finding(
        [
            *of_them(wrong, f"{len(wrong)} of {lanes} confirmed points are not the best of their search"),
            *of_them(early, f"{counted(len(early), 'point')} confirmed before the search had ended"),
            *of_them(other, f"{counted(len(other), 'search trial')} told another value than {objective}"),
        ],
        f"true of all {lanes} confirmed points by {objective}, from {counted(len(completed), 'completed trial')}; "
        "each search had ended before its point was confirmed"
        if lanes > 1
        else f"true of the one confirmed point by {objective}, from {counted(len(completed), 'completed trial')}; "
        "the search had ended before",
    )


def _is_best(confirm: pd.DataFrame, lane: pd.DataFrame) -> bool:
    """Whether all confirm trials of a search have the values of its best completed trial, or of one as good."""
    completed = lane[lane["status"] == "completed"]
    best = completed[completed["objective"] == completed["objective"].max()]
    names = [column for column in confirm if str(column).startswith("param/")]
    points = confirm[names].drop_duplicates().to_numpy(dtype=float)
    if len(points) != 1 or best.empty:
        return False
    same = np.isclose(best[names].to_numpy(dtype=float), points, rtol=_ROUNDING, atol=0.0, equal_nan=True)
    return bool(same.all(axis=1).any())


def _lane_name(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return f"{first['arm']} in {first['condition']}, search seed {first['search_seed']}"
