"""The first page of a survey, which chooses nothing and compares no arms: what it lists, and what that shows."""

import pandas as pd

from hpstudy.analysis import scale_text
from hpstudy.reporting import _sections_training as training
from hpstudy.reporting._document import Document
from hpstudy.reporting._evidence import Evidence
from hpstudy.reporting._evidence_tables import pooled_cost
from hpstudy.reporting._sections_account import MOST_DIVERGENCES
from hpstudy.reporting._tables import DASH, Table, arm_cell, cost_rows, divergence_table, number, span


def first_page(evidence: Evidence, document: Document) -> None:
    """The question, what was listed, and what the trials say."""
    facts = evidence.facts
    document.facts |= {
        "survey": True,
        "name": facts.name,
        "question": facts.question,
        "headline": evidence.verdict.headline,
        "arms": len({*evidence.kinds, *facts.arms}),
        "unfinished": facts.study.unfinished(evidence.trials),
        "conditions": evidence.conditions,
        "trials": len(evidence.trials),
        "points": len(evidence.trials.drop_duplicates(["condition", "arm", "number"])),
        "seeds": int(evidence.trials["seed"].nunique()),
        "metric": evidence.name.title if evidence.trials.get(evidence.metric, pd.Series()).notna().any() else "",
        "lead_figure": _lead_figure(evidence),
        "identities": "test",
        "comparisons": 0,
    }
    table = listed_arms(evidence)
    document.table("listed", table, evidence.trials.groupby("arm", sort=True).size().rename("trials").reset_index())
    document.data("trials", evidence.trials)
    document.data("bounds", evidence.bounds)


_COURSES = 8
"""Conditions whose courses a survey draws."""
_FIGURES = {
    "planes": "planes",
    "joint": "joint",
    "margin": "margin_bound",
    "stability": "stability",
    "floor": "loss_floor",
    "scale": "scale_audit",
    "premises": "premises",
}
"""The figure that shows a topic at a glance."""


def _lead_figure(evidence: Evidence) -> str:
    """What the first page draws: its first topic."""
    findings = evidence.audit.findings
    return _FIGURES[findings[0].topic] if findings else ""


def trajectories(evidence: Evidence, document: Document) -> None:
    """Angles, scales and the posteriors that they imply, of arms with one point, where that is not too many figures."""
    if len(evidence.conditions) <= _COURSES:
        training.trajectories(evidence, document)


def cost(evidence: Evidence, document: Document) -> None:
    """Trials by outcome, and compute."""
    listed = evidence.cost.assign(phase="grid")
    shown = pooled_cost(listed) if evidence.many else listed
    document.table("cost", cost_rows(shown, evidence.styles), listed)


def divergence(evidence: Evidence, document: Document) -> None:
    """Which trials diverged."""
    diverged = evidence.diverged
    document.table("divergences", divergence_table(diverged, MOST_DIVERGENCES), diverged)
    document.data("divergence_rates", evidence.rates)
    document.facts |= {
        "diverged": len(diverged),
        "diverged_shown": min(len(diverged), MOST_DIVERGENCES),
        "failed": int((evidence.trials["status"] == "failed").sum()),
    }


def listed_arms(evidence: Evidence) -> Table:
    """What each arm lists and how its trials ended."""
    table = Table(
        [
            ("arm", "left"), ("loss", "left"), ("s", "left"), ("m", "left"), ("trials", "right"),
            ("completed", "right"), ("diverged", "right"), ("failed", "right"),
        ],
        headings={"loss": "loss"},
    )  # fmt: skip
    for arm in evidence.styles:
        rows = evidence.trials[evidence.trials["arm"] == arm]
        status = rows["status"].value_counts()
        table.row(
            arm_cell(arm, evidence.styles),
            str(rows["loss"].iloc[0]).replace("_", " "),
            _scales(rows["s"], evidence.kinds[arm]),
            span(rows["m"], number),
            f"{len(rows):,}",
            *(
                f"{status.get(name, 0):,}" if status.get(name, 0) else DASH
                for name in ("completed", "diverged", "failed")
            ),
        )
    return table


def _scales(scales: pd.Series, kind: str) -> str:
    if scales.notna().any():
        return span(scales, scale_text)
    return "by rule" if kind == "adaptive" else DASH
