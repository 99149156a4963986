"""The table of published results with a study's losses."""

from collections.abc import Sequence
from itertools import groupby

from hpstudy.catalog import PublishedRow
from hpstudy.reporting._tables import DASH, Table

_HEADINGS = {
    "published_source": "source",
    "published_loss": "loss, as the source calls it",
    "published_s": "$s$",
    "published_m": "$m$",
    "published_scores": "scores, %",
}


def published_table(rows: Sequence[PublishedRow]) -> Table:
    """Published scores, one row a result with all its protocols, grouped by source.

    Args:
        rows: `published_rows` of the study's losses.
    """
    table = Table(
        [("published_loss", "left"), ("published_s", "right"), ("published_m", "right"), ("published_scores", "left")],
        headings=_HEADINGS,
    )
    source = ""
    for _, scores in groupby(rows, key=lambda row: (row.source, row.named, row.s, row.m)):
        of_result = list(scores)
        first = of_result[0]
        where = ", ".join(part for part in (first.source, first.network, first.data) if part)
        if where != source:
            table.group(where)
            source = where
        table.row(
            first.named,
            f"{first.s:g}" if first.s is not None else DASH,
            f"{first.m:g}" if first.m is not None else DASH,
            ", ".join(f"{row.protocol.removesuffix(' verification')} {row.score:.{row.digits}f}" for row in of_result)
            + (f" ({first.note})" if first.note else ""),
        )
    return table
