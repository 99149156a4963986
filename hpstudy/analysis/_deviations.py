"""What went otherwise than the study file has it, told by the record and not by hand."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import pandas as pd

from hpstudy.analysis._account import LANE, Account, some
from hpstudy.analysis._arms import KEYS
from hpstudy.analysis._words import counted, listed
from hpstudy.spec import Study

Deviation = tuple[str, str]
"""What deviated, in a few words, and the detail."""

_CHANGED = " with uncommitted changes"
_MOST_TIMES = 4


def deviations(study: Study, trials: pd.DataFrame, sessions: Sequence[Mapping[str, str]] = ()) -> pd.DataFrame:
    """Everything that a reader has to know of how the study ran, beside its file.

    Args:
        study: The study file.
        trials: One row a trial.
        sessions: What each driver session ran with, oldest first.

    Returns:
        One row a deviation: `what`, each once, and `detail` with counts and names. A study that ran as its file has it,
        in one session of committed code, gives no row. Diverged trials are outcomes, not deviations, and so is a search
        that stopped trials early.
    """
    account = Account(study=study, trials=trials, sessions=sessions)
    rows = [deviation for tell in _TELL for deviation in tell(account)]
    return pd.DataFrame(rows, columns=["what", "detail"])


def _unfinished(account: Account) -> Iterator[Deviation]:
    if progress := account.unfinished:
        yield "unfinished", f"{progress} have ended"


def _resumed(account: Account) -> Iterator[Deviation]:
    if not account.sessions:
        yield "no session recorded", "versions, machine and times of the study are not known"
    later = [session.get("started", "at an unknown time") for session in account.sessions[1:]]
    if later:
        shown = [*later[: _MOST_TIMES - 1], f"… {later[-1]}"] if len(later) > _MOST_TIMES else later
        yield "resumed", f"{_times(len(later))}: {', '.join(shown)}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _sessions_differ(account: Account) -> Iterator[Deviation]:
    """Facts that are not the same in all sessions, a row each."""
    names = dict.fromkeys(name for session in account.sessions for name in session)
    for name in names:
        values = [session.get(name, "not recorded") for session in account.sessions]
        if name in ("started", "source") or len(set(values)) < 2:
            continue
        if name == "packages":
            yield from _packages(values)
        else:
            yield f"{name} changed", _course(values)


def _packages(values: Sequence[str]) -> Iterator[Deviation]:
    """One row a package whose version is not the same in all sessions."""
    versions = [dict(_version(entry) for entry in value.split(", ")) for value in values]
    for package in dict.fromkeys(name for session in versions for name in session):
        course = [session.get(package, "not recorded") for session in versions]
        if len(set(course)) > 1:
            yield f"{package} changed", _course(course)


def _version(entry: str) -> tuple[str, str]:
    name, _, version = entry.partition(" ")
    return name, version


def _course(values: Sequence[str]) -> str:
    """The values of the sessions, one after the other, without repetition."""
    course = [values[0], *(value for before, value in pairwise(values) if value != before)]
    return " → ".join(course)


def _code(account: Account) -> Iterator[Deviation]:
    sources = [session["source"] for session in account.sessions if "source" in session]
    dirty = sum(_CHANGED in source for source in sources)
    if dirty:
        sessions = f"{dirty} of {len(sources)} sessions" if len(sources) > 1 else "the session"
        yield "code not committed", f"{sessions} ran {_course(sources)}"
    elif len(set(sources)) > 1:
        yield "code changed", _course(sources)


def _devices(account: Account) -> Iterator[Deviation]:
    """More than one kind of device, and how many pairs of confirm trials that splits."""
    devices = account.trials["device"].fillna("").astype(str)
    counts = Counter(device for device in devices if device)
    if len(counts) < 2:
        return
    detail = listed([f"{counted(count, 'trial')} on {device}" for device, count in sorted(counts.items())])
    confirm = account.confirm.assign(device=devices)
    split = confirm.groupby(["condition", "seed"])["device"].nunique() > 1
    if split.any():
        detail += f"; {int(split.sum())} of {len(split)} confirm seeds were not run on one kind for all arms"
    yield "several kinds of device", detail


def _continued(account: Account) -> Iterator[Deviation]:
    trials = account.trials[account.trials["attempt"] > 1]
    if len(trials):
        most = int(trials["attempt"].max())
        yield (
            "trials continued after a cut",
            f"{counted(len(trials), 'trial')} went on from a checkpoint or began anew, the most often cut off one "
            f"{_times(most - 1)}: {some(trials['trial_id'].to_list())}",
        )


def _failed(account: Account) -> Iterator[Deviation]:
    """Failed trials by cause: they are left out of every mean."""
    failed = account.trials[account.trials["status"] == "failed"]
    told = []
    for cause, rows in failed.groupby(failed["cause"].map(_short), sort=True):
        phases = listed([f"{len(of_phase)} {phase}" for phase, of_phase in rows.groupby("phase", sort=True)])
        told.append(f"{counted(len(rows), 'trial')} ({phases}) left out, {cause}: {some(rows['trial_id'].to_list())}")
    if told:
        yield "trials failed", "; ".join(told)


def _short(cause: str) -> str:
    """The first line of a cause, without the numbers that tell trials apart."""
    line = cause.splitlines()[0] if cause else "no cause recorded"
    line = re.sub(r"\d+(\.\d+)?", "…", line) if len(line) > 60 else line
    return line if len(line) <= 100 else line[:99] + "…"


def _no_point(account: Account) -> Iterator[Deviation]:
    """Searches that spent their budget and left nothing to confirm."""
    budgets = {arm.name: account.budget(arm) for arm in account.tuned}
    lost = []
    for _, rows in account.search.groupby(LANE, sort=True):
        first = rows.iloc[0]
        if (rows["status"] == "completed").any() or len(rows) < budgets.get(str(first["arm"]), 0):
            continue
        statuses = listed([f"{count} {status}" for status, count in sorted(Counter(rows["status"]).items())])
        lost.append(f"{first['arm']} in {first['condition']}, search seed {first['search_seed']} ({statuses})")
    if lost:
        yield "searches without a point", f"{len(lost)} left nothing to confirm: {some(lost)}"


def _missing(account: Account) -> Iterator[Deviation]:
    """Confirm trials that the study asks for and the record lacks, of a study that has ended."""
    if account.unfinished:
        return
    planned, missing = account.study.spec.confirm.seeds, []
    for key, rows in _points(account):
        if len(rows) < planned:
            missing.append(f"{planned - len(rows)} of {key}")
    if missing:
        yield "confirm trials missing", some(missing)


def _points(account: Account) -> Iterator[tuple[str, pd.DataFrame]]:
    """Confirm trials of every point that there is to confirm."""
    completed = account.search[account.search["status"] == "completed"]
    lanes = {(str(row["condition"]), str(row["arm"]), int(row["search_seed"]))
             for row in completed[LANE].drop_duplicates().to_dict("records")}  # fmt: skip
    fixed = [arm.name for arm in account.study.arms if arm.kind == "fixed"]
    lanes |= {(place.id, arm, 0) for place in account.study.conditions() for arm in fixed}
    for condition, arm, search in sorted(lanes):
        rows = account.confirm[(account.confirm[LANE] == [condition, arm, search]).all(axis=1)]
        yield f"{arm} in {condition}, search seed {search}", rows


def _uneven(account: Account) -> Iterator[Deviation]:
    """Arms with fewer scored seeds than others of their condition; diverged ones are scored."""
    scored = account.confirm[account.confirm["status"].isin(["completed", "diverged"])]
    if account.unfinished or scored.empty:
        return
    fewer = []
    for condition, here in scored.groupby("condition", sort=True):
        seeds = {str(arm): rows.groupby("search_seed")["seed"].nunique().min() for arm, rows in here.groupby("arm")}
        most = max(seeds.values())
        fewer += [f"{arm} {count} of {most} in {condition}" for arm, count in seeds.items() if count < most]
    arms = set(account.confirm.groupby(KEYS).groups) - set(scored.groupby(KEYS).groups)
    fewer += [f"{arm} none in {condition}" for condition, arm in sorted(map(_pair, arms))]
    if fewer:
        yield (
            "unequal confirm seeds",
            f"scored: {some(fewer)}; differences are taken over the seeds that both arms have",
        )


def _pair(key: object) -> tuple[str, str]:
    assert isinstance(key, tuple)
    return str(key[0]), str(key[1])


_TELL: tuple[Callable[[Account], Iterator[Deviation]], ...] = (
    _unfinished,
    _resumed,
    _sessions_differ,
    _code,
    _devices,
    _continued,
    _failed,
    _no_point,
    _missing,
    _uneven,
)
