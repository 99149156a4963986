"""All conditions at once, and what others have published."""

import pandas as pd

from hpstudy.analysis import performance_profiles, pooled_summary, rank_comparison
from hpstudy.catalog import PUBLISHED_CAVEAT, published_rows
from hpstudy.reporting._document import Document
from hpstudy.reporting._evidence import Evidence
from hpstudy.reporting._profile_figure import profile_figure
from hpstudy.reporting._profile_table import profile_table
from hpstudy.reporting._published_table import published_table


def profiles(evidence: Evidence, document: Document) -> None:
    """What arms gain over an adaptive control in all conditions."""
    summary = pooled_summary(evidence.trials, evidence.metric)
    if summary.empty:
        return
    found = performance_profiles(evidence.trials, evidence.metric)
    ranks = rank_comparison(evidence.trials, evidence.metric)
    figure = profile_figure(found, summary, evidence.styles, evidence.name, evidence.margin, ranks)
    document.facts |= {
        "control": str(summary["control"].iloc[0]),
        "ranked": len(ranks) > 0,
        "friedman": float(ranks["friedman_p"].iloc[0]) if len(ranks) else 1.0,
    }
    document.figure("profiles", figure, "Share of runs that gain more than a threshold over the control")
    document.table("pooled", profile_table(summary, evidence.styles, evidence.name, ranks), summary)
    document.data("profiles", found)
    if len(ranks):
        document.data("ranks", ranks)


def published(evidence: Evidence, document: Document) -> None:
    """What the field reports of the study's losses; from elsewhere, and not to be compared."""
    rows = published_rows(list(dict.fromkeys(evidence.trials["loss"].astype(str))))
    if rows:
        document.facts["published_caveat"] = PUBLISHED_CAVEAT
        frame = pd.DataFrame([{name: getattr(row, name) for name in row.__slots__} for row in rows])
        document.table("published", published_table(rows), frame)
