"""How classes share the plane, in words."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpstudy.analysis._words import listed
from hpstudy.analysis.audit._planes import Plane, merged_prototypes


def plane_spread(planes: Sequence[Plane]) -> pd.DataFrame:
    """How far each class of each picture spreads, and how far apart the prototypes are.

    Returns:
        One row a picture: `condition`, `arm`, `reads_norm`; `angle_spread`, the standard deviation of the angle of a
        sample to the mean direction of its class (rad, pooled over the classes); `norm_spread`, that of a sample's norm
        over the mean norm of its class; `least_angle` between two prototypes (rad) and `even_angle`, 2π/C; `merged`
        pairs of prototypes; `accuracy`.
    """
    rows = []
    for plane in planes:
        angles, norms = _of_classes(plane.samples)
        ends = plane.prototypes[["x", "y"]].to_numpy(dtype=float)
        directions = np.sort(np.arctan2(ends[:, 1], ends[:, 0]))
        gaps = np.diff(np.append(directions, directions[0] + 2 * math.pi))
        merged = sum(len(group) * (len(group) - 1) // 2 for group in merged_prototypes(plane.prototypes))
        rows.append(
            {
                "condition": plane.condition,
                "arm": plane.arm,
                "reads_norm": plane.reads_norm,
                "angle_spread": float(np.sqrt(np.mean(angles**2))),
                "norm_spread": float(np.sqrt(np.mean(norms**2))),
                "least_angle": float(gaps.min()),
                "even_angle": 2 * math.pi / plane.num_classes,
                "merged": merged,
                "accuracy": plane.accuracy,
            }
        )
    return pd.DataFrame(rows)


def _of_classes(samples: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of every sample: its angle to the mean direction of its class, and its norm over the class's mean, less 1."""
    points = samples[["x", "y"]].to_numpy(dtype=float)
    norms = np.linalg.norm(points, axis=1)
    unit = points / np.maximum(norms, np.finfo(float).tiny)[:, None]
    labels = samples["label"].to_numpy()
    angles, relative = np.zeros(len(points)), np.zeros(len(points))
    for label in np.unique(labels):
        here = labels == label
        centre = unit[here].mean(axis=0)
        turned = unit[here] @ np.array([[centre[0], -centre[1]], [centre[1], centre[0]]])
        angles[here] = np.arctan2(turned[:, 1], turned[:, 0])
        relative[here] = norms[here] / norms[here].mean() - 1
    return angles, relative


def plane_findings(spread: pd.DataFrame) -> list[str]:
    """How classes share the plane in plain sentences.

    Args:
        spread: `plane_spread`.
    """
    if spread.empty:
        return []
    return [*_rays(spread[spread["reads_norm"]]), *_circles(spread[~spread["reads_norm"]]), *_apart(spread)]


def _rays(rows: pd.DataFrame) -> list[str]:
    if rows.empty:
        return []
    return [
        f"Under losses that read the norm ({listed(rows['arm'].to_list())}) classes are rays: within a class "
        f"the norm of a sample varies by {_percent(rows['norm_spread'])} and its direction by "
        f"{_degrees(rows['angle_spread'])} (standard deviations)."
    ]


def _circles(rows: pd.DataFrame) -> list[str]:
    if rows.empty:
        return []
    ordered = rows.sort_values("angle_spread")
    tight, wide = ordered.iloc[0], ordered.iloc[-1]
    text = f"Under losses of cosines directions spread by {_degrees(rows['angle_spread'])} within a class"
    if len(rows) > 1:
        text += f", least under {tight['arm']}, most under {wide['arm']}"
    return [f"{text}."]


def _apart(rows: pd.DataFrame) -> list[str]:
    ordered = rows.assign(share=rows["least_angle"] / rows["even_angle"]).sort_values("share")
    merged = rows[rows["merged"] > 0]
    text = f"The nearest two prototypes are {_percent(ordered['share'])} as far apart as if all were evenly spread"
    if len(rows) > 1:
        text += f", least under {ordered['arm'].iloc[0]}, most under {ordered['arm'].iloc[-1]}"
    if len(merged):
        pairs = [f"{row['merged']} under {row['arm']}" for row in merged.to_dict("records")]
        return [f"{text}; pairs that merged: {listed(pairs)}."]
    return [f"{text}; none merged."]


def _degrees(angles: pd.Series) -> str:
    low, high = (math.degrees(value) for value in (angles.min(), angles.max()))
    return f"{low:.1f}°" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f}° to {high:.1f}°"


def _percent(shares: pd.Series) -> str:
    low, high = 100 * shares.min(), 100 * shares.max()
    return f"{low:.0f} %" if round(low) == round(high) else f"{low:.0f} to {high:.0f} %"
