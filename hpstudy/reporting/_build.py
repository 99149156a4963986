"""From facts to a folder with figures, tables and a PDF."""

from pathlib import Path

from hpstudy.reporting import _sections_account as account
from hpstudy.reporting import _sections_across as across
from hpstudy.reporting import _sections_search as search
from hpstudy.reporting import _sections_survey as survey
from hpstudy.reporting import _sections_training as training
from hpstudy.reporting import _sections_verdict as answer
from hpstudy.reporting._document import Document
from hpstudy.reporting._evidence import Evidence
from hpstudy.reporting._facts import ReportFacts
from hpstudy.reporting._price_table import compute_unit
from hpstudy.reporting._style import drawing
from hpstudy.reporting._tables import time_unit
from hpstudy.reporting._typst import typeset
from hpstudy.reporting.audit import _sections as audit

AUDIT = (
    audit.self_check,
    audit.scale_bound,
    audit.margin_bound,
    audit.joint_bound,
    audit.floor,
    audit.stability,
    audit.premises,
    audit.planes,
)
SECTIONS = (
    answer.first_page,
    answer.comparisons,
    answer.price,
    search.searches,
    search.maps,
    training.bounds,
    *AUDIT,
    training.trajectories,
    training.histograms,
    search.importances,
    search.fidelities,
    search.objectives,
    across.profiles,
    account.arms,
    account.variance,
    account.identities,
    account.cost,
    account.divergence,
    account.protocol,
    across.published,
    account.provenance,
)
"""What a report is made of, in the order of its pages. Each enters its figures, tables and facts into the document;
the template that prints them leaves out a section without content."""
SURVEY_SECTIONS = (
    survey.first_page,
    *AUDIT,
    survey.trajectories,
    survey.cost,
    survey.divergence,
    account.protocol,
    account.provenance,
)
"""What the report of a survey is made of."""


def build_report(facts: ReportFacts, folder: Path) -> Path:
    """Writes `report.pdf` and everything it is made of into `folder`.

    `folder/figures` holds each figure as SVG, PDF and PNG, `folder/tables` each table as CSV (every digit, and the
    numbers behind figures) and LaTeX (as printed), `report.typ` and `report.json` the source, from which
    `typst compile report.typ` makes the same PDF. Equal facts give equal bytes.

    Args:
        facts: What the study was and what came of it.
        folder: Made if missing; figures and tables of an earlier report in it are replaced.

    Returns:
        The PDF.
    """
    evidence = Evidence(facts)
    document = Document(folder, _words(evidence))
    with drawing():
        for section in SURVEY_SECTIONS if facts.survey else SECTIONS:
            section(evidence, document)
    return typeset(document.content(), folder)


def _words(evidence: Evidence) -> dict[str, str]:
    """What the study puts into headings of tables."""
    unit, difference = evidence.name.unit, evidence.name.difference_unit
    _, time = time_unit(evidence.cost)
    return {
        "percent": f" ({unit})" if unit else "",
        "points": f" ({difference})" if difference else "",
        "margin": evidence.objective.magnitude(evidence.margin),
        "identities": "test" if evidence.metric.startswith("test/") else "validation",
        "device": evidence.device,
        "time": time,
        "price_time": "" if evidence.facts.survey else compute_unit(evidence.prices["search_hours"])[1],
    }
