"""The first page, the comparisons behind it, and the price of tuning."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from hpstudy.analysis import chance_level, price_headline
from hpstudy.reporting._document import Document
from hpstudy.reporting._evidence import SINGLE, Evidence
from hpstudy.reporting._evidence_tables import price_note, verdict_table, with_prices
from hpstudy.reporting._forest import difference_forest, forest
from hpstudy.reporting._price_figure import COLUMNS, price_figure
from hpstudy.reporting._price_table import price_table
from hpstudy.reporting._search_figure import search_figure, search_panels
from hpstudy.reporting._tables import comparison_table

_MEANS = "Forest plot of the confirm means of every arm"
_SEARCH = "Best validation value so far against trials and epochs"
_PANELS, _ROWS = 9, 4


def first_page(evidence: Evidence, document: Document) -> None:
    """The answer, the figure that decides it, and a row for each condition."""
    facts, found = evidence.facts, evidence.verdict
    several = len(evidence.conditions) > 1
    rest = found.paragraph.removeprefix(found.headline).strip()
    compared = evidence.comparisons
    chance = chance_level(evidence.metric)
    confirm = evidence.trials[evidence.trials["phase"] == "confirm"]
    document.facts |= {
        "name": facts.name,
        "question": facts.question,
        "headline": found.headline,
        "rest": rest,
        "price": price_headline(found.duels, evidence.prices),
        "arms": len({*evidence.kinds, *facts.arms}),
        "unfinished": facts.study.unfinished(evidence.trials),
        "conditions": evidence.conditions,
        "trials": len(evidence.trials),
        "seeds": int(confirm["seed"].nunique()),
        "metric": evidence.name.title,
        "objective": evidence.objective.title,
        "metric_unit": evidence.name.unit,
        "identities": "test" if evidence.metric.startswith("test/") else "validation",
        "margin": evidence.name.magnitude(evidence.margin),
        "chance": evidence.name.value(chance) if chance == chance else "chance",
        "comparisons": int(compared["p_holm"].notna().sum()),
        "searches": int(compared["searches"].max()) if len(compared) else 1,
        "headline_figure": _headline_figure(evidence, document),
    }
    priced = with_prices(found.duels, evidence.prices)
    table = verdict_table(priced, evidence.styles, evidence.name, several=several)
    document.table("verdict", table, priced)


def _headline_figure(evidence: Evidence, document: Document) -> str:
    """Draws the figure that decides; returns what it shows."""
    notes = _notes(evidence)
    if evidence.summary["mean"].isna().all():
        if not evidence.curve["best"].notna().any():
            return ""
        if len(evidence.conditions) == 1:
            figure = search_figure(evidence.curve, evidence.summary, evidence.styles, evidence.objective)
        else:
            figure = search_panels(evidence.curve, evidence.summary, evidence.styles, evidence.objective)
        document.figure("headline", figure, _SEARCH)
        return "search"
    if not evidence.many:
        notes = notes if len(evidence.conditions) == 1 else {}
        document.figure("headline", means(evidence, evidence.conditions, notes), _MEANS)
        return "means"
    if evidence.duels.empty:
        return ""
    figure = difference_forest(evidence.duels, evidence.styles, evidence.name, evidence.margin, notes)
    document.figure("headline", figure, "Forest plot of the differences between the best arms of each condition")
    return "differences"


def _notes(evidence: Evidence) -> dict[str, str]:
    """n* beside a figure: of every searched arm in the one condition, or of the best arm in each of many."""
    duels, prices = evidence.duels, evidence.prices
    if duels.empty or prices.empty:
        return {}
    if evidence.many:
        keys = ["condition", "arm", "adaptive"]
        rows = duels[keys].merge(prices, on=keys).to_dict("records")
        return {str(row["condition"]): price_note(_strings(row)) for row in rows}
    rival = str(duels["adaptive"].iloc[0])
    here = prices[(prices["condition"] == duels["condition"].iloc[0]) & (prices["adaptive"] == rival)]
    return {str(row["arm"]): price_note(_strings(row)) for row in here.to_dict("records")}


def _strings(row: Mapping[object, object]) -> dict[str, object]:
    return {str(key): value for key, value in row.items()}


def means(evidence: Evidence, shown: Sequence[str], notes: Mapping[str, str] | None = None) -> Figure:
    """Forest plot of the confirm means in some conditions."""
    return forest(evidence.summary, evidence.by_seed, evidence.styles, evidence.name, evidence.margin, shown, notes)


def comparisons(evidence: Evidence, document: Document) -> None:
    """Every tuned arm against every adaptive one."""
    table = comparison_table(evidence.comparisons, evidence.styles, evidence.name)
    document.table("comparisons", table, evidence.comparisons)
    # Up to three conditions are on the first page.
    if len(evidence.conditions) > SINGLE and evidence.summary["mean"].notna().any():
        for batch, shown in evidence.batches(_PANELS if len(evidence.kinds) <= 8 else 3):
            document.figure("means", means(evidence, batch), _MEANS, shown)


def price(evidence: Evidence, document: Document) -> None:
    """What the best of n trials is worth, and how many it takes."""
    document.data("price", evidence.best)
    document.table("break_even", price_table(evidence.prices, evidence.styles), evidence.prices)
    document.facts |= {
        "adapts": evidence.facts.sampler not in ("random", "qmc", "grid"),
        "given_first": bool(evidence.facts.given_first),
    }
    together = _ROWS if evidence.prices["arm"].nunique() <= COLUMNS else 1
    for batch, shown in evidence.batches(together, evidence.prices["condition"].drop_duplicates().to_list()):
        curves, prices = evidence.of(evidence.best, batch), evidence.of(evidence.prices, batch)
        figure = price_figure(curves, prices, evidence.styles, evidence.objective, evidence.device)
        alt = "Expected best of n trials of each searched arm, with the adaptive scales as bands"
        document.figure("price", figure, alt, shown)
