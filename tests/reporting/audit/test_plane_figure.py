"""Pictures of features in the plane and of decision boundaries, by their artists."""

import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from hpstudy.analysis.audit import Plane
from hpstudy.reporting._style import drawing, save
from hpstudy.reporting._typst import figure_as_pdf
from hpstudy.reporting.audit._decision_figure import Decision, decision_figure
from hpstudy.reporting.audit._plane_figure import class_colours, plane_figure


def plane(loss: str, *, arm: str = "", classes: int = 5, each: int = 20, s: float = 8.0, **changes: object) -> Plane:
    """Classes evenly around the circle, each a small cloud."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(classes), each)
    angles = 2 * np.pi * labels / classes + 0.05 * rng.standard_normal(labels.size)
    radius = rng.uniform(5, 50, labels.size)
    at = 2 * np.pi * np.arange(classes) / classes
    values: dict[str, object] = {
        "condition": "default",
        "arm": arm or loss,
        "loss": loss,
        "s": s,
        "m": math.nan,
        "num_classes": classes,
        "samples": pd.DataFrame({"x": radius * np.cos(angles), "y": radius * np.sin(angles), "label": labels}),
        "prototypes": pd.DataFrame({"x": 2 * np.cos(at), "y": 2 * np.sin(at), "label": np.arange(classes)}),
        "accuracy": 0.987,
    }
    return Plane(**(values | changes))  # type: ignore[arg-type]


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def rays(axes: Axes) -> dict[str, np.ndarray]:
    return {
        str(line.get_label()): line.get_xydata()[1]
        for line in axes.lines
        if str(line.get_label()).startswith("prototype")
    }


def test_losses_that_read_norms_have_the_features_as_they_are() -> None:
    given = plane("softmax")
    with drawing():
        (axes,) = plane_figure([given]).axes
    points = np.asarray(axes.collections[0].get_offsets())
    assert points == pytest.approx(given.samples[["x", "y"]].to_numpy())
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_xlim()[1] == pytest.approx(-axes.get_xlim()[0])
    assert axes.get_aspect() == 1.0
    assert words(axes) == ["softmax", "98.7 % right"]


def test_other_losses_have_directions_around_the_circle() -> None:
    with drawing():
        (axes,) = plane_figure([plane("arcface", m=0.3)]).axes
    assert np.array([np.hypot(*end) for end in rays(axes).values()]) == pytest.approx(np.ones(5))
    assert len(axes.patches) >= 5
    radii = np.concatenate([np.hypot(*np.asarray(patch.get_xy()).T) for patch in axes.patches])
    assert radii.min() == pytest.approx(1.0)
    assert radii.max() <= 1.45 + 1e-9
    assert {mpl.colors.to_hex(patch.get_facecolor()) for patch in axes.patches} == set(class_colours(5))
    assert words(axes) == ["arcface", "$s$ = 8.00, $m$ = 0.3 rad, 98.7 % right"]


def test_a_bin_with_a_whole_class_is_the_highest() -> None:
    gathered = pd.DataFrame({"x": [1.0, 2.0, -1.0, 0.0], "y": [1.0, 2.0, 0.01, -1.0], "label": [0, 0, 1, 1]})
    with drawing():
        (axes,) = plane_figure([plane("normface", classes=2, samples=gathered)]).axes
    heights = sorted(float(np.hypot(*np.asarray(patch.get_xy()).T).max()) - 1 for patch in axes.patches)
    assert heights == pytest.approx([0.45 * math.sqrt(0.5), 0.45 * math.sqrt(0.5), 0.45])


def test_prototypes_of_unequal_norm_keep_their_proportions() -> None:
    ends = pd.DataFrame({"x": [1.0, -3.0], "y": [0.0, 0.0], "label": [0, 1]})
    with drawing():
        (axes,) = plane_figure([plane("softmax", classes=2, prototypes=ends)]).axes
    first, second = rays(axes).values()
    assert second[0] == pytest.approx(-3 * first[0])
    assert second[0] == pytest.approx(-0.55 * axes.get_xlim()[1])


def test_merged_prototypes_are_named() -> None:
    at = np.radians([0, 3, 90, 180, 270])
    merged = pd.DataFrame({"x": np.cos(at), "y": np.sin(at), "label": range(5)})
    with drawing():
        one, many = plane_figure(
            [plane("cosface", prototypes=merged), plane("cosface", classes=60, each=2, condition="default")]
        ).axes
    assert "merged: 0 and 1" in words(one)
    assert "60 of 60 prototypes merged into 1" in words(many)


def test_one_legend_of_classes_and_the_conditions_where_there_are_several() -> None:
    many = [plane("arcface", arm=f"a{i}", condition=f"c{i % 2}") for i in range(9)]
    with drawing():
        figure = plane_figure(many)
        unnamed = plane_figure([plane("arcface", classes=11)])
    assert [text.get_text() for text in figure.legends[0].get_texts() if text.get_text().isdigit()] == list("01234")
    assert not unnamed.legends
    assert [axes.get_title(loc="left") for axes in figure.axes] == list("abcdefghi")
    assert words(figure.axes[1])[1].startswith("c1, ")
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(min(box.x0, box.y0) >= 0 and max(box.x1, box.y1) <= 1 for box in boxes)


@pytest.mark.parametrize("loss", ["softmax", "adacos"])
def test_what_is_missing_is_not_drawn(loss: str) -> None:
    nothing = pd.DataFrame({"x": [], "y": [], "label": []}, dtype=float)
    origin = pd.DataFrame({"x": [0.0, math.nan], "y": [0.0, 1.0], "label": [0, 1]})
    with drawing():
        for samples in (nothing, origin):
            figure = plane_figure([plane(loss, samples=samples, prototypes=nothing, accuracy=math.nan, s=math.nan)])
            figure.canvas.draw()
            assert words(figure.axes[0]) == [loss, ""]


def test_many_samples_become_an_image_and_the_file_stays_the_same(tmp_path: Path) -> None:
    with drawing():
        first, second = (
            save(plane_figure([plane("softmax", each=400)]), tmp_path / f"{name}.svg") for name in ("first", "second")
        )
        marks = save(plane_figure([plane("softmax", each=90)]), tmp_path / "marks.svg").read_text(encoding="utf-8")
    assert first.read_bytes() == second.read_bytes()
    assert "data:image/png" in first.read_text(encoding="utf-8")
    assert "data:image/png" not in marks
    assert b"/Subtype/Image" in figure_as_pdf(first, "features").read_bytes()
    assert first.stat().st_size < 200_000


DECISIONS: list[Decision] = [
    ("softmax", "softmax", {}),
    ("NormFace", "none", {}),
    ("SphereFace", "multiplicative_angle", {"m": 1.35}),
    ("CosFace", "additive_cosine", {"m": 0.35}),
    ("ArcFace", "additive_angle", {"m": 0.5, "past_pi": "monotone"}),
    ("combined", "combined", {"m1": 1.0, "m2": 0.3, "m3": 0.2}),
    ("MagFace", "magface", {"l_m": 0.45}),
]


def boundary(axes: Axes, name: str) -> np.ndarray:
    (line,) = (line for line in axes.lines if line.get_label() == name)
    return np.asarray(line.get_xydata())


def test_a_panel_for_each_margin() -> None:
    with drawing():
        figure = decision_figure(DECISIONS)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [words(axes)[0] for axes in shown] == [title for title, _, _ in DECISIONS]
    values = {words(axes)[0]: words(axes)[1] for axes in shown}
    assert values["NormFace"] == "no margin"
    assert values["CosFace"] == "$m$ = 0.35"
    assert values["ArcFace"] == "$m$ = 0.5 rad (28.6°)"
    assert values["combined"] == "$m_1$ = 1, $m_2$ = 0.3 rad, $m_3$ = 0.2"
    assert values["MagFace"] == "$m$ = 0.45 rad (25.8°)"


def test_the_boundaries_are_each_others_mirror_images() -> None:
    with drawing():
        figure = decision_figure(DECISIONS)
    for axes in figure.axes[2:7]:
        first, second = boundary(axes, "class 1"), boundary(axes, "class 2")
        assert first == pytest.approx(second[:, ::-1], nan_ok=True)
    arcface = boundary(figure.axes[4], "class 1")
    known = np.isfinite(arcface[:, 1])
    assert arcface[known, 1] == pytest.approx(arcface[known, 0] + np.degrees(0.5))
    cosface = boundary(figure.axes[3], "class 1")
    # It is followed to where it ends, at θ_2 = 180°.
    assert np.nanmax(cosface[:, 1]) > 179
    assert np.allclose(boundary(figure.axes[1], "both")[:, 0], boundary(figure.axes[1], "both")[:, 1])


def test_softmax_has_a_boundary_for_each_ratio_of_norms() -> None:
    with drawing():
        (axes,) = (axes for axes in decision_figure(DECISIONS[:1]).axes if axes.get_visible())
    half = boundary(axes, "½")
    assert np.cos(np.radians(half[:, 1])) == pytest.approx(0.5 * np.cos(np.radians(half[:, 0])))
    assert words(axes)[1] == "$‖W_1‖/‖W_2‖$ = ½, 1, 2"
