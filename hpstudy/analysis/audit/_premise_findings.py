"""What became of AdaCos's premises, in words."""

import math

import pandas as pd

from hpstudy.analysis._words import counted

_NEAR = 5.0
"""Degrees within which an average counts as near a right angle."""
_CALM = 10.0
"""Nats; a log B_avg further above log(C − 1) than this has run away."""


def premise_findings(premises: pd.DataFrame) -> list[str]:
    """AdaCos's premises in plain sentences, over all arms and conditions that recorded them.

    Args:
        premises: `adacos_premises`.
    """
    angles = premises.dropna(subset=["nontarget_start", "nontarget_end", "nontarget_spread_end"])
    crowd = premises.dropna(subset=["log_b_excess_start", "log_b_excess_end"])
    return [
        *([_right_angles(angles)] if len(angles) else []),
        *([_crowd(crowd)] if len(crowd) else []),
        *_steepest(premises),
    ]


def _right_angles(premises: pd.DataFrame) -> str:
    start, end = (_degrees(premises[f"nontarget_{moment}"]) for moment in ("start", "end"))
    spread = _degrees(premises["nontarget_spread_end"])
    words = "stay near" if (premises["nontarget_end"].map(math.degrees) - 90).abs().max() <= _NEAR else "leave"
    return (
        f"Non-target angles {words} 90° on average: the angle of their mean cosine is {start} at the first step and "
        f"{end} at the end (medians of {counted(len(premises), 'arm')} and conditions), but they spread by {spread} "
        "either way."
    )


def _crowd(premises: pd.DataFrame) -> str:
    start, end = premises["log_b_excess_start"], premises["log_b_excess_end"]
    calm = end[end <= _CALM]
    text = f"log B_avg begins within {start.abs().max():.2g} nats of log(C − 1)"
    if len(calm):
        text += (
            f" and ends {_signed(calm.min())} to {_signed(calm.max())} nats from it, {math.exp(calm.min()):.2g} to "
            f"{math.exp(calm.max()):.2g} times the C − 1 that the fixed scale supposes"
        )
    if len(calm) < len(end):
        gone = counted(len(end) - len(calm), "arm")
        text += f"; it runs away in {gone}, to {end.max():,.0f} nats above it"
    return f"{text}."


def _steepest(premises: pd.DataFrame) -> list[str]:
    known = premises.dropna(subset=["steepest_gap", "posterior_end"])
    if known.empty:
        return []
    gaps = known["steepest_gap"].map(math.degrees)
    posterior = known["posterior_end"]
    return [
        f"At the end P(θ) is steepest {gaps.min():.0f}° to {gaps.max():.0f}° from θ_med, at which P is "
        f"{posterior.min():.2g} to {posterior.max():.2g}; AdaCos supposes 0° and 1/2."
    ]


def _degrees(angles: pd.Series) -> str:
    low, high = (math.degrees(value) for value in (angles.min(), angles.max()))
    return f"{low:.0f}°" if round(low) == round(high) else f"{low:.0f}° to {high:.0f}°"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
