"""What the audit of the bound on m found, in words."""

import numpy as np
import pandas as pd

from hpstudy.analysis._words import counted

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
    """Lists of margins that do not hold the fall, of which nothing else is said."""
    never, before = drops[drops["place"] == "beyond"], drops[drops["place"] == "before"]
    told = []
    if len(never):
        far = int((never["sharp_bound"] > never["before"]).sum())
        nearer = f", and the sharp bound lies beyond that in {far} of these" if far else ""
        told.append(f"most samples meet even the largest m in {len(never)}{nearer}")
    if len(before):
        told.append(f"fewer than half meet even the smallest in {len(before)}")
    if not told:
        return []
    rest = f"the fall is seen in {len(fallen)}" if len(fallen) else "no fall was seen"
    return [f"Of {counted(len(drops), 'list')} of margins, {'; '.join([*told, rest])}."]


def _sharp(fallen: pd.DataFrame) -> list[str]:
    sentences = []
    exact = fallen["exact"].astype(bool)
    for words, rows in (
        ("the largest possible margin is known exactly", fallen[exact]),
        (
            f"{'it' if exact.any() else 'the largest possible margin'} is known within limits only, of which the sharp "
            "bound is the upper one",
            fallen[~exact],
        ),
    ):
        if rows.empty:
            continue
        within, early, late = (rows[rows["sharp_word"] == word] for word in ("within", "above", "below"))
        text = f"Where {words}, the interval of the fall holds the sharp bound in {len(within)} of {len(rows)}"
        if len(early):
            short = (early["high"] / early["sharp_bound"]).min()
            text += f"; it ends before the bound in {len(early)}, down to {_share(short)} of it ({_named(early)})"
        if len(late):
            text += f"; it begins beyond the bound in {len(late)}, which most samples can meet if others are given up"
        sentences.append(f"{text}.")
    return sentences


def _paper(fallen: pd.DataFrame) -> list[str]:
    apart = fallen[~np.isclose(fallen["paper_bound"], fallen["sharp_bound"], rtol=1e-6)]
    if apart.empty:
        return []
    too_large = int((apart["paper_word"] == "above").sum())
    return [
        f"CosFace’s eq. 7 is another number than the sharp bound in {len(apart)} of {len(fallen)} (C > K + 1 with K > "
        "2, where the paper says only that m lies far below it): it lies above the interval of the fall in "
        f"{too_large or 'none'} of these, and the fall comes at {_shares(apart['drop'] / apart['paper_bound'])} of it."
    ]


def _own(fallen: pd.DataFrame) -> list[str]:
    known = fallen[fallen["permitted_word"] != ""]
    if known.empty:
        return []
    own = int((known["permitted_word"] == "within").sum())
    of_angles = ", or its angle," if (known["unit"] == "rad").any() else ","
    return [
        f"What the prototypes of the trials around the fall permit, 1 − max W_i·W_j{of_angles} lies in the interval of "
        f"the fall in {own} of {len(known)}."
    ]


def _shape(fallen: pd.DataFrame) -> list[str]:
    """How far falls reach, each in units of the margin that half of the samples meet: some m are angles."""
    if fallen.empty:
        return []
    sharp = fallen["sharp"].astype(bool)
    count, total = int(sharp.sum()), len(fallen)
    steep = "from more than nine in ten samples to fewer than one in ten between two neighbouring margins"
    if count == total:
        return [f"{'Every fall' if total > 1 else 'The fall'} is sharp: {steep}."]
    wide = fallen[~sharp]
    ends = wide[np.isfinite(wide["met_90"]) & np.isfinite(wide["met_10"]) & (wide["drop"] > 0)]
    verb = "are" if count > 1 else "is"
    text = f"{count or 'None'} of {total} falls {verb} sharp, {steep}" if total > 1 else "The fall is not sharp"
    if len(ends):
        ninth, tenth = (float((ends[end] / ends["drop"]).median()) for end in ("met_90", "met_10"))
        middle = " in the median" if len(ends) > 1 else ""
        text += (
            f"; {_extended(len(ends), len(wide), total)}{middle} from {_share(ninth)} (nine in ten meet it) to "
            f"{_share(tenth)} (one in ten) of the m that half meet"
        )
    return [f"{text}."]


def _extended(known: int, wide: int, total: int) -> str:
    """Falls that go from one end to another; `known` of the `wide` ones have both within the list."""
    if total == 1:
        return "it goes"
    if known == wide:
        return f"the other{f' {known} go' if known > 1 else ' goes'}" if wide < total else "they go"
    return f"{known} of {wide} others with both ends in the list {'go' if known > 1 else 'goes'}"


def _merging(drops: pd.DataFrame) -> list[str]:
    known = drops[drops["most_merged"].notna()]
    if known.empty:
        return []
    merged = known[known["most_merged"] > 0]
    lists = counted(len(known), "list")
    if merged.empty:
        return [f"No prototypes merged at any margin of {lists}."]
    sides = []
    for column, words in (("merged_above", "beyond the interval of the fall"), ("merged_below", "before it")):
        tried = known[known[column].notna()]
        if len(tried):
            sides.append(f"{words} in {int((tried[column] > 0).sum()) or 'none'} of {len(tried)}")
    at = f": {' and '.join(sides)}" if sides else ""
    most = counted(int(merged["most_merged"].max()), "pair")
    return [f"Prototypes merge in {len(merged)} of {lists}, up to {most} in one trial{at}."]


def _named(rows: pd.DataFrame) -> str:
    names = list(
        dict.fromkeys(
            f"{row['arm']} with C = {row['num_classes']}, K = {row['embedding_dim']}" for row in rows.to_dict("records")
        )
    )
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _shares(values: pd.Series) -> str:
    low, high = (f"{100 * value:.0f}" for value in (values.min(), values.max()))
    return f"{low} %" if low == high else f"{low} to {high} %"
