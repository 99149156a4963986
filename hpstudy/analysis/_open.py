"""What a study leaves open: undecided comparisons, the power they had, and where the spread comes from."""

import numpy as np
import pandas as pd

from hpstudy.analysis._arms import KEYS
from hpstudy.analysis._comparisons import BETTER, EQUIVALENT, NOT_SHOWN, WORSE
from hpstudy.analysis._components import confirm_scores, variance_components
from hpstudy.analysis._metrics import MetricName
from hpstudy.analysis._power import seeds_needed
from hpstudy.analysis._words import counted, listed

_MOST_SEEDS = 1000


def undecided(table: pd.DataFrame, margin: float, name: MetricName) -> list[str]:
    """What the comparisons (`paired_comparisons`) leave open, and what it would take to close it."""
    without = table[table["reason"] != ""]
    reasons = list(dict.fromkeys(without["reason"]))
    more = [f"{len(reasons) - 3} other reasons"] if len(reasons) > 4 else reasons[3:]
    missing = [f"{counted(len(without), 'comparison')} could not be made: {listed([*reasons[:3], *more])}."]
    compared = table[table["reason"] == ""]
    if compared.empty:
        return missing if reasons else []
    return [_decided(compared, margin, name), *(missing if reasons else [])]


def _decided(table: pd.DataFrame, margin: float, name: MetricName) -> str:
    count = table["word"].value_counts()
    open_rows = table[table["word"] == NOT_SHOWN]
    if open_rows.empty:
        return f"All {len(table)} comparisons are decided." if len(table) > 1 else "The comparison is decided."
    within = f"±{name.magnitude(margin)}"
    which = f"{len(open_rows)} of {len(table)} comparisons with an adaptive scale show{'s' * (len(open_rows) == 1)}"
    which = "the comparison shows" if len(table) == 1 else which
    text = f"Undecided: {which} neither a difference nor equivalence within {within}"
    decided = [
        f"{count[word]} {phrase}"
        for word, phrase in ((BETTER, "better"), (WORSE, "worse"), (EQUIVALENT, "equivalent"))
        if word in count
    ]
    text += f" ({listed(decided)})." if decided else "."
    tested = int(table["p"].notna().sum())
    return text + _power_note(open_rows, margin, name, tested)


def _power_note(rows: pd.DataFrame, margin: float, name: MetricName, tested: int) -> str:
    """The smallest difference that rows not shown could have shown, and the seeds that δ takes."""
    rows = rows[rows["detectable"].notna()]
    if rows.empty:
        return ""
    level = " (at Holm’s strictest level)" if tested > 1 else ""
    least = float(rows["detectable"].median())
    found = f"show a true difference of {name.magnitude(least)}" if np.isfinite(least) else "not show any difference"
    found += f" four times in five{level}"
    if (rows["searches"] > 1).any():
        return f" These searches and seeds would {found}; both are counted as random, and more seeds alone help little."
    spread = name.magnitude(rows["std"].median())
    needed = seeds_needed(float(rows["std"].median()), margin, most=_MOST_SEEDS, level=0.05 / tested)
    seeds = f"more than {_MOST_SEEDS:,}" if needed == _MOST_SEEDS else f"about {needed}"
    return (
        f" With their median spread of {spread} between pairs, these seeds would {found}; {seeds} seeds would find a "
        f"difference of {name.magnitude(margin)} as often."
    )


def lost_searches(trials: pd.DataFrame, metric: str) -> list[str]:
    """Which searches ended without a completed trial beside others that found a point."""
    confirmed = trials.loc[trials["phase"] == "confirm", [*KEYS, "search_seed"]].drop_duplicates()
    counted_ones = confirm_scores(trials, metric)[[*KEYS, "search_seed"]].drop_duplicates()
    both = counted_ones.merge(confirmed, how="left", indicator=True)
    lost = both.loc[both["_merge"] == "left_only", "arm"].value_counts().sort_index()
    if lost.empty:
        return []
    arms = listed([f"{arm} {count}" for arm, count in lost.items()])
    which = "1 search" if lost.sum() == 1 else f"{lost.sum():,} searches"
    counts = "counts" if lost.sum() == 1 else "count"
    return [f"{which} ended without a completed trial and {counts} at chance ({arms})."]


def spread_words(trials: pd.DataFrame, metric: str, arm: str, name: MetricName) -> list[str]:
    """How far search, training seed and the rest move the score of an arm; nothing where that isn't known."""
    parts = variance_components(trials, metric)
    row = parts[parts["arm"] == arm].iloc[0] if (parts["arm"] == arm).any() else None
    if row is None or not np.isfinite(row["search_std"]):
        return []
    search, seed, rest = (name.magnitude(row[part]) for part in ("search_std", "seed_std", "rest_std"))
    return [
        f"The score of {arm} varies by {search} with the search (standard deviation, from {row['searches']} searches), "
        f"by {seed} with the training seed and by {rest} beyond both."
    ]
