"""The bounds against the trials, and what happened during training."""

import pandas as pd

from hpstudy.reporting._bounds_figure import bounds_figure
from hpstudy.reporting._document import Document
from hpstudy.reporting._evidence import Evidence
from hpstudy.reporting._evidence_tables import crossing_table
from hpstudy.reporting._histogram_figure import histogram_figure
from hpstudy.reporting._map_figure import POSTERIOR
from hpstudy.reporting._tables import bounds_table, number, sizes_table
from hpstudy.reporting._trajectory_figure import trajectory_figure
from hpstudy.theory import cosface_margin_bound, cosface_scale_bound, margin_upper_bound

_ROWS = 4
_RIDGES = 26
"""Arms over all conditions that one figure of histograms holds."""


def bounds(evidence: Evidence, document: Document) -> None:
    """CosFace's bounds on s and m."""
    audit = evidence.bounds
    sizes = _sizes(evidence.trials)
    document.facts |= {
        "violations": audit.loc[audit["violation"], "trial_id"].to_list(),
        "audited": int(audit["tightness"].notna().sum()),
        "saturated": int((audit["posterior_min"].notna() & audit["scale_bound"].isna()).sum()),
        "sizes": sizes,
    }
    if audit.empty:
        document.data("bounds", audit)
        return
    if len(sizes) > 1:
        document.table("sizes", sizes_table(sizes), pd.DataFrame(sizes))
    document.table("bounds", bounds_table(audit, evidence.styles), audit)
    for batch, shown in evidence.batches(_ROWS, evidence.measured()):
        figure = bounds_figure(evidence.of(audit, batch), evidence.styles)
        alt = "Final scale against CosFace's bound, and margin met against margin"
        document.figure("bounds", figure, alt, shown)


def _sizes(trials: pd.DataFrame) -> list[dict[str, str]]:
    """What theory says of each (C, K) of the study."""
    sizes = trials[["num_classes", "embedding_dim"]].drop_duplicates().astype(int)
    return [
        {
            "classes": f"{classes:,}",
            "dim": f"{dim:,}",
            "scale": number(cosface_scale_bound(classes, POSTERIOR)),
            "paper": number(cosface_margin_bound(classes, dim), 4),
            "sharp": number(margin_upper_bound(classes, dim), 4),
            "few": "yes" if classes <= dim + 1 else "",
        }
        for classes, dim in sizes.itertuples(index=False)
    ]


def trajectories(evidence: Evidence, document: Document) -> None:
    """Angles, scales and what they imply, step by step."""
    courses = {course.condition: course for course in evidence.courses}
    document.facts["several_scales"] = any(
        bool((course.chosen.groupby("arm")["s"].nunique() > 1).any()) for course in courses.values()
    )
    for batch, shown in evidence.batches(_ROWS, list(courses)):
        figure = trajectory_figure([courses[c] for c in batch], evidence.styles)
        alt = "Target angle, log B, scale and implied posterior against the step"
        document.figure("trajectories", figure, alt, shown)
    found = [course.crossings for course in courses.values() if len(course.crossings)]
    crossings = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["step"])
    document.facts["moving"] = bool(found)
    if crossings["step"].notna().any():
        document.table("crossings", crossing_table(crossings, evidence.styles), crossings)
    elif found:
        document.data("crossings", crossings)


def histograms(evidence: Evidence, document: Document) -> None:
    """Angles at the start, in the middle and at the end."""
    angles = evidence.angles
    if angles.empty:
        return
    document.data("angles", angles)
    size = max(1, _RIDGES // max(len(evidence.kinds), 1))
    for batch, shown in evidence.batches(size, angles["condition"].drop_duplicates().to_list()):
        figure = histogram_figure(evidence.of(angles, batch), evidence.styles)
        document.figure("histograms", figure, "Histograms of angles to the own and to other prototypes", shown)
