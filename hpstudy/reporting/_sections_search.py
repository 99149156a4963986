"""What the searches found."""

from hpstudy.analysis import SURVIVORS, early_responses, fidelity, importance, pareto_front, surface_summary
from hpstudy.reporting._document import Document
from hpstudy.reporting._evidence import Evidence
from hpstudy.reporting._fidelity_figure import fidelity_figure
from hpstudy.reporting._importance_figure import importance_figure
from hpstudy.reporting._map_figure import POSTERIOR, map_figure, mapped_arms
from hpstudy.reporting._pareto_figure import pareto_figure, pareto_table
from hpstudy.reporting._response_tables import fidelity_table, importance_table, surface_table
from hpstudy.reporting._search_figure import search_figure, search_panels

_PANELS = 12


def searches(evidence: Evidence, document: Document) -> None:
    """The best so far against what was spent."""
    document.data("search_curve", evidence.curve)
    if document.facts["headline_figure"] == "search":
        return
    ended = evidence.curve.loc[evidence.curve["best"].notna(), "condition"].drop_duplicates().to_list()
    for batch, shown in evidence.batches(_PANELS, ended):
        curve, summary = evidence.of(evidence.curve, batch), evidence.of(evidence.summary, batch)
        draw = search_figure if len(batch) == 1 else search_panels
        figure = draw(curve, summary, evidence.styles, evidence.objective)
        document.figure("search", figure, "Best validation value so far against trials and epochs", shown)


def maps(evidence: Evidence, document: Document) -> None:
    """Points in the plane of s and m over the fitted response."""
    document.facts["posterior"] = f"{POSTERIOR:g}"
    fitted = evidence.surfaces
    document.facts["fitted"] = any(not surface.reason for surface in fitted)
    for condition in evidence.conditions:
        points = evidence.of(evidence.points, [condition])
        arms = mapped_arms(points)
        if arms:
            here = [surface for surface in fitted if surface.condition == condition]
            figure = map_figure(points, arms, evidence.objective, here)
            shown = condition if len(evidence.conditions) > 1 else ""
            document.figure("map", figure, "Points of the searches in the plane of scale and margin", shown)
    summary = surface_summary(fitted)
    if document.facts["fitted"]:
        document.table("surfaces", surface_table(summary, evidence.styles, evidence.objective), summary)
    elif len(summary):
        document.data("surfaces", summary)


def importances(evidence: Evidence, document: Document) -> None:
    """Which searched value moved the objective."""
    facts = evidence.facts
    early = (
        early_responses(evidence.trials, facts.epochs, facts.objective, facts.ranges, epoch=facts.rungs[0])
        if facts.rungs
        else []
    )
    shares = importance(evidence.responses, early)
    known = shares[shares["share"].notna()]
    if known.empty:
        return
    document.table("importance", importance_table(shares, evidence.styles, evidence.objective), shares)
    for batch, shown in evidence.batches(1, known["condition"].drop_duplicates().to_list()):
        figure = importance_figure(evidence.of(shares, batch), evidence.styles)
        document.figure("importance", figure, "Share of each searched value in the variance of the objective", shown)


def fidelities(evidence: Evidence, document: Document) -> None:
    """Whether an early stop would have been right."""
    facts = evidence.facts
    ranks = fidelity(evidence.trials, facts.epochs, facts.objective, rungs=facts.rungs, keep=facts.keep)
    document.facts |= {
        "keep": f"{100 * facts.keep:.0f} %",
        "rungs": [str(rung) for rung in facts.rungs],
        "survivors": bool((ranks["subset"] == SURVIVORS).any()),
    }
    if ranks.empty:
        return
    document.table("fidelity", fidelity_table(ranks, evidence.styles, evidence.objective), ranks)
    for batch, shown in evidence.batches(1, ranks["condition"].drop_duplicates().to_list()):
        figure = fidelity_figure(evidence.of(ranks, batch), evidence.styles)
        document.figure("fidelity", figure, "Rank correlation of values at each epoch with those at the end", shown)


def objectives(evidence: Evidence, document: Document) -> None:
    """Several objectives of a search against each other."""
    names = evidence.facts.objectives
    if len(names) < 2:
        return
    front = pareto_front(evidence.trials, names)
    document.table("pareto", pareto_table(front, names, evidence.styles), front)
    for condition in front["condition"].drop_duplicates():
        figure = pareto_figure(evidence.of(front, [condition]), names, evidence.styles)
        shown = condition if len(evidence.conditions) > 1 else ""
        document.figure("pareto", figure, "Trials in several objectives, and the front that none of them beats", shown)
