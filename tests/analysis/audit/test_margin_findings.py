"""What is said of margins follows from the frame, in every case that it can be in."""

import math
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from hpstudy.analysis.audit import margin_drops
from hpstudy.analysis.audit._margin_findings import margin_findings


def fall(**changes: Any) -> dict[str, Any]:
    """A row of `margin_drops`: a sharp fall at an exactly known bound, and nothing merged."""
    row = {
        "condition": "default", "arm": "cosface", "s": 30.0, "num_classes": 8, "embedding_dim": 2, "unit": "cosine",
        "trials": 14, "diverged": 0, "replicates": 2, "drop": 0.3, "low": 0.25, "high": 0.35, "before": 0.25,
        "after": 0.35, "met_90": 0.25, "met_10": 0.35, "place": "inside", "sharp": True, "paper_bound": 0.292893,
        "sharp_bound": 0.292893, "known_code": 0.292893, "exact": True, "paper_word": "within", "sharp_word": "within",
        "permitted_zero": 0.29, "permitted_at_drop": 0.29, "permitted_word": "within", "permitted_centres": 0.29,
        "merged_below": 0.0, "merged_above": 0.0, "most_merged": 0.0, "merged_from": math.nan, "accuracy_below": 1.0,
        "accuracy_above": 1.0,
    }  # fmt: skip
    return row | changes


def beyond(**changes: Any) -> dict[str, Any]:
    """A list of margins that are all met."""
    ends = dict.fromkeys(("low", "before", "met_90"), 0.5) | dict.fromkeys(("high", "after", "met_10"), math.inf)
    return fall(**ends, place="beyond", sharp=False, drop=math.nan, merged_above=math.nan) | changes


def told(*rows: dict[str, Any]) -> list[str]:
    return margin_findings(pd.DataFrame(rows))


def test_of_nothing_nothing_is_said() -> None:
    assert margin_findings(pd.DataFrame(columns=list(fall()))) == []


def test_one_sharp_fall_at_its_bound() -> None:
    assert told(fall()) == [
        "Where the largest possible margin is known exactly, the interval of the fall holds the sharp bound in 1 of 1.",
        "What the prototypes of the trials around the fall permit, 1 − max W_i·W_j, lies in the interval of the fall "
        "in 1 of 1.",
        "The fall is sharp: from more than nine in ten samples to fewer than one in ten between two neighbouring "
        "margins.",
        "No prototypes merged at any margin of 1 list.",
    ]


def test_lists_that_never_fall() -> None:
    nearer = "Of 2 lists of margins, most samples meet even the largest m in 2, and the sharp bound lies beyond that in"
    assert told(beyond(), beyond(before=0.2))[0] == f"{nearer} 1 of these; no fall was seen."
    assert told(beyond())[0] == "Of 1 list of margins, most samples meet even the largest m in 1; no fall was seen."
    assert len(told(beyond())) == 2  # and what merged


def test_the_end_of_an_open_interval_is_not_the_largest_margin() -> None:
    """Where the data allow that half is passed sooner, `low` is smaller than the largest m that was listed."""
    assert "the sharp bound lies beyond" not in told(beyond(low=0.1, before=0.5, sharp_bound=0.29))[0]


def test_lists_that_have_fallen_before_they_begin() -> None:
    row = fall(place="before", drop=math.nan, low=-math.inf, before=-math.inf, met_90=-math.inf, sharp=False)
    assert told(row, fall(), beyond())[0] == (
        "Of 3 lists of margins, most samples meet even the largest m in 1; fewer than half meet even the smallest in "
        "1; the fall is seen in 1."
    )


def test_early_and_late_falls_are_named_by_their_distance() -> None:
    early = fall(sharp_word="above", sharp_bound=0.5, high=0.35)
    late = fall(sharp_word="below", sharp_bound=0.2)
    assert told(early, late, fall())[0] == (
        "Where the largest possible margin is known exactly, the interval of the fall holds the sharp bound in 1 of 3; "
        "it ends before the bound in 1, down to 70 % of it (cosface with C = 8, K = 2); it begins beyond the bound in "
        "1, which most samples can meet if others are given up."
    )
    limits = told(fall(exact=False), fall())
    assert limits[0].startswith("Where the largest possible margin is known exactly, ")
    assert limits[1] == (
        "Where it is known within limits only, of which the sharp bound is the upper one, the interval of the fall "
        "holds the sharp bound in 1 of 1."
    )
    assert told(fall(exact=False))[0].startswith("Where the largest possible margin is known within limits only, ")


def test_of_many_early_falls_four_are_named_once_each() -> None:
    rows = [fall(sharp_word="above", sharp_bound=0.5, num_classes=count) for count in (8, 8, 9, 10, 11, 12, 13)]
    text = told(*rows)[0]
    assert "(cosface with C = 8, K = 2, cosface with C = 9, K = 2, cosface with C = 10, K = 2, " in text
    assert "cosface with C = 11, K = 2 and 2 more)" in text


def test_the_papers_bound_is_told_where_it_is_another_number() -> None:
    other = fall(num_classes=12, embedding_dim=3, paper_bound=1.0909, sharp_bound=0.552786, drop=0.55)
    both = told(other | {"paper_word": "above"}, other | {"drop": 0.6545, "paper_word": "within"}, fall())[1]
    assert both == (
        "CosFace’s eq. 7 is another number than the sharp bound in 2 of 3 (C > K + 1 with K > 2, where the paper says "
        "only that m lies far below it): it lies above the interval of the fall in 1 of these, and the fall comes at "
        "50 to 60 % of it."
    )
    one = told(other | {"paper_word": "within"})[1]
    assert one.endswith("in none of these, and the fall comes at 50 % of it.")


@pytest.mark.parametrize("unit", ["cosine", "rad"])
@pytest.mark.parametrize(("classes", "dim"), [(c, k) for c in (2, 3, 5, 8, 9, 16, 24, 300) for k in (2, 3, 4, 8, 512)])
def test_eq_7_differs_only_where_the_sentence_says(true: ModuleType, classes: int, dim: int, unit: str) -> None:
    rows = [
        {
            "trial_id": f"t{m}", "arm": "a", "condition": "c", "phase": "grid", "num_classes": classes,
            "embedding_dim": dim, "loss": "cosface" if unit == "cosine" else "arcface", "s": 30.0, "m": m,
            "status": "completed", "geometry/margin_satisfied_fraction": float(m < 0.5),
        }
        for m in (0.0, 0.4, 0.6)
    ]  # fmt: skip
    said = any("eq. 7" in sentence for sentence in margin_findings(margin_drops(pd.DataFrame(rows))))
    assert said == (classes > dim + 1 and dim > 2)


def test_angles_that_prototypes_permit_are_called_so() -> None:
    row = fall(permitted_word="above")
    assert "1 − max W_i·W_j, lies in the interval of the fall in 1 of 2." in told(fall(), row)[1]
    assert "1 − max W_i·W_j, or its angle, lies in" in told(fall(unit="rad"), row)[1]
    assert not any("prototypes of the trials" in text for text in told(fall(permitted_word="")))


def test_wide_falls_are_told_in_units_of_the_margin_that_half_meet() -> None:
    wide = fall(sharp=False, met_90=0.15, met_10=0.6)
    begun = fall(sharp=False, met_90=-math.inf, met_10=0.6)
    places = "from 50 % (nine in ten meet it) to 200 % (one in ten) of the m that half meet."
    steep = "from more than nine in ten samples to fewer than one in ten between two neighbouring margins"

    def shape(*rows: dict[str, Any]) -> str:
        return next(text for text in told(*rows) if "sharp" in text and "bound" not in text)

    assert shape(fall(), fall()) == f"Every fall is sharp: {steep}."
    assert shape(wide) == f"The fall is not sharp; it goes {places}"
    assert shape(begun) == "The fall is not sharp."
    assert shape(wide, wide) == f"None of 2 falls is sharp, {steep}; they go in the median {places}"
    assert shape(fall(), wide) == f"1 of 2 falls is sharp, {steep}; the other goes {places}"
    assert shape(fall(), fall(), wide, wide | {"unit": "rad", "drop": 0.6, "met_90": 0.3, "met_10": 1.2}) == (
        f"2 of 4 falls are sharp, {steep}; the other 2 go in the median {places}"
    )
    known = f"1 of 3 falls is sharp, {steep}; 1 of 2 others with both ends in the list goes {places}"
    assert shape(fall(), wide, begun) == known
    assert shape(fall(), begun) == f"1 of 2 falls is sharp, {steep}."
    assert shape(fall(sharp=False, drop=0.0, met_90=-math.inf, met_10=0.1)) == "The fall is not sharp."


def test_prototypes_that_merge_are_counted_where_there_were_trials() -> None:
    merged = fall(merged_above=0.5, most_merged=3.0, merged_from=0.4)
    assert told(merged, fall(), beyond())[-1] == (
        "Prototypes merge in 1 of 3 lists, up to 3 pairs in one trial: beyond the interval of the fall in 1 of 2 and "
        "before it in none of 3."
    )
    assert told(merged | {"most_merged": 1.0})[-1].startswith("Prototypes merge in 1 of 1 list, up to 1 pair in one")
    assert told(fall(), fall())[-1] == "No prototypes merged at any margin of 2 lists."
    assert not any("merge" in text for text in told(fall(most_merged=math.nan)))


def test_prototypes_that_merged_inside_the_interval_alone_are_not_denied() -> None:
    inside = fall(most_merged=2.0, merged_from=0.3)
    assert told(inside)[-1] == (
        "Prototypes merge in 1 of 1 list, up to 2 pairs in one trial: beyond the interval of the fall in none of 1 and "
        "before it in none of 1."
    )
    everywhere = inside | {"merged_above": math.nan, "merged_below": math.nan}
    assert told(everywhere)[-1] == "Prototypes merge in 1 of 1 list, up to 2 pairs in one trial."


def test_true_geometry_is_told_as_it_is(audited: ModuleType) -> None:
    """A square in the plane, an octagon and a simplex; features at their prototypes, which merge in the end."""
    said = margin_findings(margin_drops(audited.margins(((8, 2), (4, 2), (4, 3)), merge_from=1.5).trials))
    for part in (
        "the interval of the fall holds the sharp bound in 4 of 4.",
        "most samples meet even the largest m in 2, and the sharp bound lies beyond that in 2 of these; the fall is "
        "seen in 4.",
        "1 − max W_i·W_j, or its angle, lies in the interval of the fall in 4 of 4.",
        "Every fall is sharp",
        "up to 4 pairs in one trial: beyond the interval of the fall in",
        "and before it in none of 6.",
    ):
        assert part in " ".join(said)
    assert not any("eq. 7" in text for text in said)
