"""The audit: CosFace's bounds, NormFace's floor and AdaCos's rule against the trials of a study."""

from collections.abc import Iterator, Sequence

import pandas as pd

from hpstudy.analysis import margin_of
from hpstudy.catalog import LOSSES, MARGINS
from hpstudy.reporting._document import Document
from hpstudy.reporting._evidence import Evidence
from hpstudy.reporting._evidence_tables import protocol_table
from hpstudy.reporting.audit._decision_figure import Decision, decision_figure
from hpstudy.reporting.audit._floor_tables import floor_table, joint_table, smallest_scale_table
from hpstudy.reporting.audit._joint_figure import joint_figure
from hpstudy.reporting.audit._loss_floor_figure import SIZES_SHOWN, loss_floor_figure
from hpstudy.reporting.audit._margin_drop_figure import margin_bound_figure, margin_drop_figure
from hpstudy.reporting.audit._margin_drop_table import margin_drop_table, margin_geometry_table
from hpstudy.reporting.audit._margin_scores_table import margin_scores_table
from hpstudy.reporting.audit._plane_figure import plane_figure
from hpstudy.reporting.audit._posterior_curves_figure import posterior_curves_figure
from hpstudy.reporting.audit._premises_figure import premises_figure
from hpstudy.reporting.audit._premises_table import premises_table
from hpstudy.reporting.audit._scale_audit_figure import ROWS, scale_audit_figure
from hpstudy.reporting.audit._scale_audit_table import (
    below_bound_table,
    best_scales_table,
    convergence_table,
    scale_audit_table,
)
from hpstudy.reporting.audit._stability_figure import stability_figure
from hpstudy.reporting.audit._stability_scale_figure import stability_scale_figure
from hpstudy.reporting.audit._stability_table import agreement_table, stability_table

_DRAWN = ("normface", "sphereface", "cosface", "arcface", "combined")
_FALLS = 16
_PLANES = 9
_JOINT_CONDITIONS = 3
_SIZES = 3
_PRINTED = 40
"""Rows of a table that a page still holds; longer ones are in tables/ alone."""


def self_check(evidence: Evidence, document: Document) -> None:
    """Laws that hold for all unit prototypes, held against every trial that measured its own."""
    checks = evidence.audit.checks
    judged = checks[checks["held"] != "not applicable"]
    document.facts |= {
        "findings": {
            finding.topic: {"title": finding.title, "sentences": list(finding.sentences)}
            for finding in evidence.audit.findings
        },
        "scored": bool(len(evidence.audit.scales)) and bool(evidence.audit.scales["score"].notna().any()),
        "laws": len(judged),
        "laws_broken": evidence.audit.broken,
        "laws_trials": int(evidence.trials.get("geometry/max_prototype_cosine", pd.Series(dtype=float)).notna().sum()),
    }
    document.table("self_check", protocol_table(judged.drop(columns="trials")), checks)


def scale_bound(evidence: Evidence, document: Document) -> None:
    """Sweeps of s: convergence, tightness and scores against eq. 6."""
    audit = evidence.audit
    scales = audit.scales
    if scales.empty:
        return
    document.table("best_scales", best_scales_table(audit.best, evidence.styles, evidence.name), audit.best)
    document.table("below_bound", below_bound_table(audit.below), audit.below)
    document.table("convergence", convergence_table(audit.fits), audit.fits)
    document.table("scales", scale_audit_table(scales, evidence.styles, evidence.name), scales)
    document.data("converged", audit.shares)
    for shown, here in _batches(scales, ROWS):
        figure = scale_audit_figure(here, audit.shares, audit.fits, evidence.styles, evidence.name)
        alt = "Score, share converged, epochs to convergence and tightness against s"
        document.figure("scale_audit", figure, alt, shown)


def margin_bound(evidence: Evidence, document: Document) -> None:
    """Sweeps of m: where the satisfied fraction falls, against the bounds."""
    audit = evidence.audit
    drops = audit.drops
    if drops.empty:
        return
    document.data("margin_curve", audit.curve)
    document.table("margin_drops", margin_drop_table(drops, evidence.styles), drops)
    document.table("margin_geometry", margin_geometry_table(drops, evidence.styles), drops)
    if len(scored := audit.margin_scores):
        table = margin_scores_table(scored, evidence.styles, evidence.name)
        document.table("margin_scores", table, scored)
    document.figure(
        "margin_bound",
        margin_bound_figure(drops, evidence.styles),
        "Where the margin stops being met against the bounds",
    )
    for start in range(0, len(drops), _FALLS):
        here = drops.iloc[start : start + _FALLS]
        figure = margin_drop_figure(audit.margins, audit.curve, here, evidence.styles)
        document.figure("margin_drop", figure, "Samples that meet the margin against the margin")


def joint_bound(evidence: Evidence, document: Document) -> None:
    """Grids of s and m: which posterior they reach together."""
    audit = evidence.audit
    if not audit.has_joint_grid:
        return
    document.data("joint_trials", audit.joint)
    document.table("joint", joint_table(audit.reach, audit.joint, evidence.styles), audit.reach)
    for shown, here in _batches(audit.joint, _JOINT_CONDITIONS):
        figure = joint_figure(here, evidence.styles)
        document.figure("joint", figure, "Log odds of the smallest posterior with the margin against the margin", shown)


def floor(evidence: Evidence, document: Document) -> None:
    """Training losses against the least that s and m allow."""
    audit = evidence.audit
    if not audit.has_floor:
        return
    found = audit.floor
    document.table("floor", floor_table(found, evidence.styles), found)
    if any((found["s"] - 1).abs() < 1e-6):
        document.table("smallest_scale", smallest_scale_table(found), found[["num_classes"]].drop_duplicates())
    known = found[found["floor"].notna()]
    sizes = known[["num_classes", "embedding_dim"]].drop_duplicates().itertuples(index=False, name=None)
    wanted = list(sizes)
    for start in range(0, len(wanted), SIZES_SHOWN):
        batch = set(wanted[start : start + SIZES_SHOWN])
        here = known[[pair in batch for pair in zip(known["num_classes"], known["embedding_dim"], strict=True)]]
        document.figure(
            "loss_floor", loss_floor_figure(here, evidence.styles), "Training loss against s, with its floor"
        )


def stability(evidence: Evidence, document: Document) -> None:
    """Where dynamic AdaCos runs away."""
    audit = evidence.audit
    found = audit.stability
    if found.empty:
        return
    table = stability_table(found, evidence.styles)
    if len(table.rows) <= _PRINTED:
        document.table("stability", table, found)
    else:
        document.data("stability", found)
    if len(audit.agreement):
        document.table("agreement", agreement_table(audit.agreement, evidence.styles), audit.agreement)
    document.figure("stability", stability_figure(found), "Share of trials that ran away over C and K")
    document.figure("stability_scale", stability_scale_figure(found), "Final scales over K")


def premises(evidence: Evidence, document: Document) -> None:
    """What AdaCos takes for granted."""
    audit = evidence.audit
    if audit.premises.empty:
        return
    table = premises_table(audit.premises, evidence.styles)
    if len(table.rows) <= _PRINTED:
        document.table("premises", table, audit.premises)
    else:
        document.data("premises", audit.premises)
    for shown, here in list(_batches(audit.courses, ROWS))[:2]:
        document.figure("premises", premises_figure(here, evidence.styles), "Premises of AdaCos during training", shown)
    sizes = sorted({int(count) for count in evidence.trials["num_classes"]})
    document.figure("posterior_curves", posterior_curves_figure(sizes[-_SIZES:]), "P(θ) over scales and margins")


def planes(evidence: Evidence, document: Document) -> None:
    """Features in two dimensions, and the margins that hold two classes apart."""
    found = evidence.audit.planes
    if not evidence.audit.shows_planes:
        return
    document.data("planes", evidence.audit.spread)
    for start in range(0, len(found), _PLANES):
        document.figure("planes", plane_figure(found[start : start + _PLANES]), "Features of each arm in the plane")
    document.figure("decision", decision_figure(_decisions(evidence.trials)), "Decision margins of two classes")


def _decisions(trials: pd.DataFrame) -> Sequence[Decision]:
    """The boundary of each loss that the papers draw, with the m of the study's own arm where it has one."""
    given = {margin_of(str(row["loss"])): float(row["m"]) for row in trials.dropna(subset=["m"]).to_dict("records")}
    decisions: list[Decision] = [("softmax", "softmax", {})]
    for loss in _DRAWN:
        info = LOSSES[loss]
        parameters = {name: row.default for name, row in MARGINS[info.margin].parameters.items()}
        if "m" in parameters:
            parameters["m"] = given.get(info.margin, info.parameters["m"].default)
        decisions.append((info.title, info.margin, parameters))
    return decisions


def _batches(frame: pd.DataFrame, size: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows of so many conditions at a time, and how a caption names them: empty if one figure has them all."""
    names = [str(name) for name in frame["condition"].drop_duplicates()]
    for start in range(0, len(names), size):
        batch = names[start : start + size]
        yield (", ".join(batch) if len(names) > size else ""), frame[frame["condition"].isin(batch)]
