"""Rules about the data and the study file."""

import calendar
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis._account import Account
from hpstudy.analysis._metrics import chance_level
from hpstudy.analysis._protocol_words import Finding, finding, not_applicable, of_them
from hpstudy.analysis._words import counted, listed
from hpstudy.spec import Arm, Condition

_STARTED = "%Y-%m-%d %H:%M:%S UTC"
_HASH = 12
_ROUNDING = 1e-9


def identities_disjoint(account: Account) -> Finding:
    """The split is one permutation cut in three; its size and the data's hash are as the study file has them.

    That two identities of the data are one person under two names can't be seen from here.
    """
    trained = account.trials.groupby("condition")["num_classes"].unique()
    violations, unknown, hashes = [], [], set()
    sizes: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for condition in account.study.conditions():
        wanted = condition.data.identities
        for split, counts in sizes.items():
            counts.append(f"{getattr(wanted, split)}")
        other = sorted({int(count) for count in trained.get(condition.id, [])} - {wanted.train})
        if other:
            violations.append(
                f"in {condition.id} trials had {listed([str(count) for count in other])} training identities, not "
                f"the {wanted.train} of the study file"
            )
        of_condition = {session[key] for session in account.sessions if (key := f"data {condition.id}") in session}
        hashes |= of_condition
        if not of_condition:
            unknown.append(condition.id)
        elif len(of_condition) > 1:
            violations.append(f"the data of {condition.id} changed between sessions")
    if unknown and not violations:
        return not_applicable(f"no content hash of the data was kept for {listed(unknown[:3])}")
    train, val, test = (" or ".join(dict.fromkeys(counts)) for counts in sizes.values())
    where = f"{train} train, {val} validation and {test} test identities"
    kept = f"content hash{'es' * (len(hashes) > 1)} {listed(sorted(value[:_HASH] for value in hashes)[:3])}"
    return finding(violations, f"one permutation of the identities cut into {where}; {kept}")


def fars_resolved(account: Account) -> Finding:
    """Every measured FAR allows at least one impostor pair.

    Where the record does not hold their number, pairs are counted from the identities, with as many images each as the
    training identities had; with one image each there are at least n(n − 1)/2.
    """
    measured = [
        (str(column), rate)
        for column in account.trials
        if str(column).startswith(("val/", "test/")) and account.trials[column].notna().any()
        if np.isfinite(rate := chance_level(str(column))) and "tar_at_far" in str(column)
    ]
    if not measured:
        return not_applicable("no TAR at a FAR was measured")
    violations, fewest = [], np.inf
    smallest = min(rate for _, rate in measured)
    for condition in account.study.conditions():
        here = account.trials[account.trials["condition"] == condition.id]
        images = _images_each(here, condition)
        for column, rate in measured:
            if here.empty or here[column].isna().all():
                continue
            side = column.split("/", 1)[0]
            identities = getattr(condition.data.identities, side)
            known = here.get(f"data/{side}_impostor_pairs", pd.Series(dtype=float)).min()
            estimate = identities * (identities - 1) / 2 * max(images, 1.0) ** 2
            pairs = float(known) if np.isfinite(known) else estimate
            if rate * pairs < 1:
                violations.append(
                    f"{column} in {condition.id} needs {1 / rate:,.0f} impostor pairs, and {identities} identities "
                    f"make {'' if np.isfinite(known) else 'about '}{pairs:,.0f}"
                )
            if rate == smallest:
                fewest = min(fewest, pairs)
    return finding(
        violations[:3],
        f"the smallest FAR is {smallest:g}, which lets about {_rough(fewest * smallest)} of about {_rough(fewest)} "
        "impostor pairs pass where there are fewest",
    )


def _rough(count: float) -> str:
    """A count to two digits."""
    return f"{float(f'{count:.1e}'):,.0f}"


def _images_each(trials: pd.DataFrame, condition: Condition) -> float:
    """Most images that a training identity can have had on average: whole batches, and one that was not full.

    One where an epoch is no pass that shows every image once.
    """
    tailed = "data/imbalance" in trials and bool((trials["data/imbalance"] > 1).any())
    if condition.training.steps_per_epoch is not None or tailed:
        return 1.0
    batch_size = condition.training.batch_size
    ran = trials[(trials["epochs"] > 0) & (trials["status"] != "diverged")]
    if ran.empty:
        return 1.0
    batches = ran["param/training.batch_size"] if "param/training.batch_size" in ran else pd.Series(np.nan, ran.index)
    seen = (ran["steps"] / ran["epochs"] + 1) * batches.fillna(batch_size) / ran["num_classes"]
    return float(seen.median())


def file_came_first(account: Account) -> Finding:
    """No trial began before the first session, which fixes the file, and none is outside what the file allows."""
    study, trials = account.study, account.trials
    if not account.sessions:
        return not_applicable("no session was recorded")
    began = calendar.timegm(time.strptime(account.sessions[0]["started"], _STARTED))
    early = trials.loc[trials["started_at"] < began, "trial_id"].to_list()
    arms = {arm.name: arm for arm in study.arms}
    places = {condition.id for condition in study.conditions()}
    foreign = [
        str(row["trial_id"])
        for row in trials.to_dict("records")
        if row["condition"] not in places or row["arm"] not in arms or not _in_range(arms[row["arm"]], row)
    ]
    first = float(trials["started_at"].min()) - began
    after = f", {_duration(first)} before the first trial" if np.isfinite(first) else ""
    return finding(
        [
            *of_them(early, f"{counted(len(early), 'trial')} began before the study file was fixed"),
            *of_them(foreign, f"{counted(len(foreign), 'trial')} with an arm, a condition or a value not in the file"),
        ],
        f"SHA-256 {study.sha256[:_HASH]} was fixed at {account.sessions[0]['started']}{after}; every trial is of its "
        f"arms, conditions and ranges, and δ = {study.spec.confirm.equivalence_margin:g} stands in it",
    )


def _in_range(arm: Arm, row: dict[Any, Any]) -> bool:
    """Whether a trial has the values that its arm searches or lists, each where the study file allows it."""
    given = {str(key).removeprefix("param/"): float(value) for key, value in row.items()
             if str(key).startswith("param/") and np.isfinite(value)}  # fmt: skip
    if arm.kind == "grid":
        return any(_equal(point, given) for point in arm.grid_points())
    return given.keys() == arm.space.keys() and all(
        entry.contains(given[name]) or _near(given[name], entry.values) for name, entry in arm.space.items()
    )


def _equal(point: dict[str, float], given: dict[str, float]) -> bool:
    return point.keys() == given.keys() and all(_near(given[name], [value]) for name, value in point.items())


def _near(value: float, ends: Iterable[float]) -> bool:
    """Whether a value is an end of its range but for rounding."""
    return any(abs(value - end) <= _ROUNDING * max(abs(end), 1.0) for end in ends)


def _duration(seconds: float) -> str:
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
