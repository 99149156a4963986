"""Whether trials converged, how fast, and above which scale they do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from hpstudy.analysis._arms import KEYS, margin_of, scale_of
from hpstudy.analysis._rates import wilson_interval
from hpstudy.analysis._words import counted
from hpstudy.analysis.audit._prototype_laws import column
from hpstudy.analysis.audit._threshold import threshold
from hpstudy.theory import cosface_scale_bound

CONVERGED = 0.95
"""A trial whose prototypes are the nearest to this share of its training samples has converged."""

POSTERIORS: tuple[float, ...] = (0.5, 0.9, 0.99, 0.999)
"""The P_W at which CosFace's bound on s is held against the trials."""

_ACCURACY = "geometry/train_accuracy"
_SHARES = {"s50": 0.5, "s95": 0.95}
_DOUBT = 0.05
_WITHOUT_MARGIN = ("additive_cosine", "additive_angle")
"""Margins that are none where m = 0."""


def convergence(trials: pd.DataFrame, epochs: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """Whether and when each trial converged, by the accuracy on its training samples.

    A trial has converged if at its end the own prototype is the nearest to at least 95 % of the training samples.
    Accuracy is the criterion because it means the same at every s. A loss does not: its least value depends on s and C
    (NormFace, Proposition 2), so that a network that is right about every sample has a loss of ln 2 at one scale and of
    10⁻⁷ at another. Trials that diverged have not converged. Trials that learn wrong labels on purpose are left out:
    what they are to converge to is not the truth.

    Args:
        trials: The record.
        epochs: The per-epoch record of a trial; it may be empty, or raise KeyError or FileNotFoundError.

    Returns:
        One row a completed trial that measured its accuracy, and one a diverged trial of a study that did: `trial_id`,
        `condition`, `arm`, `num_classes`, `embedding_dim`, `loss`, `s` (as configured), `m`, `seed`, `accuracy` (NaN if
        diverged), `converged`; `epoch_converged` and `step_converged`, the first epoch from which the accuracy in
        training stays at 95 % or more, and its last step; `fraction_of_training`, that epoch as a share of all epochs
        recorded. In training the network moves and images have capture conditions, so that this accuracy can fall short
        of the one at the end: a trial that converged and of which it never stays up did so by its last epoch, which it
        is given. NaN if a trial did not converge and it never stays up, or if nothing was recorded.
    """
    measured = pd.to_numeric(trials[_ACCURACY]) if _ACCURACY in trials else pd.Series(np.nan, index=trials.index)
    ended = (trials["status"] == "completed") & measured.notna() | (trials["status"] == "diverged")
    ended &= ~_mislabelled(trials)
    kept = trials[ended & bool(measured.notna().any())]
    columns = ["trial_id", *KEYS, "num_classes", "embedding_dim", "loss", "s", "m", "seed"]
    found = kept[columns].copy()
    found["accuracy"] = measured[kept.index].where(kept["status"] == "completed")
    found["converged"] = found["accuracy"] >= CONVERGED
    times = [
        _first_epoch(epochs, str(trial_id), bool(converged))
        for trial_id, converged in zip(found["trial_id"], found["converged"], strict=True)
    ]
    for i, name in enumerate(("epoch_converged", "step_converged", "fraction_of_training")):
        found[name] = np.array([time[i] for time in times], dtype=float)
    return found.reset_index(drop=True)


def unjudged_findings(trials: pd.DataFrame) -> list[str]:
    """How many trials `convergence` leaves out because they learn wrong labels on purpose, if any does."""
    ended = trials["status"].isin(("completed", "diverged"))
    count = int((ended & _mislabelled(trials)).sum())
    if not count:
        return []
    return [
        f"{counted(count, 'trial')} with wrong labels {'is' if count == 1 else 'are'} left out where convergence is "
        "counted: what they are to converge to is not the truth."
    ]


def _mislabelled(trials: pd.DataFrame) -> NDArray[np.bool_]:
    wrong: NDArray[np.bool_] = column(trials, "data/label_noise", absent=0.0) > 0
    return wrong


def _first_epoch(
    epochs: Callable[[str], pd.DataFrame], trial_id: str, converged: bool
) -> tuple[float, float, float]:  # fmt: skip
    """Epoch, step and share of training from which the accuracy stays up; if it never does the last, or NaN."""
    never = (float("nan"),) * 3
    try:
        frame = epochs(trial_id)
    except (KeyError, FileNotFoundError):
        return never
    if "train_accuracy" not in frame or frame.empty:
        return never
    frame = frame.drop_duplicates("epoch", keep="last").sort_values("epoch")
    below = np.flatnonzero(~(frame["train_accuracy"].to_numpy(dtype=float) >= CONVERGED))
    first = int(below[-1]) + 1 if below.size else 0
    if first == len(frame):
        if not converged:
            return never
        first -= 1
    epoch = float(frame["epoch"].iloc[first])
    step = float(frame["step"].iloc[first]) if "step" in frame else float("nan")
    return epoch, step, epoch / float(frame["epoch"].iloc[-1])


def has_plain_scale(trials: pd.DataFrame) -> pd.Series:
    """Whether a trial had a given scale and no margin: NormFace in all its spellings, or an additive margin of 0."""

    def plain(loss: str) -> tuple[bool, bool]:
        margin, scale = margin_of(loss), scale_of(loss)
        return scale == "fixed" and margin == "none", scale == "fixed" and margin in _WITHOUT_MARGIN

    kinds = {loss: plain(str(loss)) for loss in trials["loss"].unique()}
    without = trials["loss"].map({loss: kind[0] for loss, kind in kinds.items()}).astype(bool)
    zero = trials["loss"].map({loss: kind[1] for loss, kind in kinds.items()}).astype(bool) & (trials["m"] == 0.0)
    return (without | zero) & np.isfinite(trials["s"].astype(float))


def convergence_shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Share of trials that converged at each given scale without a margin, supposing no curve.

    Args:
        rows: `convergence`.

    Returns:
        One row per condition and s, of conditions in which s varied: `condition`, `num_classes`, `embedding_dim`, `s`,
        `trials`, `converged`, `share`, `low`, `high` (95 % Wilson), `epoch` (median `epoch_converged` of those that
        converged, NaN without), `epoch_low`, `epoch_high` (the extremes).
    """
    found = []
    for (condition, s), group in plain_trials(rows).groupby(["condition", "s"], sort=False):
        count, total = int(group["converged"].sum()), len(group)
        low, high = wilson_interval(count, total)
        times = group.loc[group["converged"], "epoch_converged"].dropna()
        size = int(group["num_classes"].iloc[0]), int(group["embedding_dim"].iloc[0])
        ends = (times.median(), times.min(), times.max()) if len(times) else (np.nan,) * 3
        found.append((condition, *size, s, total, count, count / total, low, high, *ends))
    names = ["trials", "converged", "share", "low", "high", "epoch", "epoch_low", "epoch_high"]
    shares = pd.DataFrame(found, columns=["condition", "num_classes", "embedding_dim", "s", *names])
    order = {name: rank for rank, name in enumerate(rows["condition"].drop_duplicates())}
    return shares.sort_values(
        ["condition", "s"], key=lambda key: key.map(order) if key.name == "condition" else key, ignore_index=True
    )


def convergence_fit(rows: pd.DataFrame) -> pd.DataFrame:
    """Above which scale half, and 95 %, of the trials converge, by a logistic curve in ln s, without a margin.

    At one P_W CosFace's bound is a constant of the condition, so that the curve in ln s is also the curve in
    ln(s/bound): it is fitted once, and its points are told as multiples of the bound at each P_W. Both have the
    interval of `threshold`, which is honest where there is no estimate: if every trial converged the threshold has an
    upper limit alone, if none did a lower one. The curve supposes that more s does not hurt; `convergence_shares` does
    not. Where at the largest s fewer converged than the curve allows (exact binomial test at 5 %), it is fitted to the
    scales up to the last one at which most did: what happens beyond is another matter than the bound.

    Args:
        rows: `convergence`.

    Returns:
        One row a condition in which s varied: `condition`, `num_classes`, `embedding_dim`, `arms` (their names, joined
        by commas), `trials`, `scales` (different ones), `s_min`, `s_max`, `converged`, `share_at_max` and
        `share_most` (share converged at the largest s, and the largest share at any), `s_fitted` (the largest s that
        the curve is fitted to), `regime` (`all`, `none`, `separated`, `mixed`, `flat`: of the scales that it is fitted
        to), `slope` (logits per unit of ln s), `s50`, `s50_low`, `s50_high` and the same of
        `s95`: scales, 0 and ∞ for ends that the trials do not set, and NaN for estimates; for each P_W (tag `p50`,
        `p90`, `p99`, `p999`) `bound_<tag>`, and `<point>_<tag>`, `<point>_<tag>_low`, `<point>_<tag>_high`, the points
        divided by it (NaN where it is not positive).
    """
    found = []
    for condition, group in plain_trials(rows).groupby("condition", sort=False):
        shares = group.groupby("s", sort=True)["converged"].agg(["sum", "count"])
        row: dict[str, Any] = {
            "condition": condition,
            "num_classes": int(group["num_classes"].iloc[0]),
            "embedding_dim": int(group["embedding_dim"].iloc[0]),
            "arms": ", ".join(map(str, group["arm"].drop_duplicates())),
            "trials": len(group),
            "scales": len(shares),
            "s_min": float(shares.index.min()),
            "s_max": float(shares.index.max()),
            "converged": int(group["converged"].sum()),
            "share_at_max": float((shares["sum"] / shares["count"]).iloc[-1]),
            "share_most": float((shares["sum"] / shares["count"]).max()),
        }
        shares = _rising(shares)
        row["s_fitted"] = float(shares.index.max())
        points = {
            name: threshold(np.log(shares.index.to_numpy(dtype=float)), shares["sum"], shares["count"], share)
            for name, share in _SHARES.items()
        }
        row |= {"regime": points["s50"].regime, "slope": points["s50"].slope}
        for name, point in points.items():
            at = {"": point.at, "_low": point.low, "_high": point.high}
            row |= {f"{name}{end}": _exp(value) for end, value in at.items()}
        for tag, bound in scale_bounds(row["num_classes"]).items():
            row[f"bound_{tag}"] = bound
            for name in points:
                row |= {f"{name}_{tag}{end}": row[f"{name}{end}"] / bound for end in ("", "_low", "_high")}
        found.append(row)
    return pd.DataFrame(found, columns=None if found else ["condition", "regime"])


def _rising(shares: pd.DataFrame) -> pd.DataFrame:
    """The scales that a rising curve is fitted to: all, or up to the last of the largest share if it misses the end."""
    fitted = threshold(np.log(shares.index.to_numpy(dtype=float)), shares["sum"], shares["count"])
    last, share = shares.iloc[-1], shares["sum"] / shares["count"]
    if fitted.regime == "mixed":
        expected = float(expit(fitted.slope * (np.log(float(shares.index[-1])) - fitted.at)))
    elif fitted.regime == "flat":
        expected = float(shares["sum"].sum() / shares["count"].sum())
    else:
        return shares
    if stats.binom.cdf(last["sum"], last["count"], expected) >= _DOUBT:
        return shares
    rising = shares[shares.index <= share.index[share == share.max()].max()]
    return rising if len(rising) > 1 else shares


def scale_bounds(num_classes: int) -> dict[str, float]:
    """CosFace's bound on s at every P_W of `POSTERIORS` by its tag, such as `p90`; NaN where it is not positive."""
    bounds = {p: cosface_scale_bound(num_classes, p) for p in POSTERIORS}
    return {posterior_tag(p): bound if bound > 0 else float("nan") for p, bound in bounds.items()}


def posterior_tag(posterior: float) -> str:
    """A P_W in the name of a column: `p90` for 0.9, `p999` for 0.999."""
    return f"p{f'{posterior:.2f}' if posterior < 0.995 else f'{posterior:g}'}".replace("0.", "")


def plain_trials(rows: pd.DataFrame) -> pd.DataFrame:
    """Trials with a given scale and no margin, of conditions in which their scale varied."""
    plain = rows[has_plain_scale(rows)] if len(rows) else rows
    return plain[plain.groupby("condition")["s"].transform("nunique") > 1]


def _exp(place: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(place))
