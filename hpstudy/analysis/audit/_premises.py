"""What AdaCos assumes of training, held against what trials recorded."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpstudy.analysis._arms import KEYS
from hpstudy.theory import steepest_angle, target_posterior

POINTS = 101
"""Of the common grid of a course: every hundredth of training."""
_END = 0.05
"""Share of the steps, the last ones, that tell the end."""
TrajectoryReader = Callable[[str], pd.DataFrame]

_MEASURED = (
    "nontarget_start",
    "nontarget_spread_start",
    "nontarget_end",
    "nontarget_spread_end",
    "log_b_excess_start",
    "log_b_excess_course",
    "log_b_excess_end",
    "s_end",
    "theta_med_end",
    "steepest_end",
    "steepest_gap",
    "posterior_end",
)
_COURSES = ("nontarget", "nontarget_spread", "log_b_excess")


def adacos_premises(trials: pd.DataFrame, trajectory: TrajectoryReader) -> pd.DataFrame:
    """What AdaCos' derivation takes for granted, as the trials of every arm recorded it.

    AdaCos (Zhang et al., CVPR 2019, arXiv:1905.00292) takes non-target angles to stay near a right angle, so that B is
    near C − 1; wants P(θ) to be steepest at the median target angle; and approximates that by P(θ_med) = 1/2. Nothing
    of it is particular to its own losses, so that every arm whose trials recorded it is here. P is the posterior
    without a margin.

    The start is the first step, where the network is as it was initialised. The end is the median over the last
    twentieth of the steps. Trials are the completed ones of the confirm phase; of an arm without any, those of its
    search or grid, whose scales and margins differ.

    Args:
        trials: Trials of the study.
        trajectory: Reads the steps of a trial; a trial of which it has none (KeyError, FileNotFoundError) is left out.

    Returns:
        One row a condition and arm with a trial: `phase` (`confirm`, `search` or `grid`), `trials`; and the median over
        trials of what follows, with `<name>_low` and `<name>_high`, the quartiles, NaN where nothing was recorded.
        `nontarget_start`, `nontarget_end`: angle of the mean non-target cosine (rad); `nontarget_spread_start` and
        `nontarget_spread_end`: half the angle between one standard deviation of the cosine below and above (rad).
        `log_b_excess_start`, `log_b_excess_course` (median over the steps), `log_b_excess_end`: log B_avg − log(C−1)
        (nats), 0 if all non-targets are at right angles; B_avg is at the scale that went into the step.
        `s_end`; `theta_med_end`; `steepest_end`, the target angle at which P with that s and B_avg falls fastest;
        `steepest_gap`, that less `theta_med_end` (all three in rad); `posterior_end`, P at `theta_med_end`.
    """
    rows = []
    for (condition, arm), phase, courses in _chosen(trials, trajectory):
        found = pd.DataFrame([_premises(course) for course in courses], columns=list(_MEASURED), dtype=float)
        row: dict[str, object] = {"condition": condition, "arm": arm, "phase": phase, "trials": len(courses)}
        for name in _MEASURED:
            quartiles = _quartiles(found[name].to_numpy())
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), quartiles, strict=True))
        rows.append(row)
    names = [name + end for name in _MEASURED for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*KEYS, "phase", "trials", *names])


def premise_courses(trials: pd.DataFrame, trajectory: TrajectoryReader) -> pd.DataFrame:
    """How the premises of `adacos_premises` fare during training: median and quartiles over the same trials.

    Args:
        trials: Trials of the study.
        trajectory: As in `adacos_premises`.

    Returns:
        `condition`, `arm`, `share` (of the trial's steps, 0 to 1 in hundredths), `trials`; `nontarget` and
        `nontarget_spread` (rad) and `log_b_excess` (nats) as in `adacos_premises`, each with `_low` and `_high`.
    """
    share = np.linspace(0, 1, POINTS)
    frames = []
    for (condition, arm), _, courses in _chosen(trials, trajectory):
        frame = pd.DataFrame({"condition": condition, "arm": arm, "share": share, "trials": len(courses)})
        for name in _COURSES:
            values = np.array([_on_grid(course, name, share) for course in courses])
            middle = [_quartiles(column) for column in values.T]
            frame[[name, f"{name}_low", f"{name}_high"]] = middle
        frames.append(frame)
    names = [name + end for name in _COURSES for end in ("", "_low", "_high")]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*KEYS, "share", "trials", *names])


def _chosen(
    trials: pd.DataFrame, trajectory: TrajectoryReader
) -> Iterator[tuple[tuple[str, str], str, list[pd.DataFrame]]]:
    """The condition and arm, the phase, and the courses of its trials that recorded a step."""
    completed = trials[trials["status"] == "completed"]
    for (condition, arm), rows in completed.groupby(KEYS, sort=False):
        confirmed = rows[rows["phase"] == "confirm"]
        counted = rows if confirmed.empty else confirmed
        phase = str(counted["phase"].iloc[0]) if counted["phase"].nunique() == 1 else "search"
        courses = []
        for row in counted.to_dict("records"):
            try:
                steps = trajectory(str(row["trial_id"]))
            except (KeyError, FileNotFoundError):
                continue
            if len(steps):
                courses.append(_course(steps, int(row["num_classes"])))
        if courses:
            yield (str(condition), str(arm)), phase, courses


def _course(steps: pd.DataFrame, num_classes: int) -> pd.DataFrame:
    """What the premises are about, step by step; NaN where it was not recorded or is not finite."""

    def recorded(name: str) -> NDArray[np.float64]:
        values = steps[name].to_numpy(dtype=float) if name in steps else np.full(len(steps), np.nan)
        return np.where(np.isfinite(values), values, np.nan)

    mean, spread = recorded("cos_nontarget_mean"), recorded("cos_nontarget_std")
    ends = [np.arccos(np.clip(mean + sign * spread, -1, 1)) for sign in (-1, 1)]
    return pd.DataFrame(
        {
            "step": recorded("step"),
            "nontarget": np.arccos(np.clip(mean, -1, 1)),
            "nontarget_spread": (ends[0] - ends[1]) / 2,
            "log_b_excess": recorded("log_b_avg") - np.log(num_classes - 1),
            "log_b": recorded("log_b_avg"),
            "s": recorded("s"),
            "theta_med": recorded("theta_med"),
        }
    )


def _premises(course: pd.DataFrame) -> dict[str, float]:
    end = course.tail(max(1, round(_END * len(course)))).median()
    found = {f"{name}_start": float(course[name].iloc[0]) for name in _COURSES}
    found |= {f"{name}_end": float(end[name]) for name in (*_COURSES, "s", "theta_med")}
    found["log_b_excess_course"] = float(course["log_b_excess"].median())
    s, log_b, theta = float(end["s"]), float(end["log_b"]), float(end["theta_med"])
    if np.isfinite(s) and s >= 0 and np.isfinite(log_b):
        found["steepest_end"] = steepest_angle(s, log_b)
        if np.isfinite(theta):
            found["steepest_gap"] = found["steepest_end"] - theta
            found["posterior_end"] = target_posterior(float(np.clip(theta, 0, np.pi)), s, 0.0, log_b)
    return found


def _on_grid(course: pd.DataFrame, name: str, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """A course against the share of its steps; NaN before its first value and after its last."""
    known = course[np.isfinite(course[name]) & np.isfinite(course["step"])]
    if known.empty:
        return np.full(len(share), np.nan)
    first, last = course["step"].min(), course["step"].max()
    at = (known["step"] - first) / max(last - first, 1.0)
    return np.interp(share, at, known[name], left=np.nan, right=np.nan)


def _quartiles(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Median, first and third quartile of the finite values."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return (float("nan"),) * 3
    low, median, high = np.percentile(finite, [25, 50, 75])
    return float(median), float(low), float(high)
