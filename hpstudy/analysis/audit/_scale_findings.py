"""What the audit of CosFace's bound on s found, in words."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis._metrics import MetricName
from hpstudy.analysis._words import counted, p_text, scale_text
from hpstudy.analysis.audit._below_bound import READ_AT
from hpstudy.analysis.audit._best_scales import BEST_LISTED
from hpstudy.analysis.audit._scale_audit import OWN_SCALE

_SIGNIFICANT = 0.05
_TOLD = {"adacos_fixed": "fixed AdaCos", "adacos": "dynamic AdaCos"}
_MEANING = " (95 % of the training samples nearest to their own prototype when training ended)"
_MANY_NINES, _ONLY_POWERS = 4, 9
"""Powers of ten below which a posterior is told by what it lacks to 1, and that by its power alone."""

_LEAST_SHOWN = 0.005
"""A lower end that reads as 0 is none."""


def scale_findings(
    audit: pd.DataFrame, best: pd.DataFrame, fit: pd.DataFrame, below: pd.DataFrame, name: MetricName
) -> list[str]:
    """The audit of the bound on s in plain sentences: how loose it is, what happens below it, where the best s lies.

    Every sentence follows from the frames, and says so where they show nothing.

    Args:
        audit: `scale_audit`.
        best: `best_scales`.
        fit: `convergence_fit`.
        below: `below_bound`.
        name: The metric of the scores.
    """
    sentences = [*_looseness(audit), *_reading(below), *_threshold(fit), *_speed(below), *_best(best, name)]
    return [*sentences, *(sentence for loss in _TOLD for sentence in _adacos(audit, best, loss, name))]


def _looseness(audit: pd.DataFrame) -> list[str]:
    known = audit.dropna(subset=["tightness"]) if "tightness" in audit else audit.head(0)
    if known.empty:
        return ["No trial measured the posterior of its prototypes, so that nothing is shown of how loose eq. 6 is."]
    wrong = int(known["violations"].sum())
    found = []
    if wrong:
        found.append(
            f"{counted(wrong, 'trial')} {'lies' if wrong == 1 else 'lie'} below eq. 6 at the posterior of "
            f"{'its' if wrong == 1 else 'their'} own prototypes, which no unit prototypes can: something was measured "
            "wrongly."
        )
    few = known["num_classes"] <= known["embedding_dim"] + 1
    told = [
        f"{'with' if i else 'With'} {words} s is {_range(rows['tightness_low'], rows['tightness_high'], _times)} times "
        f"what eq. 6 asks for at the smallest posterior of the trial's own prototypes (median {_times(middle)})"
        for i, (words, rows) in enumerate(
            (words, rows) for words, rows in (("C ≤ K + 1", known[few]), ("C > K + 1", known[~few])) if len(rows)
        )
        for middle in [float(rows["tightness"].median())]
    ]
    return [*found, f"{'; '.join(told)}; 1 is a simplex."]


def _reading(below: pd.DataFrame) -> list[str]:
    """Whether a network can't converge below the bound, at each P_W."""
    if below.empty:
        return ["No scale without a margin was varied, so that nothing is shown of trials below the bound."]
    found = []
    for posterior in READ_AT:
        rows = below[below["posterior"] == posterior]
        tried = rows[rows["below"] > 0]
        at = f"below the bound at P_W = {posterior:g}"
        if tried.empty:
            found.append(f"No trial had an s {at}, so that nothing is shown of what happens there.")
            continue
        total, count = int(tried["below"].sum()), int(tried["below_converged"].sum())
        above, above_count = int(tried["above"].sum()), int(tried["above_converged"].sum())
        beside = f", as against {above_count} of {above} above it" if above else ""
        found.append(f"{_share(count, total)} {at} converged{'' if found else _MEANING}{beside}: {_verdict(tried)}.")
    return found


def _verdict(tried: pd.DataFrame) -> str:
    """What that says of the reading, condition by condition: a share over several mixes what differs."""
    can, without = tried[tried["below_converged"] > 0], tried[tried["below_converged"] == 0]
    only_above = int((without["above_converged"] > 0).sum())
    parts = [
        (len(can), "a network can converge there, though what it can't reach is the posterior"),
        (
            only_above,
            "none did there by the end of training and some above did, which agrees with the reading that none can",
        ),
        (len(without) - only_above, "none did on either side, which can't be laid to the bound"),
    ]
    told = [(count, words) for count, words in parts if count]
    if len(told) == 1:
        return told[0][1]
    return f"of {counted(len(tried), 'condition')}, {'; '.join(f'in {count} {words}' for count, words in told)}"


def _share(count: int, total: int) -> str:
    if total == 1:
        return "The one trial" if count else "Not even the one trial"
    return f"All {total:,} trials" if count == total else f"{count or 'None'} of the {total:,} trials"


def _threshold(fit: pd.DataFrame) -> list[str]:
    """From which s on trials converge."""
    if fit.empty:
        return []
    if len(fit) == 1:
        return [_one_threshold(fit.iloc[0].to_dict()), *_falling(fit)]
    found, total = [], len(fit)
    for regimes, words in (
        (["all"], "every trial converged{up_to}, down to the smallest s tried, {s_min} times the bound at P_W = 0.9"),
        (["none"], "no trial converged, up to the largest s tried, {s_max} times the bound at P_W = 0.9"),
        (["flat"], "the share of trials that converge does not rise with s"),
        (["separated", "mixed"], "half of the trials converge at an s of {s50} times the bound at P_W = 0.9"),
    ):
        rows = fit[fit["regime"].isin(regimes)]
        if len(rows):
            ratios = {key: _range(rows[key] / rows["bound_p90"], shown=_times) for key in ("s_min", "s_max", "s50")}
            ratios["up_to"] = f" up to s = {_range(rows['s_fitted'])}" if _cut(rows).any() else ""
            where = "In all" if len(rows) == total else f"In {len(rows)} of"
            found.append(f"{where} {counted(total, 'condition')} {words.format_map(ratios)}.")
    return [*found, *_falling(fit)]


def _falling(fit: pd.DataFrame) -> list[str]:
    """Where the largest scales converge less often than smaller ones, which no rising curve has."""
    found = []
    for rows, words in (
        (fit[_cut(fit)], "than a rising curve allows, which is fitted up to s = {s_fitted}"),
        (
            fit[~_cut(fit) & (fit["share_at_max"] < fit["share_most"])],
            "than at a smaller one, by no more than chance allows",
        ),
    ):
        if rows.empty:
            continue
        told = words.format(s_fitted=_range(rows["s_fitted"]))
        if len(fit) == 1:
            largest, share = rows[["s_max", "share_at_max"]].iloc[0]
            found.append(
                f"At the largest s, {scale_text(largest)}, fewer trials converged ({100 * share:.0f} %) {told}."
            )
        else:
            where = f"In {len(rows)} of {counted(len(fit), 'condition')}"
            found.append(f"{where} fewer trials converged at the largest s {told}.")
    return found


def _cut(fit: pd.DataFrame) -> pd.Series:
    return fit["s_fitted"] < fit["s_max"]


def _one_threshold(row: Mapping[Any, Any]) -> str:
    def interval(point: str) -> str:
        return _ends(row[f"{point}_p90_low"], row[f"{point}_p90_high"])

    in_bounds = "times the bound at P_W = 0.9"
    up_to = f" up to s = {scale_text(row['s_fitted'])}" if row["s_fitted"] < row["s_max"] else ""
    if row["regime"] == "all":
        s_min = f"s = {scale_text(row['s_min'])}, {_times(row['s_min'] / row['bound_p90'])} {in_bounds}"
        limit = interval("s50")
        return f"Every trial converged{up_to}, down to {s_min}" + (
            f"; the s at which half would lies {limit} {in_bounds} (95 % limit)." if limit else "."
        )
    if row["regime"] == "none":
        s_max = f"s = {scale_text(row['s_max'])}, {_times(row['s_max'] / row['bound_p90'])} {in_bounds}"
        limit = interval("s50")
        return f"No trial converged, up to {s_max}" + (
            f"; the s at which half would lies {limit} {in_bounds} (95 % limit)." if limit else "."
        )
    if row["regime"] == "flat":
        return "The share of trials that converge does not rise with s, so that no threshold is shown."
    doubt = f"95 % interval {interval('s50')}" if interval("s50") else "no interval"
    half = f"at s = {scale_text(row['s50'])}, {_times(row['s50_p90'])} {in_bounds} ({doubt})"
    if row["regime"] == "separated":
        return f"All trials converged above some s{up_to} and none below it: the threshold lies {half}."
    most = f", and 95 % at {_times(row['s95_p90'])} times" + (f" ({interval('s95')})" if interval("s95") else "")
    return f"Half of the trials converge {half}{most}."


def _speed(below: pd.DataFrame) -> list[str]:
    rows = below[(below["posterior"] == 0.9) & below["p_holm"].notna()] if len(below) else below
    if rows.empty:
        return []
    at = "the bound at P_W = 0.9"
    later = rows[(rows["p_holm"] < _SIGNIFICANT) & (rows["later"] > 0.5)]
    sooner = rows[(rows["p_holm"] < _SIGNIFICANT) & (rows["later"] < 0.5)]
    if len(rows) == 1:
        row = rows.iloc[0]
        medians = f"(median {_epoch(row['epoch_below'])} against {_epoch(row['epoch_above'])} above it, "
        medians += f"{p_text(row['p_holm'])})"
        if len(later):
            return [f"Convergence took longer below {at} {medians}."]
        if len(sooner):
            return [f"Convergence was faster below {at} {medians}."]
        return [f"That convergence takes longer below {at} is not shown {medians}."]
    parts = [
        f"{words} in {len(part)}"
        for words, part in (("took longer", later), ("was faster", sooner))
        if len(part)
    ]  # fmt: skip
    rest = len(rows) - len(later) - len(sooner)
    where = f"of {counted(len(rows), 'condition')} with trials on both sides"
    if not parts:
        return [f"That convergence takes longer below {at} is not shown in any {where}."]
    tail = f", and no difference is shown in {rest}" if rest else ""
    return [f"Below {at} convergence {' and '.join(parts)} {where}{tail}."]


def _best(best: pd.DataFrame, name: MetricName) -> list[str]:
    rows = best[best["kind"] == BEST_LISTED] if len(best) else best
    if rows.empty:
        return ["No listed scales were scored, so that nothing is shown of where the best s lies."]
    if len(rows) == 1:
        row = rows.iloc[0]
        place = (
            f"The best mean {name.title}, {name.value(row['score'])}, is at s = {scale_text(row['s'])}, "
            f"{_ratios(row)} and implies a P_W of {posterior_text(row['implied_log_odds'])}"
        )
        return [f"{place}; {_alike(row)}.", *_edges(rows)]
    ratio = _range(rows["ratio_p90"], shown=_times)
    implied = _range(rows["implied_log_odds"], shown=posterior_text)
    sentence = (
        f"Over {counted(len(rows), 'condition')} the best mean {name.title} is at an s of {ratio} times the bound at "
        f"P_W = 0.9, which implies a P_W of {implied}"
    )
    tested = rows[rows["told"].notna()]
    if tested.empty:
        return [f"{sentence}; too few seeds to tell other scales from it.", *_edges(rows)]
    told = int((tested["told"] > 0).sum())
    reach = (tested[f"alike_{end}"] / tested["s"] * tested["ratio_p90"] for end in ("low", "high"))
    down, up = (_range(ends, shown=_times).replace(" to ", "–") for ends in reach)
    return [
        f"{sentence}; some other listed s is shown to be worse in {told} of {counted(len(tested), 'condition')}, but "
        f"scales from {down} up to {up} times that bound (by condition) are not told from the best.",
        *_edges(rows),
    ]


def _alike(row: pd.Series) -> str:
    if not np.isfinite(row["told"]):
        lost = "one of its trials diverged, so that other scales are not tested against it"
        return lost if row["diverged"] else "too few seeds to tell other scales from it"
    untested, told = int(row["untested"]), int(row["told"])
    rest = f" ({untested} with diverged trials {'is' if untested == 1 else 'are'} not tested)" if untested else ""
    if row["alike"] == 0:
        return f"every other listed s is shown to be worse{rest}"
    span = f"{scale_text(row['alike_low'])} to {scale_text(row['alike_high'])}"
    if told == 0:
        return f"no other listed s ({span}) is shown to be worse{rest}"
    return f"of s from {span} none is shown to be worse, of the others {told} {'is' if told == 1 else 'are'}{rest}"


def _edges(rows: pd.DataFrame) -> list[str]:
    found = []
    for edge in ("lowest", "highest"):
        count = int((rows["edge"] == edge).sum())
        if count:
            where = "" if len(rows) == 1 else f" in {count} of {counted(len(rows), 'condition')}"
            found.append(f"It is the {edge} s listed{where}, so that the best may lie beyond.")
    return found


def _ratios(row: pd.Series) -> str:
    first, second = _times(row["ratio_p90"]), _times(row["ratio_p999"])
    return f"which is {first} times the bound at P_W = 0.9 and {second} times that at 0.999,"


def _adacos(audit: pd.DataFrame, best: pd.DataFrame, loss: str, name: MetricName) -> list[str]:
    """What an AdaCos rule chose, and what that scored beside the best listed scale."""
    if audit.empty or "loss" not in audit:
        return []
    rows = audit[(audit["kind"] == OWN_SCALE) & (audit["loss"] == loss)]
    if rows.empty:
        return []
    subject = _TOLD[loss][0].upper() + _TOLD[loss][1:]
    verb = "uses" if loss == "adacos_fixed" else "ended at"
    finite = rows[np.isfinite(rows["s"])]
    count, total = int(rows["diverged"].sum()), int(rows["trials"].sum())
    lost = f"{count} of {counted(total, 'trial')} diverged" if count else ""
    if finite.empty:
        return [f"{subject}: {lost}, and no final s is known."] if lost else []
    scales = _range(finite["s_low"], finite["s_high"], scale_text)
    ratio, implied = _range(finite["ratio_p90"], shown=_times), _range(finite["implied_log_odds"], shown=posterior_text)
    place = f"{subject} {verb} s = {scales}, {ratio} times the bound at P_W = 0.9, which implies a P_W of {implied}"
    beside = _beside(best[(best["kind"] == OWN_SCALE) & (best["loss"] == loss)] if len(best) else best, name)
    return [f"{'; '.join(part for part in (place, lost, beside) if part)}."]


def _beside(rows: pd.DataFrame, name: MetricName) -> str:
    known = rows[np.isfinite(rows["difference"])] if len(rows) else rows
    if known.empty:
        return ""
    if len(known) == 1:
        row = known.iloc[0]
        ends = name.interval(row["difference_low"], row["difference_high"], sign=True)
        interval = f" (95 % interval {ends})" if np.isfinite(row["difference_low"]) else ""
        return f"against the best listed s it scores {name.difference(row['difference'])}{interval}"
    middle = _range(known["difference"], shown=lambda value: name.difference(value).split("\N{NO-BREAK SPACE}")[0])
    unit = f" {name.difference_unit}" if name.difference_unit else ""
    return f"against the best listed s it scores {middle}{unit}"


def posterior_text(log_odds: float) -> str:
    """A posterior by its log odds, or by what it lacks to 1: `0.934`, `0.9992`, `1 − 3·10⁻⁷`, `1 − 10⁻³⁰`."""
    if not math.isfinite(log_odds):
        return "–"
    log10_lack = -float(np.logaddexp(0.0, log_odds)) / math.log(10)
    if log10_lack >= -_MANY_NINES:
        lack = 10.0**log10_lack
        return f"{1.0 - lack:.{3 if lack >= 0.01 else 4 if lack >= 0.001 else 5}f}"
    exponent = math.floor(log10_lack)
    mantissa = round(10.0 ** (log10_lack - exponent))
    if mantissa == 10 or log10_lack < -_ONLY_POWERS:
        mantissa, exponent = 1, round(log10_lack)
    digits = str(-exponent).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"1\N{NO-BREAK SPACE}−\N{NO-BREAK SPACE}{f'{mantissa}·' if mantissa > 1 else ''}10⁻{digits}"


def _ends(low: float, high: float) -> str:
    """An interval with open ends told as a limit; empty where it has none."""
    closed = low >= _LEAST_SHOWN
    if closed and math.isfinite(high):
        return f"{_times(low)} to {_times(high)}"
    return f"above {_times(low)}" if closed else f"below {_times(high)}" if math.isfinite(high) else ""


def _range(
    values: pd.Series, upper: pd.Series | None = None, shown: Callable[[float], str] = scale_text
) -> str:  # fmt: skip
    """The span of finite values as text, one text where both ends read the same."""
    low, high = (part[np.isfinite(part)] for part in (values, values if upper is None else upper))
    if low.empty or high.empty:
        return "–"
    texts = shown(float(low.min())), shown(float(high.max()))
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)


def _times(factor: float) -> str:
    return f"{factor:.2f}" if factor < 10 else f"{factor:.1f}" if factor < 100 else f"{factor:.0f}"


def _epoch(epoch: float) -> str:
    return "never" if math.isinf(epoch) else f"epoch {epoch:g}"
