"""Maps of divergence over C and K, the scales that rules end at, and the tables beside them."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hpstudy.analysis.audit import stability_agreement, stability_map
from hpstudy.reporting._latex import latex_table
from hpstudy.reporting._style import ArmStyle, drawing, save
from hpstudy.reporting.audit._stability_figure import stability_figure
from hpstudy.reporting.audit._stability_scale_figure import stability_scale_figure
from hpstudy.reporting.audit._stability_table import agreement_table, stability_table

LOSS = {"published": "adacos", "averaged": "adacos_ema", "geometric": "adacos_geometric", "capped": "adacos_capped"}
STYLES = {arm: ArmStyle("#123456", "o", "-", 1.0) for arm in LOSS}


def planted(
    classes: Sequence[int] = (30, 300), dims: Sequence[int] = (8, 64), noises: Sequence[float] = (0.0,),
    arms: Sequence[str] = ("published",), *, trials: int = 5, gone: float = 0.5,
) -> pd.DataFrame:  # fmt: skip
    """The map of trials of which the published rule's diverge at so large a share, half the cells more, half fewer."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "arm": arm, "loss": LOSS[arm], "condition": f"{count}.{dim}.{noise}", "phase": "grid", "search_seed": i,
            "seed": i, "status": "diverged" if (away := arm == "published" and rng.random() < gone) else "completed",
            "diverged_step": 40 if away else -1, "num_classes": count, "embedding_dim": dim,
            "data/label_noise": noise, "geometry/final_s": math.nan if away else math.log(count) * (1 + 4 / dim),
        }
        for arm in arms for count in classes for dim in dims for noise in noises for i in range(trials)
    ]  # fmt: skip
    return stability_map(pd.DataFrame(rows))


def maps(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.axison and axes.get_label() != "<colorbar>"]


def counts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if "/" in text.get_text()]


def cells(axes: Axes, *, hatched: bool) -> list[tuple[float, float]]:
    found = [p for p in axes.patches if isinstance(p, Rectangle) and bool(p.get_hatch()) == hatched]
    return sorted((p.get_x() + 0.5, p.get_y() + 0.5) for p in found if p.get_width() == 1)


def test_every_cell_has_its_count_and_the_predicted_ones_a_hatch() -> None:
    found = planted()
    with drawing():
        (axes,) = maps(stability_figure(found))
    assert sorted(counts(axes)) == sorted(f"{row.ran_away}/{row.trials}" for row in found.itertuples())
    assert [label.get_text() for label in axes.get_xticklabels()] == ["8", "64"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["30", "300"]
    assert cells(axes, hatched=False) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    predicted = found[found["predicted"] == "runs away"]
    assert cells(axes, hatched=True) == [(0.0, float(c == 300)) for c in sorted(predicted["num_classes"])]
    assert len(axes.lines) == 2  # the two edges between K = 8, which runs away, and K = 64, which rests


def test_colour_is_the_rate() -> None:
    found = planted(classes=(30, 300, 1000), trials=4)
    with drawing():
        (axes,) = maps(stability_figure(found))
    shades = {}
    for patch in axes.patches:
        if isinstance(patch, Rectangle) and not patch.get_hatch() and patch.get_width() == 1:
            shades[patch.get_x() + 0.5, patch.get_y() + 0.5] = sum(patch.get_facecolor()[:3])
    at = {(i, j): (dim, count) for i, dim in enumerate((8, 64)) for j, count in enumerate((30, 300, 1000))}
    rates = found.set_index(["embedding_dim", "num_classes"])["rate"]
    by_rate = sorted((rates[at[place]], -shade) for place, shade in shades.items())
    assert [shade for _, shade in by_rate] == sorted(shade for _, shade in by_rate)


def test_a_panel_for_each_rule_and_level_of_noise() -> None:
    with drawing():
        figure = stability_figure(planted(noises=(0.0, 0.1), arms=list(LOSS)))
        panels = maps(figure)
    assert [axes.get_title(loc="left") for axes in panels] == [arm for arm in LOSS for _ in range(2)]
    words = [text.get_text() for axes in panels for text in axes.texts if "label" in text.get_text()]
    assert words == ["all labels right", "10 % wrong labels"] * 4
    assert [bool(cells(axes, hatched=True)) for axes in panels] == [True, True] + [False] * 6
    assert figure.legends[0].get_texts()[0].get_text() == "predicted to run away"


def test_a_cell_that_contradicts_its_prediction_is_framed() -> None:
    found = planted(gone=0.0)
    with drawing():
        figure = stability_figure(found)
    (axes,) = maps(figure)
    framed = [p for p in axes.patches if isinstance(p, Rectangle) and p.get_width() < 1]
    assert len(framed) == int(found["contradicts"].sum()) > 0
    assert [text.get_fontweight() for text in axes.texts if text.get_text() == "0/5"].count("bold") == len(framed)
    assert "contradicts its prediction" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("sizes", [((100,), (16,)), ((30, 100), (8, 16)), (range(20, 26), (4, 8, 16, 32, 64, 512))])
@pytest.mark.parametrize("noises", [(0.0,), (0.0, 0.05, 0.1, 0.2, 0.4)])
def test_counts_fit_their_cells_at_every_size(
    sizes: tuple[Sequence[int], Sequence[int]], noises: Sequence[float]
) -> None:
    with drawing():
        figure = stability_figure(planted(*sizes, noises))
        figure.draw_without_rendering()
        for axes in maps(figure):
            width = axes.get_window_extent().width / len(sizes[1])
            assert all(text.get_window_extent().width < width for text in axes.texts if "/" in text.get_text())


@pytest.mark.parametrize("draw", [stability_figure, stability_scale_figure])
def test_the_same_map_gives_the_same_bytes(draw, tmp_path: Path) -> None:
    found = planted(noises=(0.0, 0.1), arms=("published", "capped"))
    with drawing():
        first, second = (save(draw(found), tmp_path / name).read_bytes() for name in ("a.svg", "b.svg"))
    assert first == second


@pytest.mark.parametrize("draw", [stability_figure, stability_scale_figure])
def test_cells_that_nobody_tried_stay_empty(draw) -> None:
    found = planted(noises=(0.0, 0.1), arms=("published", "capped"))
    with drawing():
        sparse = draw(found.drop(index=[0, 3, *found.index[found["arm"] == "capped"][4:]]))
        sparse.draw_without_rendering()
    assert len(maps(sparse)) == 3


def test_scales_at_the_end_stand_beside_the_fixed_points() -> None:
    found = planted(arms=("published", "capped"), gone=0.3)
    with drawing():
        published, capped = maps(stability_scale_figure(found))
    of = found[(found["arm"] == "published") & (found["num_classes"] == 300)]
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in published.lines]
    for name in ("stable", "final_s"):
        assert any(
            len(values) == 2 and np.allclose(values, (of[name] / of["start"]).to_numpy(), equal_nan=True)
            for values in drawn
        )
    assert any(np.allclose(np.asarray(line.get_ydata(), dtype=float), 2.0) for line in capped.lines)
    assert not any(np.allclose(values, 2.0) for values in drawn)


def test_a_cell_without_a_completed_trial_has_a_cross() -> None:
    with drawing():
        figure = stability_scale_figure(planted(gone=1.0))
        figure.draw_without_rendering()
    (axes,) = maps(figure)
    assert sum(line.get_marker() == "x" for line in axes.lines) == 4
    assert "no trial completed" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_table_of_cells() -> None:
    found = planted(arms=("published", "capped"))
    table = stability_table(found, STYLES)
    assert [len(row["cells"]) for row in table.rows] == [12] * 8
    first, row = table.rows[0]["cells"], found.iloc[0]
    assert first[0] == {"text": "published", "colour": "#123456"}
    assert first[1:4] == ["30", "8", f"{row['ran_away']} of 5"]
    assert first[5] == "40"
    assert first[-3:] == ["–", "–", "runs away"]
    assert [r["cells"][0] == "" for r in table.rows] == [False, True, True, True] * 2
    assert len(stability_table(planted(noises=(0.1,)), STYLES).columns) == 13
    bold = stability_table(planted(gone=0.0), STYLES).rows[0]["cells"][-1]
    assert bold == {"text": "runs away", "weight": "bold"}
    assert "rests at" in latex_table("stability", table, {})


def test_the_table_of_agreement() -> None:
    found = stability_agreement(planted(gone=0.0))
    table = agreement_table(found, STYLES)
    runs, rests = (row["cells"] for row in table.rows)
    assert runs[1:6] == ["runs away", "2", "10", "0", "10"]
    assert runs[6] == "0.0"
    assert runs[-2:] == ["0, 0, 2", "2 of 2"]
    assert rests[-2:] == ["0, 0, 2", "0 of 2"]
    noisy = agreement_table(stability_agreement(planted(noises=(0.0, 0.3))), STYLES)
    assert [row["cells"][1] for row in noisy.rows] == ["all right"] * 2 + ["some wrong"] * 2
    assert "tabular" in latex_table("agreement", noisy, {})
    empty = found.assign(cells=0, trials=0, ran_away=0, rate=math.nan, low=math.nan, high=math.nan)
    assert agreement_table(empty, STYLES).rows[0]["cells"][-5:] == ["0", "–", "–", "–", "–"]
