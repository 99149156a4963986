"""What became of AdaCos's premises, in words."""

import math

import pandas as pd

from hpstudy.analysis._words import counted

_NEAR = 5.0
"""Degrees within which an average counts as near a right angle."""
_CALM = 10.0
"""Nats; a log B_avg further above log(C − 1) than this is told apart from the others."""
_MANY = 1e6
"""From here on a number is told by its power of ten."""
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


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
    start, end, spread = (_degrees(premises[f"nontarget_{name}"]) for name in ("start", "end", "spread_end"))
    total = len(premises)
    near = int(((premises["nontarget_end"].map(math.degrees) - 90).abs() <= _NEAR).sum())
    text = "Non-target angles end"
    if 0 < near < total:
        text += f" within {_NEAR:.0f}° of 90° on average in {near} of {_rows(premises)}"
    else:
        text += f" {'within' if near else 'more than'} {_NEAR:.0f}° {'of' if near else 'from'} 90° on average"
        text += f" in all {_rows(premises)}" if total > 1 else ""
    return (
        f"{text}: the angle of their mean cosine is {start} at the first step and {end} at the end, and one standard "
        f"deviation of the cosine spreads them by {spread} either way."
    )


def _crowd(premises: pd.DataFrame) -> str:
    start, end = premises["log_b_excess_start"], premises["log_b_excess_end"]
    calm, high = end[end <= _CALM], end[end > _CALM]
    text = f"log B_avg begins within {_amount(start.abs().max())} nats of log(C − 1)"
    if len(calm):
        factors = _span(*(_amount(math.exp(value)) for value in (calm.min(), calm.max())))
        text += (
            f" and ends {_span(_signed(calm.min()), _signed(calm.max()))} nats from it, at {factors} times the C − 1 "
            "that the fixed scale supposes"
        )
        text += f" in {len(calm)} of {_rows(premises)}" if len(high) else ""
    if len(high):
        above = _span(_amount(high.min()), _amount(high.max()))
        text += f"{', and in the rest ends' if len(calm) else ' and ends'} {above} nats above it"
    return f"{text}."


def _steepest(premises: pd.DataFrame) -> list[str]:
    known = premises.dropna(subset=["steepest_gap", "posterior_end"])
    if known.empty:
        return []
    gaps, posterior = known["steepest_gap"].map(math.degrees), known["posterior_end"]
    places = [
        f"{_span(f'{part.min():.0f}°', f'{part.max():.0f}°')} {side} θ_med{f' in {len(part)}' if few else ''}"
        for side, part in (("above", gaps[gaps >= 0].abs()), ("below", gaps[gaps < 0].abs()))
        for few in [len(part) < len(gaps)]
        if len(part)
    ]
    return [
        f"At the end P(θ) is steepest {' and '.join(places)}, and P is {_span(*_posteriors(posterior))} at θ_med; "
        "AdaCos supposes 0° and 1/2."
    ]


def _rows(premises: pd.DataFrame) -> str:
    """How many medians there are: one an arm, in each condition."""
    several = premises["condition"].nunique() > 1
    return f"{len(premises)} pairs of arm and condition" if several else counted(len(premises), "arm")


def _posteriors(values: pd.Series) -> tuple[str, str]:
    low, high = (
        "below 0.01" if value < 0.01 else "above 0.99" if value > 0.99 else f"{value:.2f}"
        for value in (values.min(), values.max())
    )
    return low, high


def _degrees(angles: pd.Series) -> str:
    return _span(*(f"{math.degrees(value):.0f}°" for value in (angles.min(), angles.max())))


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _amount(value: float) -> str:
    if value >= _MANY:
        return "10" + f"{math.log10(value):.0f}".translate(_SUPERSCRIPT)
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.2g}" if value >= 0.001 or value == 0 else "less than 0.001"


def _signed(value: float) -> str:
    text = f"{value:+.2f}".replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text
