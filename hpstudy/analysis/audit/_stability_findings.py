"""Where dynamic AdaCos ran away, in words."""

import numpy as np
import pandas as pd

from hpstudy.analysis._rates import clopper_pearson_interval
from hpstudy.analysis._words import counted, listed
from hpstudy.analysis.audit._stability import PUBLISHED, RESTS, RUNAWAY, RUNS_AWAY


def stability_findings(found: pd.DataFrame, agreement: pd.DataFrame) -> list[str]:
    """The stability of the dynamic rules in plain sentences: the published one against its prediction, then the others.

    Args:
        found: `stability_map`.
        agreement: `stability_agreement`.
    """
    if found.empty:
        return []
    return [*_published(found), *_regions(agreement), *_doubt(agreement), *_stabilised(found)]


def _published(found: pd.DataFrame) -> list[str]:
    rows = found[found["rule"] == PUBLISHED]
    if rows.empty:
        return []
    gone, total = int(rows["ran_away"].sum()), int(rows["trials"].sum())
    text = (
        f"The published rule ran away in {gone} of {counted(total, 'trial')} (diverged, or ended beyond {RUNAWAY:g} "
        "times its start)"
    )
    wild = rows[rows["ran_away"] > 0]
    if gone and gone < total:
        calm = rows[rows["ran_away"] == 0]
        text += f"; with K = {_values(wild['embedding_dim'])} in at least one trial"
        text += f", and in none with {_cells(calm)}" if len(calm) else ""
    noisy = rows[rows["label_noise"] > 0]
    if len(noisy) and (rows["label_noise"] == 0).any():
        clean = rows[rows["label_noise"] == 0]
        rates = [100 * part["ran_away"].sum() / part["trials"].sum() for part in (clean, noisy)]
        text += f". With wrong labels it did so in {rates[1]:.0f} % of the trials, without in {rates[0]:.0f} %"
    return [f"{text}."]


def _cells(rows: pd.DataFrame) -> str:
    smallest = rows.groupby("num_classes", sort=True)["embedding_dim"].apply(lambda dims: sorted(set(dims)))
    return listed([f"C = {classes}, K = {_values(pd.Series(dims))}" for classes, dims in smallest.items()])


def _values(values: pd.Series) -> str:
    return listed([f"{value:g}" for value in sorted(set(values))])


def _regions(agreement: pd.DataFrame) -> list[str]:
    sentences = []
    for noisy, rows in agreement[agreement["trials"] > 0].groupby("noisy", sort=True):
        told = []
        for predicted, words in ((RUNS_AWAY, "expect it to run away"), (RESTS, "expect it to rest")):
            region = rows[rows["predicted"] == predicted]
            if region.empty:
                continue
            one = region.iloc[0]
            told.append(
                f"where they {words} it did run away in {one['ran_away']} of {counted(int(one['trials']), 'trial')} of "
                f"{counted(int(one['cells']), 'cell')} (95 % interval {_percent(one['low'], one['high'])}, a cell "
                "counting once)"
            )
        labels = "with wrong labels, " if noisy else ""
        sentences.append(f"Held against its fixed points at 45°, {labels}{listed(told)}.")
    return sentences


def _doubt(agreement: pd.DataFrame) -> list[str]:
    testable, wrong = int(agreement["testable"].sum()), int(agreement["contradicts"].sum())
    if not testable:
        few = "No cell has the five independent trials that could contradict its prediction."
        return [few] if len(agreement) else []
    verb = "contradicts" if wrong == 1 else "contradict"
    return [
        f"{wrong or 'None'} of {counted(testable, 'cell')} with trials enough to tell {verb} the prediction, which is "
        "about independent uniform directions and not about trained ones."
    ]


def _stabilised(found: pd.DataFrame) -> list[str]:
    sentences = []
    for arm, rows in found[found["rule"] != PUBLISHED].groupby("arm", sort=False):
        gone, total = int(rows["ran_away"].sum()), int(rows["trials"].sum())
        low, high = clopper_pearson_interval(gone, total)
        at_ceiling = rows[np.isclose(rows["largest_s"], rows["ceiling"], rtol=1e-3)]
        text = f"{arm}: {gone} of {counted(total, 'trial')} ran away (95 % interval {_percent(low, high)})"
        if len(at_ceiling):
            text += f", and some trial ended at the ceiling in {len(at_ceiling)} of {counted(len(rows), 'cell')}"
        sentences.append(f"{text}.")
    return sentences


def _percent(low: float, high: float) -> str:
    return f"{100 * low:.0f} to {100 * high:.0f} %"
