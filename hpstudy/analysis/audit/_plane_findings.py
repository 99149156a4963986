"""How classes share the plane, in words."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpstudy.analysis._words import listed
from hpstudy.analysis.audit._planes import Plane, merged_pairs

Floats = NDArray[np.float64]


def plane_spread(planes: Sequence[Plane]) -> pd.DataFrame:
    """How far each class of each picture spreads, and how far apart the prototypes are.

    Returns:
        One row a picture: `condition`, `arm`, `reads_norm`; `angle_spread`, the standard deviation of the angle of a
        sample to the mean direction of its class (rad, pooled over the classes); `norm_spread`, that of a sample's norm
        over the mean norm of its class; `least_angle` between two prototypes (rad) and `even_angle`, 2π/C; `merged`
        pairs of prototypes; `accuracy`. Points at the origin and samples that are not finite count in no spread or
        angle, which are NaN where nothing is left.
    """
    rows = []
    for plane in planes:
        angles, norms = _of_classes(plane.samples)
        rows.append(
            {
                "condition": plane.condition,
                "arm": plane.arm,
                "reads_norm": plane.reads_norm,
                "angle_spread": _root_mean_square(angles),
                "norm_spread": _root_mean_square(norms),
                "least_angle": _least_angle(plane.prototypes),
                "even_angle": 2 * math.pi / plane.num_classes,
                "merged": merged_pairs(plane.prototypes),
                "accuracy": plane.accuracy,
            }
        )
    return pd.DataFrame(rows)


def _of_classes(samples: pd.DataFrame) -> tuple[Floats, Floats]:
    """Of every sample: its angle to the mean direction of its class, and its norm over the class's mean, less 1."""
    points = samples[["x", "y"]].to_numpy(dtype=float)
    norms = np.linalg.norm(points, axis=1)
    directed = np.isfinite(norms) & (norms > 0)
    points, norms, labels = points[directed], norms[directed], samples["label"].to_numpy()[directed]
    unit = points / norms[:, None]
    angles, relative = np.zeros(len(points)), np.zeros(len(points))
    for label in np.unique(labels):
        here = labels == label
        centre = unit[here].mean(axis=0)
        turned = unit[here] @ np.array([[centre[0], -centre[1]], [centre[1], centre[0]]])
        angles[here] = np.arctan2(turned[:, 1], turned[:, 0])
        relative[here] = norms[here] / norms[here].mean() - 1
    return angles, relative


def _least_angle(prototypes: pd.DataFrame) -> float:
    ends = prototypes[["x", "y"]].to_numpy(dtype=float)
    directed = ends[np.hypot(ends[:, 0], ends[:, 1]) > 0]
    if len(directed) < 2:
        return math.nan
    directions = np.sort(np.arctan2(directed[:, 1], directed[:, 0]))
    return float(np.diff(np.append(directions, directions[0] + 2 * math.pi)).min())


def _root_mean_square(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else math.nan


def plane_findings(spread: pd.DataFrame) -> list[str]:
    """How classes share the plane in plain sentences.

    Args:
        spread: `plane_spread`.
    """
    if spread.empty:
        return []
    return [*_rays(spread[spread["reads_norm"]]), *_circles(spread[~spread["reads_norm"]]), *_apart(spread)]


def _rays(rows: pd.DataFrame) -> list[str]:
    """Whether classes are longer than wide: their norms vary by more than their angles, in radians."""
    known = rows.dropna(subset=["angle_spread", "norm_spread"])
    if known.empty:
        return []
    long = known[known["norm_spread"] > known["angle_spread"]]
    if long.empty:
        shape = "classes are no longer than wide"
    elif len(long) == len(known):
        shape = "classes are longer than wide"
    else:
        shape = f"under {listed(long['arm'].to_list())} classes are longer than wide"
    return [
        f"Under losses that read the norm ({listed(known['arm'].to_list())}) the norm of a sample varies by "
        f"{_percent(known['norm_spread'])} within its class and its direction by {_degrees(known['angle_spread'])} "
        f"(standard deviations): {shape}."
    ]


def _circles(rows: pd.DataFrame) -> list[str]:
    known = rows.dropna(subset=["angle_spread"]).sort_values("angle_spread", kind="stable")
    if known.empty:
        return []
    spread = _degrees(known["angle_spread"])
    text = f"Under losses of cosines directions spread by {spread} within a class{_extremes(known, spread)}"
    return [
        f"{text}, and norms, which these losses don't read, vary by {_percent(known['norm_spread'])} (a trial each)."
    ]


def _apart(rows: pd.DataFrame) -> list[str]:
    rows = rows.assign(share=rows["least_angle"] / rows["even_angle"]).dropna(subset=["share"])
    if rows.empty:
        return []
    ordered, merged = rows.sort_values("share", kind="stable"), rows[rows["merged"] > 0]
    share = _percent(ordered["share"])
    text = f"The nearest two prototypes are {share} as far apart as if all were evenly spread"
    text += _extremes(ordered, share)
    if len(merged):
        pairs = [f"{row['merged']} under {row['arm']}" for row in merged.to_dict("records")]
        return [f"{text}; pairs that merged: {listed(pairs)}."]
    return [f"{text}; none merged."]


def _extremes(ordered: pd.DataFrame, span: str) -> str:
    """The arms at the two ends of a span, if it has two."""
    ends = ordered["arm"].iloc[0], ordered["arm"].iloc[-1]
    return f", least under {ends[0]}, most under {ends[1]}" if " to " in span else ""


def _degrees(angles: pd.Series) -> str:
    low, high = (math.degrees(value) for value in (angles.min(), angles.max()))
    return f"{low:.1f}°" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f}° to {high:.1f}°"


def _percent(shares: pd.Series) -> str:
    low, high = 100 * shares.min(), 100 * shares.max()
    return f"{low:.0f} %" if round(low) == round(high) else f"{low:.0f} to {high:.0f} %"
