"""Rules about training seeds."""

import numpy as np
import pandas as pd

from hpstudy.analysis._account import LANE, Account, read, some
from hpstudy.analysis._protocol_words import Finding, finding, not_applicable, of_them
from hpstudy.analysis._words import counted, listed

_SAME_RAD = 2e-4
"""Mean angles of one batch on two devices may differ by so much; those of two seeds differ by about 0.005."""
_START = ["theta_med", "theta_target_mean"]


def seeds_fresh(account: Account) -> Finding:
    """No confirm seed trained a trial of a search, and every arm of a condition has the same confirm seeds."""
    confirm = account.confirm
    if confirm.empty:
        return not_applicable("no confirm trial has ended")
    used = sorted({*confirm["seed"]} & {*account.search["seed"]})
    planned, finished = account.study.spec.confirm.seeds, not account.unfinished
    odd = []
    for condition, here in confirm.groupby("condition", sort=True):
        every = set(here["seed"])
        for (arm, search), rows in here.groupby(["arm", "search_seed"], sort=True):
            # Of a study under way, a search that has all its seeds can be told from one that has not got that far.
            if set(rows["seed"]) != every and (finished or len(rows) >= planned):
                odd.append(f"{arm} in {condition}, search seed {search}")
    seeds = sorted({int(seed) for seed in confirm["seed"]})
    lanes = len(confirm.groupby(LANE))
    return finding(
        [
            *of_them([str(seed) for seed in used], f"{counted(len(used), 'confirm seed')} trained a search as well"),
            *of_them(odd, f"{counted(len(odd), 'arm')} confirmed on other seeds than the rest of the condition"),
        ],
        f"{counted(len(seeds), 'seed')} ({_span(seeds)}) for each of {counted(lanes, 'confirmed point')}"
        f"{'' if finished else ', as far as they have run'}; "
        f"searches trained with {_span(sorted({int(seed) for seed in account.search['seed']})) or 'none'}",
    )


def seeds_complete(account: Account) -> Finding:
    """In a survey every listed point has one trial for each seed of the study file."""
    study = account.study
    if account.unfinished:
        return not_applicable(f"the survey is unfinished ({account.unfinished})")
    seeds = set(study.spec.search.seeds)
    short = [
        f"{arm.name} in {condition.id}, point {number}"
        for condition in study.conditions()
        for arm in study.arms
        for number in range(len(study.listed_points(arm)))
        if set(_of_point(account, condition.id, arm.name, number)["seed"]) != seeds
    ]
    points = len(account.trials.drop_duplicates(["condition", "arm", "number"]))
    return finding(
        of_them(short, f"{counted(len(short), 'point')} without a trial of every seed"),
        f"{counted(len(seeds), 'seed')} ({_span(sorted(seeds))}) for each of {counted(points, 'point')}",
    )


def _of_point(account: Account, condition: str, arm: str, number: int) -> pd.DataFrame:
    trials = account.trials
    return trials[(trials["condition"] == condition) & (trials["arm"] == arm) & (trials["number"] == number)]


def _span(seeds: list[int]) -> str:
    if len(seeds) > 3 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return listed([str(seed) for seed in seeds]) if len(seeds) <= 5 else some([str(seed) for seed in seeds])


def same_start(account: Account) -> Finding:
    """At the first step, before any update, trials of one seed agree in their target angles, whatever the arm.

    The angles follow from the initial weights and the first batch alone, and losses come in only after.
    """
    rows = []
    for row in account.confirm[["trial_id", "condition", "arm", "seed"]].to_dict("records"):
        steps = read(account.trajectory, str(row["trial_id"]))
        if len(steps) and {"step", *_START} <= set(steps) and steps["step"].iloc[0] <= 1:
            rows.append({**row, **steps[_START].iloc[0].to_dict()})
    first = pd.DataFrame(rows, columns=["trial_id", "condition", "arm", "seed", *_START]).dropna()
    groups = [group for _, group in first.groupby(["condition", "seed"], sort=True) if group["arm"].nunique() > 1]
    if not groups:
        return not_applicable("no two arms with a seed in common have kept their first step")
    other = []
    largest = 0.0
    for group in groups:
        apart = (group[_START] - group[_START].median()).abs().max(axis=1)
        largest = max(largest, float(apart.max()))
        other += group.loc[apart > _SAME_RAD, "trial_id"].to_list()
    trials = sum(map(len, groups))
    agree = "to the last digit" if largest == 0.0 else f"to {np.format_float_positional(largest, 1, trim='-')} rad"
    return finding(
        of_them(other, f"{counted(len(other), 'trial')} of {trials} began elsewhere than the others of their seed"),
        f"the target angles of the first step agree {agree} in {counted(trials, 'trial')}, "
        f"{counted(first['seed'].nunique(), 'seed')} in {counted(first['condition'].nunique(), 'condition')}",
    )
