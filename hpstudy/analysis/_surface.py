"""Response surfaces over s and m: where an arm does well, and how sharp that is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy.stats import qmc

from hpstudy.analysis._box import SearchedValue, Values
from hpstudy.analysis._response import Flags, Response

_DRAWN = ("s", "m")
_LINE, _SIDE = 201, 49
"""Grid points along one drawn value, and along each of two."""
_SPREAD = 11
"""Logarithm to base 2 of the number of points that shares of the searched box are measured with."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """The fitted objective over s and m, or whichever of them was searched, on a grid.

    Where more was searched, the others are held at the predicted optimum (`held`).
    """

    condition: str
    arm: str
    axes: tuple[SearchedValue, ...]
    """What is drawn: s, m or both, in this order."""
    grid: tuple[Values, ...]
    """Values along each of them, evenly spaced on the scale that was searched."""
    mean: Values
    """Fitted objective, (len m, len s) or one row; all NaN without a fit."""
    low: Values
    high: Values
    """Pointwise 95 % interval of the surface, without the noise of a trial."""
    known: Flags
    """Where the surface says more than its prior (`Response.known`)."""
    clearance: Values
    """Below 0 where the nearest trial diverged (`Response.clearance`)."""
    n: int
    """Completed trials."""
    q2: float
    """Share of the spread of trials left out that is predicted; NaN with too few."""
    reason: str
    """Why there is no fit; empty if there is one."""
    margin: float
    """δ, in the objective's unit."""
    best: Mapping[str, float] = field(default_factory=dict)
    """Every searched value at the predicted optimum."""
    best_value: float = float("nan")
    near: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Lowest and highest of each value among points predicted within δ of the optimum."""
    near_share: float = float("nan")
    """Share of the searched box that is predicted within δ of the optimum."""
    known_share: float = float("nan")
    """Share of the searched box where the surface is known."""

    @property
    def held(self) -> Mapping[str, float]:
        """Searched values that are not drawn, where they are held."""
        drawn = {value.name for value in self.axes}
        return {name: value for name, value in self.best.items() if name not in drawn}


def response_surface(response: Response, margin: float) -> Surface | None:
    """The response of an arm over its s and m on a grid, with its optimum; None if it searched neither.

    Args:
        response: One of `fit_responses`.
        margin: δ: what is predicted within it of the optimum counts as equally good.
    """
    axes = tuple(value for value in response.values if value.name in _DRAWN)
    if not axes:
        return None
    ticks = np.linspace(0, 1, _LINE if len(axes) == 1 else _SIDE)
    shape = (1, len(ticks)) if len(axes) == 1 else (len(ticks), len(ticks))
    places = np.full((shape[0] * shape[1], len(response.values)), np.nan)
    for column, plane in enumerate(np.meshgrid(*[ticks] * len(axes))):
        places[:, column] = plane.ravel()
    drawn_only = len(axes) == len(response.values)
    nothing = np.full(shape, np.nan)
    empty = Surface(
        condition=response.condition,
        arm=response.arm,
        axes=axes,
        grid=tuple(value.from_unit(ticks) for value in axes),
        mean=nothing,
        low=nothing,
        high=nothing,
        known=np.zeros(shape, dtype=bool),
        clearance=response.clearance(places).reshape(shape) if drawn_only else np.full(shape, np.inf),
        n=response.n,
        q2=response.q2,
        reason=response.reason,
        margin=margin,
    )
    if response.process is None:
        return empty
    spread, best, best_value = _optimum(response)
    places[:, len(axes) :] = best[len(axes) :]
    known = response.known(spread)
    near = spread[known & (response.mean(spread) >= best_value - margin)]
    spans = np.vstack([near, best])
    low, high = response.interval(places)
    return replace(
        empty,
        mean=response.mean(places).reshape(shape),
        low=low.reshape(shape),
        high=high.reshape(shape),
        known=response.known(places).reshape(shape),
        clearance=response.clearance(places).reshape(shape),
        best={value.name: float(value.from_unit(at)) for value, at in zip(response.values, best, strict=True)},
        best_value=best_value,
        near={
            value.name: (float(value.from_unit(column.min())), float(value.from_unit(column.max())))
            for value, column in zip(response.values, spans.T, strict=True)
        },
        near_share=len(near) / len(spread),
        known_share=float(known.mean()),
    )


def surfaces(responses: Iterable[Response], margin: float) -> list[Surface]:
    """The surface of every response that has s or m in it."""
    return [surface for response in responses if (surface := response_surface(response, margin)) is not None]


def surface_summary(found: Iterable[Surface]) -> pd.DataFrame:
    """What the surfaces say, one row each.

    Returns:
        `condition`, `arm`, `n`, `q2`, `reason`; `best_value` and, for each searched value, `best/<name>`,
        `near_low/<name>`, `near_high/<name>`; `near_share`, `known_share`, `margin`. NaN without a fit.
    """
    rows = [
        {
            "condition": surface.condition,
            "arm": surface.arm,
            "n": surface.n,
            "q2": surface.q2,
            "reason": surface.reason,
            "best_value": surface.best_value,
            "near_share": surface.near_share,
            "known_share": surface.known_share,
            "margin": surface.margin,
        }
        | {f"best/{name}": value for name, value in surface.best.items()}
        | {f"near_low/{name}": low for name, (low, _) in surface.near.items()}
        | {f"near_high/{name}": high for name, (_, high) in surface.near.items()}
        for surface in found
    ]
    names = sorted(
        {key.removeprefix("best/") for row in rows for key in row if key.startswith("best/")},
        key=lambda name: ({"s": 0, "m": 1}.get(name, 2), name),
    )
    facts = ["condition", "arm", "n", "q2", "reason", "best_value", "near_share", "known_share", "margin"]
    values = [f"{kind}/{name}" for name in names for kind in ("best", "near_low", "near_high")]
    return pd.DataFrame(rows, columns=[*facts, *values])


def _optimum(response: Response) -> tuple[Values, Values, float]:
    """Points spread evenly over the box; the best known place among them and the trials; its value."""
    sobol = qmc.Sobol(len(response.values), scramble=False).random_base2(_SPREAD)
    spread = np.column_stack([value.draw(column) for value, column in zip(response.values, sobol.T, strict=True)])
    places = np.vstack([spread, response.ended[response.status == "completed"]])
    # At a completed trial something is always known.
    allowed = np.append(response.known(spread), np.ones(len(places) - len(spread), dtype=bool))
    means = np.where(allowed, response.mean(places), -np.inf)
    index = int(np.argmax(means))
    return spread, places[index], float(means[index])
