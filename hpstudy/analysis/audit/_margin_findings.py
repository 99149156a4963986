"""What the audit of the bound on m found, in words."""

import numpy as np
import pandas as pd

from hpstudy.analysis._words import counted, listed

_MOST_NAMED = 4


def margin_findings(drops: pd.DataFrame) -> list[str]:
    """The audit of the bound on m in plain sentences: whose bound the fall is at, and what happens beyond it.

    Args:
        drops: `margin_drops`.
    """
    if drops.empty:
        return []
    fallen = drops[drops["place"] == "inside"]
    return [*_reach(drops, fallen), *_sharp(fallen), *_paper(fallen), *_own(fallen), *_shape(fallen), *_merging(drops)]


def _reach(drops: pd.DataFrame, fallen: pd.DataFrame) -> list[str]:
    never, before = drops[drops["place"] == "beyond"], drops[drops["place"] == "before"]
    told = []
    if len(never):
        far = never["sharp_bound"] > never["low"]
        told.append(
            f"in {len(never)} the margin is met by most samples up to the largest that was listed"
            + (f", {int(far.sum())} of which have a bound beyond it" if far.any() else "")
        )
    if len(before):
        told.append(f"in {len(before)} it is met by fewer than half at the smallest")
    if not told:
        return []
    rest = f"; the other {len(fallen)} are judged below" if len(fallen) else "; no fall was seen"
    return [f"Of {counted(len(drops), 'list')} of margins, {listed(told)}{rest}."]


def _sharp(fallen: pd.DataFrame) -> list[str]:
    if fallen.empty:
        return []
    exact = fallen[fallen["exact"]]
    sentences = []
    for words, rows in (
        ("where the largest possible margin is known exactly", exact),
        ("where it is known within limits only", fallen[~fallen["exact"].astype(bool)]),
    ):
        if rows.empty:
            continue
        at, early, late = (rows[rows["sharp_word"] == word] for word in ("within", "above", "below"))
        text = f"{words[0].upper()}{words[1:]}, the fall is at the sharp bound in {len(at)} of {len(rows)}"
        if len(early):
            short = (early["high"] / early["sharp_bound"]).min()
            text += f", before it in {len(early)} (down to {_share(short)} of it: {_named(early)})"
        if len(late):
            text += f", and after it in {len(late)}, where classes were given up so that most samples meet more"
        sentences.append(f"{text}.")
    return sentences


def _paper(fallen: pd.DataFrame) -> list[str]:
    apart = fallen[~np.isclose(fallen["paper_bound"], fallen["sharp_bound"], rtol=1e-6)]
    if apart.empty:
        return []
    too_large = apart[apart["paper_word"] == "above"]
    return [
        f"CosFace's eq. 7 is another number than the sharp bound in {len(apart)} of {len(fallen)} "
        "(C > K + 1 with K > 2, where the paper says only that m lies far below it): it lies above the interval of "
        f"the fall in {len(too_large)} of these, the fall coming at "
        f"{_share((apart['drop'] / apart['paper_bound']).min())} to "
        f"{_share((apart['drop'] / apart['paper_bound']).max())} of it."
    ]


def _own(fallen: pd.DataFrame) -> list[str]:
    known = fallen[fallen["permitted_word"] != ""]
    if known.empty:
        return []
    own = int((known["permitted_word"] == "within").sum())
    return [
        f"What the prototypes of the trials around the fall permit, 1 − max W_i·W_j, lies in its interval in {own} of "
        f"{len(known)}."
    ]


def _shape(fallen: pd.DataFrame) -> list[str]:
    if fallen.empty:
        return []
    sharp = int(fallen["sharp"].sum())
    if sharp == len(fallen):
        return ["Every fall is sharp: from nearly all samples to hardly any between two neighbouring margins."]
    wide = fallen[~fallen["sharp"].astype(bool)]
    return [
        f"{sharp} of {len(fallen)} falls are sharp, between two neighbouring margins; the others go over a range of "
        f"margins, on average from {wide['met_90'].mean():.2f} (nine in ten samples meet it) to "
        f"{wide['met_10'].mean():.2f} (one in ten)."
    ]


def _merging(drops: pd.DataFrame) -> list[str]:
    known = drops[drops["most_merged"].notna()]
    if known.empty:
        return []
    merged = known[known["merged_above"] > 0]
    below = known[known["merged_below"] > 0]
    if merged.empty and below.empty:
        return [f"No prototypes merged at any margin of {counted(len(known), 'list')}."]
    text = f"Beyond the fall prototypes merge in {len(merged)} of {len(known)} lists"
    if len(merged):
        text += f", up to {int(merged['most_merged'].max())} pairs in one trial"
    return [f"{text}; below it in {len(below) or 'none'}."]


def _named(rows: pd.DataFrame) -> str:
    names = [
        f"{row['arm']} with C = {row['num_classes']}, K = {row['embedding_dim']}" for row in rows.to_dict("records")
    ]
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"
