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
        f"The published rule ran away in {gone or 'none'} of {counted(total, 'trial')} (diverged, or ended beyond "
        f"{RUNAWAY:g} times its start)"
    )
    sizes = rows.groupby(["num_classes", "embedding_dim"], sort=True)["ran_away"].sum()
    wild, calm = (_sizes(sizes[part]) for part in (sizes > 0, sizes == 0))
    if wild and calm:
        text += f": at least once with {wild}, and never with {calm}"
    return [f"{text}.", *_noise(rows)]


def _noise(rows: pd.DataFrame) -> list[str]:
    """Wrong labels against none, over the sizes that arms tried with both."""
    noisy = rows["label_noise"] > 0
    keys = ["arm", "num_classes", "embedding_dim"]
    both = noisy.groupby([rows[key] for key in keys]).transform("nunique") > 1
    if not both.any():
        return []
    with_wrong, without = (
        f"{int(part['ran_away'].sum()) or 'none'} of {counted(int(part['trials'].sum()), 'trial')}"
        for part in (rows[both & noisy], rows[both & ~noisy])
    )
    return [
        f"With wrong labels the published rule ran away in {with_wrong}, without them at the same sizes in {without}."
    ]


def _sizes(cells: pd.Series) -> str:
    """Sizes of a frame indexed by C and K, e.g. `K = 8, 16 (C = 100) and K = 8 (C = 1,000)`."""
    told = []
    for classes, part in cells.groupby(level=0, sort=True):
        dims = ", ".join(f"{dim:,}" for dim in part.index.get_level_values(1))
        told.append(f"K = {dims} (C = {classes:,})")
    return listed(told)


def _regions(agreement: pd.DataFrame) -> list[str]:
    sentences = []
    tried = agreement[agreement["trials"] > 0]
    several = tried["arm"].nunique() > 1
    for (arm, noisy), rows in tried.groupby(["arm", "noisy"], sort=True):
        told = []
        for predicted, words in ((RUNS_AWAY, "expect it to run away"), (RESTS, "expect it to rest")):
            region = rows[rows["predicted"] == predicted]
            if region.empty:
                continue
            one = region.iloc[0]
            told.append(
                f"where they {words} it did run away in {int(one['ran_away']) or 'none'} of "
                f"{counted(int(one['trials']), 'trial')} of {counted(int(one['cells']), 'cell')} (95 % interval "
                f"{_percent(one['low'], one['high'])}, a cell counting once)"
            )
        subject = f"{arm} held" if several else "Held"
        labels = "with wrong labels, " if noisy else ""
        sentences.append(f"{subject} against its fixed points at 45°: {labels}{listed(told)}.")
    return sentences


def _doubt(agreement: pd.DataFrame) -> list[str]:
    testable, wrong = int(agreement["testable"].sum()), int(agreement["contradicts"].sum())
    if not testable:
        few = "No cell has the five independent trials that could contradict its prediction."
        return [few] if len(agreement) else []
    if testable == 1:
        text = f"The one cell with trials enough to tell {'contradicts' if wrong else 'does not contradict'}"
    else:
        verb = "contradicts" if wrong == 1 else "contradict"
        text = f"{wrong or 'None'} of {counted(testable, 'cell')} with trials enough to tell {verb}"
    return [f"{text} the prediction, which is about independent uniform directions and not about trained ones."]


def _stabilised(found: pd.DataFrame) -> list[str]:
    sentences = []
    for arm, rows in found[found["rule"] != PUBLISHED].groupby("arm", sort=False):
        gone, total = int(rows["ran_away"].sum()), int(rows["trials"].sum())
        units = total**2 // int((rows["trials"] ** 2).sum())
        interval = _percent(*clopper_pearson_interval(gone / total * units, units))
        at_ceiling = rows[np.isclose(rows["largest_s"], rows["ceiling"], rtol=1e-3)]
        text = (
            f"{arm}: {gone or 'none'} of {counted(total, 'trial')} ran away (95 % interval {interval}, a cell counting "
            "once)"
        )
        if len(at_ceiling):
            text += f", and some trial ended at the ceiling in {len(at_ceiling)} of {counted(len(rows), 'cell')}"
        sentences.append(f"{text}.")
    return sentences


def _percent(low: float, high: float) -> str:
    return f"{100 * low:.0f} to {100 * high:.0f} %"
