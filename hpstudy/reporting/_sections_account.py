"""What the arms were, what moved their scores, what they cost, and what went wrong."""

from hpstudy.reporting import _tables as tables
from hpstudy.reporting._document import Document
from hpstudy.reporting._evidence import Evidence
from hpstudy.reporting._evidence_tables import (
    identities_table,
    listed_table,
    pooled_cost,
    protocol_table,
    rates_table,
    variance_table,
)

MOST_DIVERGENCES = 20
"""Diverged trials that a page lists."""


def arms(evidence: Evidence, document: Document) -> None:
    """What each arm was set to and scored."""
    table = tables.arms_table(evidence.summary, evidence.settings, evidence.styles, evidence.name)
    document.table("confirm", table, evidence.summary)
    document.data("settings", evidence.settings)
    document.data("trials", evidence.trials)


def variance(evidence: Evidence, document: Document) -> None:
    """How far search, training seed and the rest move a score."""
    found = evidence.variance
    evaluated = bool(found["evaluation_std"].notna().any())
    # One number of one seed says nothing of spread.
    known = found[["search_std", "seed_std", "rest_std", "evaluation_std"]].notna().any(axis=1)
    document.table("variance", variance_table(found[known], evidence.styles, evidence.name), found)
    document.facts |= {
        "evaluated": evaluated,
        "one_search": bool((found["searches"] == 1).any()),
        "repeated": bool((found["searches"] > 1).any()),
    }


def identities(evidence: Evidence, document: Document) -> None:
    """The comparisons again, for other test identities too."""
    found = evidence.identities
    if found["samples"].max() > 0:
        seeds = evidence.comparisons[["low", "high"]].add_prefix("seed_")
        found = found.join(seeds)
        judged = found[found["low"].notna()]
        document.table("identities", identities_table(judged, evidence.styles, evidence.name), found)


def protocol(evidence: Evidence, document: Document) -> None:
    """Rules that were kept or not, and what departed from the study file."""
    checks, departed = evidence.facts.protocol, evidence.facts.deviations
    if len(checks):
        document.table("protocol", protocol_table(checks), checks)
        document.facts["broken"] = int((checks["held"] == "no").sum())
    if len(departed):
        document.table("deviations", listed_table(departed), departed)


def cost(evidence: Evidence, document: Document) -> None:
    """Trials by outcome, and compute."""
    shown = pooled_cost(evidence.cost) if evidence.many else evidence.cost
    document.table("cost", tables.cost_rows(shown, evidence.styles), evidence.cost)


def divergence(evidence: Evidence, document: Document) -> None:
    """Which trials diverged, and how often those of each arm did."""
    diverged = evidence.diverged
    document.table("divergences", tables.divergence_table(diverged, MOST_DIVERGENCES), diverged)
    document.table(
        "divergence_rates", rates_table(evidence.rates, list(evidence.kinds), evidence.styles), evidence.rates
    )
    document.facts |= {
        "diverged": len(diverged),
        "diverged_shown": min(len(diverged), MOST_DIVERGENCES),
        "failed": int((evidence.trials["status"] == "failed").sum()),
    }


def provenance(evidence: Evidence, document: Document) -> None:
    """What ran the study."""
    document.facts |= {
        "provenance": [[str(key), str(value)] for key, value in evidence.facts.provenance.items()],
        "sha256": evidence.facts.sha256,
        "yaml": evidence.facts.resolved_yaml,
    }
