"""From several studies to a folder with figures, tables and a PDF."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.analysis import (
    NO_TRIAL,
    Across,
    ArmKind,
    ComparedStudy,
    across,
    arm_kinds,
    arms_across,
    between_studies,
    cautions,
    differing_keys,
    merged_studies,
    metric_name,
    settings_words,
    shared_facts,
)
from hpstudy.reporting import _across_tables as tables
from hpstudy.reporting._across_figure import across_forest, scales_figure
from hpstudy.reporting._document import Document
from hpstudy.reporting._map_figure import POSTERIOR
from hpstudy.reporting._price_table import compute_unit, price_table
from hpstudy.reporting._style import ArmStyle, arm_styles, drawing
from hpstudy.reporting._typst import typeset

_MOST_ROWS = 30
"""Rows of a forest that fit a page."""


def build_comparison(studies: Sequence[ComparedStudy], folder: Path) -> Path:
    """Writes `report.pdf`, which compares studies, and everything it is made of into `folder`.

    The folder is laid out as that of `build_report`, with `across.typ` as the source. Equal studies give equal bytes.

    Args:
        studies: Two or more, of which two have a trial at least, in the order of the report.
        folder: Made if missing; figures and tables of an earlier comparison in it are replaced.

    Returns:
        The PDF.
    """
    found, styles = across(studies), arm_styles(_kinds(studies))
    document = Document(folder, _words(studies, found))
    with drawing():
        _first_page(document, studies, found, styles)
        _comparability(document, studies)
        _pooled(document, studies, found, styles)
        _arms(document, studies, styles)
        _between(document, studies, styles)
        _prices(document, found, styles)
        document.table("sources", tables.sources_table(studies), _sources(studies))
        document.data("comparisons", found.comparisons)
    return typeset(document.content(), folder, main="across.typ")


def _kinds(studies: Sequence[ComparedStudy]) -> dict[str, ArmKind]:
    """Every arm of every study; the first to have a name decides what it is drawn as."""
    kinds: dict[str, ArmKind] = {}
    for study in studies:
        if not study.trials.empty:
            kinds = arm_kinds(study.trials) | kinds
    return dict(sorted(kinds.items(), key=lambda item: (item[1] == "adaptive", item[0])))


def _words(studies: Sequence[ComparedStudy], found: Across) -> dict[str, str]:
    """What the studies put into headings of tables."""
    names = [metric_name(study.metric) for study in studies]
    units, differences = {name.unit for name in names}, {name.difference_unit for name in names}
    devices = {"GPU" if _used_gpu(study) else "CPU" for study in studies if not study.trials.empty}
    hours = found.prices["search_hours"] if len(found.prices) else pd.Series(dtype=float)
    unit, difference = units.pop() if len(units) == 1 else "", differences.pop() if len(differences) == 1 else ""
    return {
        "percent": f" ({unit})" if unit else "",
        "points": f" ({difference})" if difference else "",
        "identities": "test",
        "device": devices.pop() if len(devices) == 1 else "compute",
        "time": "h",
        "price_time": compute_unit(hours)[1],
    }


def _used_gpu(study: ComparedStudy) -> bool:
    return "cost/gpu_s" in study.trials and bool((study.trials["cost/gpu_s"].fillna(0) > 0).any())


def _first_page(
    document: Document, studies: Sequence[ComparedStudy], found: Across, styles: dict[str, ArmStyle]
) -> None:
    """The answer, the figure that decides it, a row for each study and condition."""
    questions = list(dict.fromkeys(study.facts.question for study in studies if study.facts.question))
    begun = [study for study in studies if not study.trials.empty]
    document.facts |= {
        "name": f"{len(studies)} studies compared",
        "studies": [study.label for study in studies],
        "conditions": [study.label for study in studies],
        "identities": "test",
        "question": questions[0] if len(questions) == 1 else "",
        "headline": found.headline,
        "paragraph": found.paragraph,
        "places": int((found.table["word"] != NO_TRIAL).sum()),
        "trials": sum(len(study.trials) for study in studies),
        "metrics": list(dict.fromkeys(metric_name(study.metric).title for study in begun)),
        "margins": list(dict.fromkeys(study.margin_text for study in begun)),
        "open": [_reason(row) for row in found.table.to_dict("records") if row["word"] == "not compared"],
    }
    document.table("studies", tables.answers_table(found.table, styles), found.table)
    measured = found.table[found.table["word"] != NO_TRIAL]
    if measured["difference"].notna().any():
        chunks = _chunks(measured)
        for i, chunk in enumerate(chunks):
            pooled = found.pooled if i == len(chunks) - 1 else found.pooled.head(0)
            alt = "Forest plot of the difference between the best tuned and the best adaptive arm of each study"
            document.figure("differences", across_forest(chunk, pooled, styles), alt)


def _reason(row: Mapping[Any, Any]) -> str:
    """Why nothing was compared in a study or one of its conditions."""
    condition = f", {row['condition']}" if row["condition"] not in ("", "default") else ""
    return f"{row['study']}{condition}: {row['reason']}"


def _chunks(found: pd.DataFrame) -> list[pd.DataFrame]:
    """Studies whose rows fit one figure each; a study is not torn apart unless it fills a page alone."""
    chunks: list[list[pd.DataFrame]] = [[]]
    for _, rows in found.groupby("study", sort=False):
        for start in range(0, len(rows), _MOST_ROWS):
            part = rows.iloc[start : start + _MOST_ROWS]
            if chunks[-1] and sum(map(len, chunks[-1])) + len(part) > _MOST_ROWS:
                chunks.append([])
            chunks[-1].append(part)
    return [pd.concat(parts) for parts in chunks if parts]


def _comparability(document: Document, studies: Sequence[ComparedStudy]) -> None:
    """What the studies share, what differs, and where comparing them is unfair."""
    shared, keys = shared_facts(studies), differing_keys(studies)
    labels = [study.label for study in studies]
    document.facts |= {"cautions": cautions(studies)}
    for name, frame in (("shared", shared), ("differing_keys", keys)):
        document.table(name, tables.facts_table(frame, labels), frame.assign(studies=frame["studies"].map(", ".join)))


def _pooled(document: Document, studies: Sequence[ComparedStudy], found: Across, styles: dict[str, ArmStyle]) -> None:
    """What the studies say together."""
    document.facts |= {"merged": [[study.label for study in group] for group in merged_studies(studies)]}
    document.table("pooled", tables.pooled_table(found.pooled, styles), found.pooled)


def _arms(document: Document, studies: Sequence[ComparedStudy], styles: dict[str, ArmStyle]) -> None:
    """What the same arm chose and scored in each study."""
    arms = arms_across(studies)
    document.facts |= {"posterior": f"{POSTERIOR:g}", "sizes": 0}
    document.table("arms", tables.chosen_table(arms, styles), arms)
    figure = scales_figure(arms, styles, POSTERIOR) if len(arms) else None
    if figure is not None:
        document.facts["sizes"] = int(arms[["num_classes", "embedding_dim"]].nunique().gt(1).sum())
        document.figure("scales", figure, "Chosen scale of each arm against the number of classes and dimensions")


def _between(document: Document, studies: Sequence[ComparedStudy], styles: dict[str, ArmStyle]) -> None:
    """The same arm in two studies on the same test identities."""
    between = between_studies(studies)
    metrics = {study.label: study.metric for study in studies}
    document.data("between", between)
    names = []
    for i, (metric, rows) in enumerate(between.groupby(between["study"].map(metrics), sort=False), start=1):
        names.append(f"between-{i:02d}")
        document.table(names[-1], tables.between_table(rows, str(metric), styles), rows)
    document.facts |= {"between": names, "checks": settings_words(between)}


def _prices(document: Document, found: Across, styles: dict[str, ArmStyle]) -> None:
    """What it takes to break even in each study."""
    if len(found.prices):
        shown = tables.priced(found.prices, found.table)
        document.table("break_even", price_table(shown, styles), found.prices)


def _sources(studies: Sequence[ComparedStudy]) -> pd.DataFrame:
    """One row per study and session."""
    rows = [
        {"study": study.label, "name": study.facts.name, "sha256": study.sha256, **session}
        for study in studies
        for session in (study.sessions or [{}])
    ]
    return pd.DataFrame(rows)
