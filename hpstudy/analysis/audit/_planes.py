"""Features in two dimensions: what a picture of one trial needs, and how its angles are distributed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpstudy.catalog import LOSSES, MARGINS, SCALES

_MERGED = 0.99
"""Two prototypes with a larger cosine count as one, as where the geometry of a trial is measured: 8 degrees."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plane:
    """The training samples and the prototypes of one trial with K = 2."""

    condition: str
    arm: str
    loss: str
    """Catalogue name, or `margin+scale`."""
    s: float
    """At the end of training; NaN where the loss has none."""
    m: float
    """As configured; NaN where the loss has none."""
    num_classes: int
    samples: pd.DataFrame
    """Embeddings as the network gives them: `x`, `y` and `label`, the class from 0."""
    prototypes: pd.DataFrame
    """The rows of the last layer as they are: `x`, `y`, `label`."""
    accuracy: float
    """Fraction of the training samples that the loss assigns to their class; NaN where it was not measured."""

    @property
    def reads_norm(self) -> bool:
        """Whether the loss depends on how long features are; a loss from outside the catalogue may."""
        return loss_reads_norm(self.loss)


def loss_reads_norm(loss: str) -> bool:
    """Whether a loss, a catalogue name or `margin+scale`, depends on norms; one that is unknown may."""
    if loss in LOSSES:
        return not LOSSES[loss].norm_invariant
    margin, _, scale = loss.partition("+")
    if margin in MARGINS and scale in SCALES:
        return MARGINS[margin].reads_norm or SCALES[scale].reads_norm
    return True


def angle_shares(samples: pd.DataFrame, bins: int) -> pd.DataFrame:
    """How the directions of each class are distributed around the circle.

    Args:
        samples: `x`, `y` and `label`; points at the origin and points that are not finite have no direction.
        bins: Number of equal bins, the first from 0.

    Returns:
        A row for each class and bin that has a sample: `label`, `angle` (lower edge of the bin, rad in [0, 2π)),
        `share` (of the samples of the class with a direction).
    """
    x, y = samples["x"].to_numpy(dtype=float), samples["y"].to_numpy(dtype=float)
    directed = np.isfinite(x) & np.isfinite(y) & (np.hypot(x, y) > 0)
    turns = np.arctan2(y[directed], x[directed]) / (2 * np.pi) % 1.0
    found = pd.DataFrame({"label": samples["label"].to_numpy()[directed], "bin": (turns * bins).astype(int) % bins})
    counts = found.groupby(["label", "bin"]).size().rename("count").reset_index()
    totals = counts.groupby("label")["count"].transform("sum")
    return pd.DataFrame(
        {
            "label": counts["label"].astype(int),
            "angle": counts["bin"] * (2 * np.pi / bins),
            "share": counts["count"] / totals,
        }
    )


def merged_prototypes(prototypes: pd.DataFrame) -> list[list[int]]:
    """Classes whose prototypes count as one, as chains of neighbours with a cosine above 0.99.

    Args:
        prototypes: `x`, `y` and `label`; one at the origin has no direction.

    Returns:
        Groups of two classes and more, each in ascending order, the group with the least class first.
    """
    labels, near = _neighbours(prototypes)
    group = np.arange(len(labels))
    for i, j in np.argwhere(near):
        group[group == group[j]] = group[i]
    found = [sorted(int(label) for label in labels[group == one]) for one in np.unique(group)]
    return sorted(classes for classes in found if len(classes) > 1)


def merged_pairs(prototypes: pd.DataFrame) -> int:
    """Pairs of prototypes with a cosine above 0.99, as the geometry of a trial counts them.

    Args:
        prototypes: As in `merged_prototypes`.
    """
    _, near = _neighbours(prototypes)
    return int(np.triu(near, k=1).sum())


def _neighbours(prototypes: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Labels of the prototypes with a direction, and which of these have a cosine above 0.99."""
    ends = prototypes[["x", "y"]].to_numpy(dtype=float)
    lengths = np.hypot(ends[:, 0], ends[:, 1])
    directed = lengths > 0
    units = ends[directed] / lengths[directed, None]
    return prototypes["label"].to_numpy(dtype=np.int64)[directed], units @ units.T > _MERGED
