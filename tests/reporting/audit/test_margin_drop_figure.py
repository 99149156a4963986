"""Figures and tables of the margins that trials met."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from hpstudy.analysis import arm_kinds
from hpstudy.analysis.audit import margin_curve, margin_drops, margin_points
from hpstudy.reporting._latex import latex_table
from hpstudy.reporting._style import arm_styles, drawing, save
from hpstudy.reporting.audit._margin_drop_figure import margin_bound_figure, margin_drop_figure
from hpstudy.reporting.audit._margin_drop_table import margin_drop_table, margin_geometry_table

PLACES = ((8, 2, 0.292893), (12, 3, 0.552786), (24, 4, 0.45))


def survey(places: tuple[tuple[int, int, float], ...] = PLACES, scales: tuple[float, ...] = (30.0,)) -> pd.DataFrame:
    """CosFace and ArcFace in each place, which fall a little unevenly; prototypes merge well above."""
    rows = []
    for classes, dim, place in places:
        for arm in ("cosface", "arcface"):
            unit_place = place if arm == "cosface" else float(np.arccos(1 - place))
            for s in scales:
                for share in (0.0, 0.6, 0.9, 0.98, 1.02, 1.2, 1.6):
                    for seed in range(3):
                        met = 1.0 if share < 0.98 else 0.9 - 0.1 * seed if share < 1 else 0.05 * seed
                        rows.append(
                            {
                                "trial_id": f"{arm}.{classes}.{s}.{share}.{seed}", "arm": arm, "loss": arm,
                                "condition": f"train-{classes}_embedding_dim-{dim}", "phase": "grid",
                                "num_classes": classes, "embedding_dim": dim, "s": s, "m": share * unit_place,
                                "status": "completed", "geometry/margin_satisfied_fraction": met,
                                "geometry/max_prototype_cosine": 1 - place * 0.97,
                                "geometry/max_centre_cosine": 1 - place * 0.98,
                                "geometry/merged_pairs": float(share > 1.5),
                                "geometry/train_accuracy": 1 - 0.2 * (share > 1.5),
                            }
                        )  # fmt: skip
    return pd.DataFrame(rows)


def curves(trials: pd.DataFrame) -> Figure:
    return margin_drop_figure(
        margin_points(trials), margin_curve(trials), margin_drops(trials), arm_styles(arm_kinds(trials))
    )


def summary(trials: pd.DataFrame) -> Figure:
    return margin_bound_figure(margin_drops(trials), arm_styles(arm_kinds(trials)))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_panel_for_each_condition_and_arm(tmp_path: Path) -> None:
    trials = survey()
    with drawing():
        figure = curves(trials)
        first, second = (save(curves(trials), tmp_path / name).read_bytes() for name in ("a.svg", "b.svg"))
    assert first == second
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == list("abcdef")
    assert texts(figure)[:3] == ["$C$ = 8, $K$ = 2", "$C$ = 8, $K$ = 2", "$C$ = 12, $K$ = 3"]
    assert {axes.get_xlabel() for axes in panels} == {"", "$m$ (cosine)", "$m$ (rad)"}
    assert legend(figure) == [
        "arcface", "cosface", "sharp bound", "CosFace’s bound", "permitted by the prototypes", "merged",
    ]  # fmt: skip


def test_a_panel_shows_trials_fit_bounds_interval_and_merging() -> None:
    trials = survey()
    drops = margin_drops(trials)
    with drawing():
        figure = curves(trials)
    row, axes = drops.iloc[3], figure.axes[3]
    assert (row["arm"], row["num_classes"]) == ("cosface", 12)
    _, sharp, paper, fit, points, merged, permitted = axes.lines
    assert sharp.get_xdata()[0] == row["sharp_bound"]
    assert paper.get_xdata()[0] == row["paper_bound"]
    curve = margin_curve(trials).query("condition == 'train-12_embedding_dim-3' and arm == 'cosface'")
    assert fit.get_ydata().tolist() == (100 * curve["fit"].dropna()).tolist()
    assert len(points.get_xdata()) == 21
    assert merged.get_xdata().tolist() == pytest.approx([1.6 * 0.552786] * 3)
    assert permitted.get_xdata().tolist() == pytest.approx([0.97 * 0.552786] * 6)
    (span,) = axes.patches
    left, right = span.get_x(), span.get_x() + span.get_width()
    assert (left, right) == pytest.approx((row["low"], row["high"]))


def test_where_both_bounds_agree_one_is_drawn() -> None:
    with drawing():
        figure = curves(survey(PLACES[:1]))
    assert "CosFace’s bound" not in legend(figure)
    assert len(figure.axes[0].lines) == 6


def test_scales_are_told_where_an_arm_has_several() -> None:
    with drawing():
        figure = curves(survey(PLACES[:1], scales=(10.0, 30.0)))
    assert texts(figure) == [f"$C$ = 8, $K$ = 2, $s$ = {s}" for s in (10.0, 30.0, 10.0, 30.0)]


def test_conditions_of_one_size_are_told_by_name() -> None:
    trials = survey(PLACES[:1])
    both = pd.concat([trials, trials.assign(condition="label_noise-1e-1")], ignore_index=True)
    with drawing():
        figure = curves(both)
    assert "label_noise-1e-1" in texts(figure)


def test_all_falls_against_the_sharp_bound() -> None:
    trials = survey()
    drops = margin_drops(trials)
    with drawing():
        figure = summary(trials)
    cosine, angle = figure.axes
    assert cosine.get_xlabel() == "sharp bound on $m$ (cosine)"
    assert angle.get_xlabel() == "sharp bound on $m$ (rad)"
    drawn = [line.get_ydata()[0] for line in cosine.lines if line.get_marker() == "s"]
    assert sorted(drawn) == pytest.approx(sorted(drops.loc[drops["unit"] == "cosine", "drop"]))
    assert "$C$ = 24, $K$ = 4" in texts(figure)
    assert "$C$ = 8, $K$ = 2" not in texts(figure)


def test_one_unit_has_one_panel() -> None:
    trials = survey()
    with drawing():
        figure = summary(trials[trials["arm"] == "arcface"])
    assert [axes.get_ylabel() for axes in figure.axes] == [r"$\hat{m}$ (rad)"]


@pytest.mark.parametrize(("fraction", "text"), [(1.0, "> 0.469"), (0.0, "< 0.000")], ids=["never", "at once"])
def test_what_has_no_end_is_still_drawn_and_told(fraction: float, text: str, tmp_path: Path) -> None:
    trials = survey(PLACES[:1]).query("arm == 'cosface'").assign(**{"geometry/margin_satisfied_fraction": fraction})
    trials = trials.drop(columns=["geometry/max_prototype_cosine", "geometry/merged_pairs", "geometry/train_accuracy"])
    drops, styles = margin_drops(trials), arm_styles(arm_kinds(trials))
    with drawing():
        for figure in (curves(trials), summary(trials)):
            save(figure, tmp_path / "figure.svg")
            assert "permitted by the prototypes" not in legend(figure)
    cells = margin_drop_table(drops, styles).rows[0]["cells"]
    assert cells[3] == text
    geometry = margin_geometry_table(drops, styles).rows[0]["cells"]
    assert geometry[2:5] == ["–", "–", "–"]
    assert geometry[-1] == "–"


def test_tables_tell_the_interval_and_how_the_bounds_stand() -> None:
    trials = survey()
    drops, styles = margin_drops(trials), arm_styles(arm_kinds(trials))
    table = margin_drop_table(drops, styles)
    assert [row["group"] for row in table.rows if "group" in row] == drops["condition"].drop_duplicates().to_list()
    first = next(row["cells"] for row in table.rows if "cells" in row)
    assert first[0] == {"text": "arcface", "colour": styles["arcface"].colour}
    assert first[2] == "rad"
    last = table.rows[-1]["cells"]
    assert last[6:] == ["0.500", {"text": "above", "weight": "bold"}, "1.043", {"text": "above", "weight": "bold"}]
    geometry = margin_geometry_table(drops, styles)
    assert geometry.rows[-1]["cells"][-1] == "100.0 → 100.0"
    assert geometry.rows[-1]["cells"][6:9] == ["0", "33", "1"]
    for made in (table, geometry):
        assert "tabular" in latex_table("margins", made, {})
        assert made.as_json({})["headings"]


def test_tables_have_a_column_of_scales_where_an_arm_has_several() -> None:
    trials = survey(PLACES[:1], scales=(10.0, 30.0))
    table = margin_drop_table(margin_drops(trials), arm_styles(arm_kinds(trials)))
    assert [row["cells"][1] for row in table.rows] == ["10.0", "30.0", "10.0", "30.0"]


def test_a_bound_that_may_not_be_sharp_is_told_as_one() -> None:
    trials = survey(((50, 3, 0.15),))
    cells = margin_drop_table(margin_drops(trials), arm_styles(arm_kinds(trials))).rows[-1]["cells"]
    assert str(cells[6]).startswith("≤ ")


def test_unlike_marks_do_not_hide_one_another() -> None:
    """Several conditions have the bound 1: their marks stand side by side."""
    with drawing():
        figure = summary(survey(((6, 3, 1.0), (8, 4, 1.0), (16, 8, 1.0))))
    places = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "s"]
    assert len(set(places)) == 3
    assert np.mean(places) == pytest.approx(1.0)
