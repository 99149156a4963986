"""What a study's confirm seeds can show, before it is run."""

import math
from dataclasses import dataclass

import pandas as pd

from hpstudy.analysis import (
    arm_kinds,
    confirm_metric,
    detectable_difference,
    equivalence_power,
    establishable_margin,
    paired_comparisons,
    seeds_for_equivalence,
)
from hpstudy.spec import Arm, Study

LEVEL, POWER = 0.05, 0.8
MOST_SEEDS = 1000
_TYPICAL_SPREADS = (0.005, 0.01, 0.02)


@dataclass(frozen=True, kw_only=True, slots=True)
class AtSpread:
    """What can be shown at one standard deviation of a paired difference, in the unit of the metric."""

    spread: float
    detectable: float | None
    """Smallest true difference that is found with 80 % power, whatever the other comparisons say; None: none is."""
    detectable_alone: float | None
    """The same for a single comparison, at the plain 5 % level."""
    equivalence_power: float
    """Probability that a true difference of zero is shown to lie within ±δ, whatever the other comparisons say."""
    seeds_for_equivalence: int
    """Confirm seeds that make it 80 %; `MOST_SEEDS` stands for that or more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PowerNote:
    """The power of a study's comparisons."""

    seeds: int
    comparisons: int
    """Tuned against adaptive arms, over all conditions: what Holm's adjustment counts."""
    equivalence_margin: float
    effect: float | None
    """Smallest detectable difference in standard deviations of a paired difference."""
    margin_effect: float | None
    """Smallest margin that equivalence is shown within with 80 % power, in the same unit."""
    measured: bool
    """Whether the spread is that of a record of this study; else typical ones are shown."""
    at: tuple[AtSpread, ...]


def power_note(study: Study, trials: pd.DataFrame) -> PowerNote:
    """The power of the comparisons that the report of a study will make.

    Args:
        study: The study.
        trials: Its record so far, which may be empty; the median spread of its paired differences is used.
    """
    confirm = study.spec.confirm
    kinds = list(arm_kinds(pd.DataFrame([_row(arm) for arm in study.arms])).values())
    adaptive = kinds.count("adaptive")
    comparisons = adaptive * (len(kinds) - adaptive) * len(study.conditions())
    strictest = LEVEL / max(1, comparisons)
    spread = _measured_spread(study, trials)
    effect = detectable_difference(1.0, confirm.seeds, level=strictest, power=POWER)
    alone = detectable_difference(1.0, confirm.seeds, level=LEVEL, power=POWER)
    return PowerNote(
        seeds=confirm.seeds,
        comparisons=comparisons,
        equivalence_margin=confirm.equivalence_margin,
        effect=_finite(effect),
        margin_effect=_finite(establishable_margin(confirm.seeds, level=strictest, power=POWER)),
        measured=spread is not None,
        at=tuple(
            AtSpread(
                spread=sd,
                detectable=_finite(effect * sd),
                detectable_alone=_finite(alone * sd),
                equivalence_power=equivalence_power(confirm.equivalence_margin / sd, confirm.seeds, level=strictest),
                seeds_for_equivalence=seeds_for_equivalence(
                    confirm.equivalence_margin / sd, level=strictest, power=POWER, most=MOST_SEEDS
                ),
            )
            for sd in ([spread] if spread is not None else _TYPICAL_SPREADS)
        ),
    )


def _row(arm: Arm) -> dict[str, object]:
    """The arm as the record will show it to `arm_kinds`."""
    phase = {"searched": "search", "grid": "grid", "fixed": "confirm"}[arm.kind]
    names = [*arm.space, *(arm.spec.grid or {})]
    return {"arm": arm.name, "loss": arm.loss, "phase": phase, **{f"param/{name}": 1.0 for name in names}}


def _measured_spread(study: Study, trials: pd.DataFrame) -> float | None:
    if trials.empty:
        return None
    metric = confirm_metric(trials, study.spec.search.primary)
    spreads = paired_comparisons(trials, metric, study.spec.confirm.equivalence_margin)["std"].dropna()
    spreads = spreads[spreads > 0]
    return float(spreads.median()) if len(spreads) else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
