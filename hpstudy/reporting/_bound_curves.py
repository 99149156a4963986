"""The numbers behind the figure of the bounds on s and m."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from hpstudy.catalog import SCALES
from hpstudy.exceptions import InputError
from hpstudy.theory import (
    adacos_collapse_limit,
    adacos_fixed_points,
    adacos_fixed_scale,
    arcface_lower_margin,
    cosface_lower_margin,
    cosface_margin_bound,
    cosface_scale_bound,
    dimension_aware_scale_bound,
    joint_scale_bound,
    log_kernel_mean,
    margin_optimum,
)

MARGIN_KINDS: dict[str, Literal["cosine", "angle"]] = {"cosface": "cosine", "arcface": "angle"}
"""The losses whose joint bounds are drawn, and what their m is."""

ANGLES_DEG = (45, 30)
"""θ_med at which the fixed points of dynamic AdaCos are marked."""

LARGEST_SCALE = SCALES["fixed"].parameters["s"].maximum
"""A trial whose scale passes it counts as diverged."""

_MOST = 6
"""Posteriors, or margins, that one figure can tell apart."""
_LOG_ODDS = math.log(1 / 9), math.log(9999)
_SMALL_CLASSES = 40
_LEAST_SCALE = 1e-2


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BoundCurves:
    """What the figure shows for C classes in K dimensions; every number is theory's."""

    num_classes: int
    dim: int
    posteriors: tuple[float, ...]
    margins: tuple[float, ...]
    scale: pd.DataFrame
    """Scale against posterior: `curve` (`eq6`, `aware`, `cosface`, `arcface`), `margin` (NaN for the first two),
    `posterior`, `s` (negative where any scale will do, infinite where none does)."""
    levels: pd.DataFrame
    """Scales that AdaCos sets: `rule` (`fixed`, `dynamic`, `collapsed`), `theta_deg` (NaN but for `dynamic`), `s` (NaN
    where the rule runs away from any start), `unstable` (the scale above which it runs away)."""
    needed: pd.DataFrame
    """Scale against margin: `loss`, `posterior`, `margin` (a cosine for cosface, rad for arcface), `s`."""
    limits: pd.DataFrame
    """For each `loss`, in the unit of its margin: `permitted`, the most that C prototypes in K dimensions permit (if
    `exact`, else no more than that), and `asymptote`, where the joint bound on s becomes infinite."""
    packing: pd.DataFrame
    """Limits of the margin against C at this K, as cosines: `num_classes`, `paper` (CosFace, eq. 7), `strict` (whether
    the paper's bound claims to be one), `upper`, `known` (what some code reaches; NaN where none is known),
    `cosface_lower`, `arcface_lower` (1 − cos m)."""
    rule: pd.DataFrame
    """Fixed points of dynamic AdaCos, in the order of `s`: `theta_deg`, `s`, `stable`."""


def bound_curves(num_classes: int, dim: int, posteriors: Sequence[float], margins: Sequence[float]) -> BoundCurves:
    """Computes what `bounds_sheet` draws.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.
        posteriors: P_W for which the scale is drawn against the margin; at most 6.
        margins: m for which the scale is drawn against the posterior, as a cosine for CosFace and in rad for ArcFace;
            at most 6.

    Raises:
        InputError: If an argument is outside its range.
    """
    for name, values in (("posteriors", posteriors), ("margins", margins)):
        if not 1 <= len(set(values)) <= _MOST:
            raise InputError(f"a figure shows 1 to {_MOST} {name}, but got {len(set(values))}: draw several figures")
    chosen, m = tuple(sorted(set(posteriors))), tuple(sorted(set(margins)))
    limits = _limits(num_classes, dim)
    return BoundCurves(
        num_classes=num_classes,
        dim=dim,
        posteriors=chosen,
        margins=m,
        scale=_scale(num_classes, dim, chosen, m),
        levels=_levels(num_classes, dim),
        needed=_needed(num_classes, chosen, m, limits),
        limits=limits,
        packing=_packing(num_classes, dim),
        rule=_rule(num_classes, dim),
    )


def _scale(classes: int, dim: int, posteriors: Sequence[float], margins: Sequence[float]) -> pd.DataFrame:
    given = np.array(posteriors)
    cosface_scale_bound(classes, given)  # refuses what is no posterior
    odds = np.log(given) - np.log1p(-given)
    low, high = min(_LOG_ODDS[0], odds.min() - 0.5), max(_LOG_ODDS[1], odds.max() + 0.5)
    # Through the complement, which keeps its digits near 1.
    grid = np.exp(-np.logaddexp(0.0, -np.linspace(low, high, 161)))
    grid = np.unique(np.concatenate([grid[grid < 1], given]))
    curves = [
        pd.DataFrame({"curve": name, "margin": margin, "posterior": grid, "s": s})
        for name, margin, s in (
            ("eq6", math.nan, cosface_scale_bound(classes, grid)),
            ("aware", math.nan, dimension_aware_scale_bound(classes, dim, grid)),
            *(
                (loss, margin, joint_scale_bound(classes, grid, margin, kind))
                for loss, kind in MARGIN_KINDS.items()
                for margin in margins
            ),
        )
    ]
    return pd.concat(curves, ignore_index=True)


def _levels(classes: int, dim: int) -> pd.DataFrame:
    rows: list[tuple[str, float | None, float | None, float | None]] = [
        ("fixed", None, adacos_fixed_scale(classes), None),
        *(("dynamic", degrees, *adacos_fixed_points(classes, dim, math.radians(degrees))) for degrees in ANGLES_DEG),
    ]
    if classes <= dim + 1:
        rows.append(("collapsed", None, adacos_collapse_limit(classes), None))
    frame = pd.DataFrame(rows, columns=["rule", "theta_deg", "s", "unstable"])
    return frame.astype({"theta_deg": float, "s": float, "unstable": float})


def _limits(classes: int, dim: int) -> pd.DataFrame:
    optimum, simplex = margin_optimum(classes, dim), classes / (classes - 1)
    permitted = {"cosface": optimum.upper, "arcface": _angle(optimum.upper)}
    asymptote = {"cosface": simplex, "arcface": _angle(simplex)}
    rows = [(loss, permitted[loss], asymptote[loss], optimum.exact) for loss in MARGIN_KINDS]
    return pd.DataFrame(rows, columns=["loss", "permitted", "asymptote", "exact"])


def _angle(separation: float) -> float:
    """The angle between directions whose cosine is 1 − `separation`."""
    return 2 * math.asin(math.sqrt(min(separation, 2.0) / 2))


def _needed(classes: int, posteriors: Sequence[float], margins: Sequence[float], limits: pd.DataFrame) -> pd.DataFrame:
    curves = []
    for loss, permitted, asymptote, _ in limits.itertuples(index=False):
        # Denser towards the asymptote, where the curves rise.
        grid = asymptote * (1 - np.linspace(1, 0, 301) ** 2)
        grid = np.unique(np.concatenate([grid[:-1], [m for m in (*margins, permitted) if m < asymptote]]))
        for posterior in posteriors:
            s = joint_scale_bound(classes, posterior, grid, MARGIN_KINDS[str(loss)])
            curves.append(pd.DataFrame({"loss": loss, "posterior": posterior, "margin": grid, "s": s}))
    return pd.concat(curves, ignore_index=True)


def _packing(classes: int, dim: int) -> pd.DataFrame:
    most = max(20 * classes, 20 * dim, 200)
    edges = [dim + 1, dim + 2, 2 * dim, 2 * dim + 1]
    spread = np.geomspace(2, most, 160).round().astype(int)
    counts = sorted({*range(2, _SMALL_CLASSES + 1), *spread.tolist(), *edges, classes})
    optima = [margin_optimum(count, dim) for count in counts]
    upper = np.array([optimum.upper for optimum in optima])
    angles = np.array([_angle(separation) for separation in upper])
    return pd.DataFrame(
        {
            "num_classes": counts,
            "paper": [cosface_margin_bound(count, dim) for count in counts],
            "strict": [dim == 2 or count <= dim + 1 for count in counts],
            "upper": upper,
            "known": np.array([optimum.lower for optimum in optima], dtype=np.float64),
            "cosface_lower": cosface_lower_margin(angles),
            "arcface_lower": 2 * np.sin(arcface_lower_margin(angles) / 2) ** 2,
        }
    )


def _rule(classes: int, dim: int) -> pd.DataFrame:
    """s·cos θ = log(C−1) + log A_K(s) solved for θ, which has one answer for each s, where s has two for θ."""
    least = adacos_fixed_points(classes, dim, 0.0).stable
    if least is None or least >= LARGEST_SCALE:
        return pd.DataFrame({"theta_deg": [], "s": [], "stable": []}).astype({"stable": bool})
    marked = [adacos_fixed_points(classes, dim, math.radians(degrees)) for degrees in ANGLES_DEG]
    s = np.geomspace(max(least, _LEAST_SCALE), LARGEST_SCALE, 600)
    s = np.unique([*s, *(root for roots in marked for root in roots if root is not None and s[0] < root < s[-1])])
    cosine = (math.log(classes - 1) + log_kernel_mean(dim, s)) / s
    theta = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    # θ rises along the stable branch to where the two meet; for C = 2 that branch is s = 0.
    stable = np.arange(len(s)) <= int(theta.argmax()) if classes > 2 else np.zeros(len(s), dtype=bool)
    return pd.DataFrame({"theta_deg": theta, "s": s, "stable": stable})
