"""Rules about what each arm was given."""

import numpy as np
import pandas as pd

from hpstudy.analysis._account import LANE, Account
from hpstudy.analysis._arms import KEYS, arm_kinds
from hpstudy.analysis._protocol_words import NO, Finding, finding, not_applicable, of_them, sentence
from hpstudy.analysis._search import compute_seconds
from hpstudy.analysis._words import counted, hours_text, listed
from hpstudy.spec import Arm


def equal_budgets(account: Account) -> Finding:
    """Every search of every arm and condition asked for the same number of trials; epochs are told beside it."""
    tuned = account.tuned
    if not tuned:
        return not_applicable("no arm is searched")
    budgets = {arm.name: account.budget(arm) for arm in tuned}
    violations = []
    if len(set(budgets.values())) > 1:
        violations.append(f"the study file asks for {listed([f'{n} trials of {arm}' for arm, n in budgets.items()])}")
    confirmed = set(account.confirm[LANE].itertuples(index=False, name=None))
    asked = account.search.groupby(LANE, sort=True).size().reset_index(name="count").to_dict("records")
    off = [
        f"{lane['arm']} in {lane['condition']}, search seed {lane['search_seed']}, had {lane['count']}"
        for lane in asked
        if lane["count"] > (budget := budgets.get(lane["arm"], 0))
        or (lane["count"] < budget and (not account.unfinished or tuple(lane[key] for key in LANE) in confirmed))
    ]
    violations += of_them(off, f"{len(off)} of {len(asked)} searches had another budget")
    each = counted(next(iter(budgets.values())), "trial")
    evidence = f"{each} a search, {len(asked)} searches of {counted(len(tuned), 'arm')}"
    evidence += " so far" if account.unfinished else ""
    spent = account.search.groupby("arm", sort=True)["epochs"].sum()
    epochs = listed([f"{arm} {count:,}" for arm, count in spent.items()])
    held, text = finding(violations, evidence)
    return held, f"{text} Epochs spent: {epochs}." if epochs else text


def searches_repeated(account: Account) -> Finding:
    """Every searched arm has at least two searches in every condition, with seeds and points of their own."""
    if account.search.empty:
        return not_applicable("no search trial has ended" if account.tuned else "no arm is searched")
    waiting = account.unfinished and len(account.study.spec.search.seeds) > 1
    counts: list[int] = []
    copied, alone = [], []
    for (condition, arm), rows in account.search.groupby(KEYS, sort=True):
        lanes = [lane for _, lane in rows.groupby("search_seed", sort=True)]
        counts.append(len(lanes))
        alone += [f"{arm} in {condition}"] if len(lanes) < 2 and not waiting else []
        seeds = [frozenset(lane["seed"]) for lane in lanes]
        if len(set(seeds)) < len(seeds) or _same_points(account, lanes):
            copied.append(f"{arm} in {condition}")
    violations = of_them(copied, f"{counted(len(copied), 'arm')} whose searches share a training seed or all points")
    if len(alone) == len(counts) and not copied:
        return NO, sentence(
            "one search of each arm in each condition: every interval is given the points that it chose"
        )
    violations += of_them(alone, f"{counted(len(alone), 'arm')} with one search only")
    if max(counts) < 2 and waiting:
        return not_applicable("no arm has begun a second search")
    number = f"{min(counts)}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    return finding(violations, f"{number} searches of each arm in each condition, each with its own training seed")


def _same_points(account: Account, lanes: list[pd.DataFrame]) -> bool:
    """Whether two searches that draw their points tried the same ones."""
    spec = account.study.spec.search
    if spec.sampler == "grid" or (lanes[0]["phase"] == "grid").any():
        return False
    names = [name for name in lanes[0] if str(name).startswith("param/")]
    drawn = [lane.sort_values("number").iloc[int(spec.paper_defaults) :][names].to_numpy(dtype=float) for lane in lanes]
    pairs = [(one, other) for i, one in enumerate(drawn) for other in drawn[:i]]
    return any(len(one) and np.array_equal(one, other, equal_nan=True) for one, other in pairs)


def adaptive_charged(account: Account) -> Finding:
    """The trials of an adaptive arm's own search are in the record with what they cost, as many as it was given."""
    kinds = arm_kinds(account.trials)
    adaptive = [arm for arm in account.tuned if kinds.get(arm.name) == "adaptive"]
    if not adaptive:
        return not_applicable("no adaptive arm was searched")
    seconds = compute_seconds(account.search)
    violations, told = [], []
    for arm in adaptive:
        of_arm = account.search[account.search["arm"] == arm.name]
        asked = of_arm.groupby(LANE).size()
        confirmed = account.confirm.loc[account.confirm["arm"] == arm.name, LANE].drop_duplicates()
        missing = [lane for lane in confirmed.itertuples(index=False, name=None)
                   if asked.get(lane, 0) < account.budget(arm)]  # fmt: skip
        if missing:
            violations.append(f"the arm {arm.name} was confirmed without all trials of its search in the record")
        ran = of_arm[of_arm["status"] != "failed"]
        free = ran.loc[~(seconds[ran.index] > 0), "trial_id"].to_list()
        violations += of_them(free, f"{counted(len(free), 'trial')} of {arm.name} without a cost")
        gpu = "cost/gpu_s" in of_arm and bool((of_arm["cost/gpu_s"].fillna(0.0) > 0).any())
        spent = hours_text(float(seconds[of_arm.index].sum()) / 3600, "GPU" if gpu else "CPU")
        told.append(f"the arm {arm.name} searched {listed(_names(arm))} in {counted(len(of_arm), 'trial')} ({spent})")
    return finding(violations, f"{listed(told)}, which its price holds")


def fields_shared(account: Account) -> Finding:
    """A field of the training or the network that one arm searches, every arm searches, over the same range."""
    ranges = {arm.name: {name: _range(arm, name) for name in _names(arm) if name.startswith(("training.", "model."))}
              for arm in account.study.arms}  # fmt: skip
    names = sorted({name for of_arm in ranges.values() for name in of_arm})
    if not names:
        return not_applicable("only parameters of the losses were searched")
    violations = []
    for name in names:
        having = {arm: of_arm[name] for arm, of_arm in ranges.items() if name in of_arm}
        lacking = [arm for arm in ranges if arm not in having]
        if lacking:
            violations.append(f"the field {name} is searched by {listed(list(having))}, but not by {listed(lacking)}")
        elif len(set(having.values())) > 1:
            violations.append(f"the field {name} has another range in some arm")
    return finding(violations, f"all {len(ranges)} arms search {listed(names)} over the same range")


def _names(arm: Arm) -> list[str]:
    """What an arm searches or lists."""
    return list(arm.space) or list(arm.spec.grid or {})


def _range(arm: Arm, name: str) -> str:
    return str(arm.space[name] if name in arm.space else (arm.spec.grid or {})[name])
