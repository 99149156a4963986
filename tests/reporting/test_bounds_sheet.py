"""The figure of the bounds: its numbers against the oracles, its artists, and the files it is written to."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from hpstudy.exceptions import HpstudyError, InputError
from hpstudy.reporting import check_plot_path, plot_bounds
from hpstudy.reporting._bound_curves import LARGEST_SCALE, BoundCurves, bound_curves
from hpstudy.reporting._bounds_sheet import bounds_sheet
from hpstudy.reporting._plot_file import save_plot
from hpstudy.reporting._sheet_limits import rule_branch, runaway_edge
from hpstudy.reporting._style import drawing
from hpstudy.theory import adacos_fixed_points, joint_scale_bound, normface_loss_bound

POSTERIORS, MARGINS = [0.5, 0.9, 0.99, 0.999], [0.35]
SIZES = [(2, 2), (8, 2), (20, 3), (10, 16), (18, 16), (10575, 512), (10**7, 2), (10**7, 4096)]


def curves(classes: int, dim: int) -> BoundCurves:
    return bound_curves(classes, dim, POSTERIORS, MARGINS)


def sheet(classes: int, dim: int) -> Figure:
    with drawing():
        figure = bounds_sheet(curves(classes, dim))
        figure.draw_without_rendering()
    return figure


def at(data: BoundCurves, curve: str, posterior: float) -> float:
    rows = data.scale[(data.scale["curve"] == curve) & (data.scale["posterior"] == posterior)]
    return float(rows["s"].iloc[0])


def test_the_scale_curves_hold_the_oracles() -> None:
    data = curves(10575, 512)
    assert at(data, "eq6", 0.9) == pytest.approx(11.462294, abs=1e-6)
    assert at(data, "aware", 0.9) == pytest.approx(11.462294, abs=1e-6)
    assert at(data, "cosface", 0.9) == pytest.approx(17.633401, abs=1e-6)
    assert at(curves(8, 2), "eq6", 0.9) == pytest.approx(3.625243, abs=1e-6)
    assert at(curves(8, 2), "aware", 0.9) == pytest.approx(8.513380, abs=1e-6)
    # NormFace's bound on the loss is eq. 6 seen from the other side.
    eq6 = data.scale[data.scale["curve"] == "eq6"]
    np.testing.assert_allclose(normface_loss_bound(10575, eq6["s"]), -np.log(eq6["posterior"]), rtol=1e-9)


def test_the_levels_are_what_adacos_sets() -> None:
    levels = curves(10575, 512).levels
    assert levels["rule"].tolist() == ["fixed", "dynamic", "dynamic"]
    assert levels["s"].to_numpy() == pytest.approx([13.104320, 13.350388, 10.831909], abs=1e-6)
    assert curves(10, 16).levels["rule"].tolist() == ["fixed", "dynamic", "dynamic", "collapsed"]
    assert curves(8, 2).levels["s"].isna().tolist() == [False, True, True]


def test_the_needed_scale_starts_at_eq6_and_rises_to_the_asymptote() -> None:
    data = curves(10, 16)
    limits = data.limits.set_index("loss")
    assert limits.loc["cosface", "asymptote"] == limits.loc["cosface", "permitted"] == 10 / 9
    assert limits.loc["arcface", "permitted"] == pytest.approx(1.682137, abs=1e-6)
    for (loss, posterior), group in data.needed.groupby(["loss", "posterior"]):
        assert group["s"].iloc[0] == pytest.approx(at(data, "eq6", float(posterior)))
        assert (np.diff(group["s"]) > 0).all()
        assert group["s"].iloc[-1] > 1e4
        kind = "cosine" if loss == "cosface" else "angle"
        given = group[group["margin"] == 0.35]["s"].tolist()
        assert given == [joint_scale_bound(10, float(posterior), 0.35, kind)]


def test_the_margins_limits_change_where_the_simplex_ends() -> None:
    table = curves(10, 16).packing.set_index("num_classes")
    assert table.loc[17, ["upper", "paper"]].tolist() == [17 / 16, 17 / 16]
    assert table.loc[[18, 32], "upper"].tolist() == [1.0, 1.0]
    assert table.loc[33, "upper"] < 1 < table.loc[33, "paper"]
    assert table["strict"].tolist() == (table.index <= 17).tolist()
    assert (table["upper"] >= table["known"].fillna(0) - 1e-12).all()
    assert (table["cosface_lower"] < table["upper"]).all()
    assert (table["arcface_lower"] < table["cosface_lower"]).all()
    # Neighbours at right angles: m ≥ 2·sin(45°)·sin(22.5°), and 45° as a cosine.
    assert table.loc[18, "cosface_lower"] == pytest.approx(0.541196, abs=1e-6)
    assert table.loc[18, "arcface_lower"] == pytest.approx(1 - np.sqrt(0.5))


@pytest.mark.parametrize(("classes", "dim"), [(10, 16), (100, 8), (1000, 16), (300, 256)])
def test_the_rules_branches_are_its_fixed_points(classes: int, dim: int) -> None:
    data = curves(classes, dim)
    for stable in (True, False):
        rows = data.rule[(data.rule["stable"] == stable) & data.rule["theta_deg"].between(5, 44.9)]
        for theta, s in rows[["theta_deg", "s"]].iloc[::40].itertuples(index=False):
            points = adacos_fixed_points(classes, dim, np.radians(theta))
            assert (points.stable if stable else points.unstable) == pytest.approx(s, rel=1e-6)


def test_the_rule_goes_on_level_past_45_degrees_and_runs_away_where_it_has_no_fixed_point() -> None:
    stable, edge = rule_branch(curves(10, 16), stable=True), runaway_edge(curves(10, 16), np.array([0.0, 30, 45, 60]))
    assert stable[0][-1] == 60.0
    assert stable[1][-2:] == pytest.approx([3.698177, 3.698177], abs=1e-6)
    assert edge[0] > LARGEST_SCALE
    assert edge[1:] == pytest.approx([183, 53.4, 53.4], rel=5e-3)
    assert runaway_edge(curves(8, 2), np.array([30.0, 60.0])).tolist() == [0.0, 0.0]
    assert runaway_edge(curves(10**7, 2), np.array([0.0, 60.0])).tolist() == [0.0, 0.0]
    assert not curves(2, 2).rule["stable"].any()


@pytest.mark.parametrize(("posteriors", "margins", "message"), [
    ([], [0.1], "1 to 6 posteriors, but got 0"),
    ([0.5], [0.1 * i for i in range(7)], "1 to 6 margins, but got 7"),
    ([1.0], [0.1], r"posterior must be in \(0, 1\)"),
    ([0.5], [2.5], r"margin must be in \[0, 2\]"),
])  # fmt: skip
def test_what_no_figure_can_show_is_refused(posteriors: list[float], margins: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        bound_curves(10, 16, posteriors, margins)


@pytest.mark.parametrize(("classes", "dim"), SIZES)
def test_every_size_is_drawn_without_clipped_or_overlapping_text(classes: int, dim: int) -> None:
    figure = sheet(classes, dim)
    renderer, page = figure._get_renderer(), figure.bbox.padded(1)
    for axes in figure.axes:
        texts = [text for text in axes.texts if text.get_text()]
        boxes = [text.get_window_extent(renderer) for text in texts]
        for text, box in zip(texts, boxes, strict=True):
            assert page.x0 <= box.x0, text
            assert box.x1 <= page.x1, text
        for i, box in enumerate(boxes):
            # The half of a pixel that two lines of text share is no overlap.
            assert not any(box.padded(-0.5).overlaps(other.padded(-0.5)) for other in boxes[:i]), texts[i]


def test_the_panels_hold_the_curves_of_the_frames() -> None:
    data = curves(8, 2)
    with drawing():
        posterior, needed, limits, rule = bounds_sheet(data).axes
    drawn = {line.get_label(): line for line in posterior.lines}
    paper = data.scale[(data.scale["curve"] == "eq6") & (data.scale["s"] >= 0)]
    np.testing.assert_array_equal(drawn["eq6"].get_ydata(), paper["s"])
    assert {"eq6", "aware", "cosface", "arcface", "fixed"} <= set(drawn)
    assert "dynamic" not in drawn
    assert [line.get_xdata()[0] for line in needed.lines if line.get_label() == "_permitted"] == pytest.approx(
        [1 - np.cos(np.pi / 4), np.pi / 4]
    )
    upper = next(line for line in limits.lines if line.get_label() == "upper")
    np.testing.assert_array_equal(upper.get_ydata(), data.packing["upper"])
    assert [line.get_label() for line in rule.lines][:3] == ["fixed", "stable", "unstable"]


def test_a_sharper_bound_is_drawn_only_where_it_differs() -> None:
    labels = {classes: [text.get_text() for text in sheet(classes, dim).axes[0].texts] for classes, dim in SIZES[1:4]}
    assert "sharper in K = 2" in labels[8]
    assert "sharper in K = 3" in labels[20]
    assert not any("sharper" in text for text in labels[10])
    assert "AdaCos collapsed" in labels[10]


def test_posteriors_that_every_scale_gives_need_none_and_extreme_ones_fit() -> None:
    with drawing():
        easy = bounds_sheet(bound_curves(2, 2, [0.3], [0.1])).axes[1]
        extreme = bounds_sheet(bound_curves(40, 8, [1e-7, 0.5, 1 - 1e-9], [0.0])).axes[0]
    assert "any scale will do" in [text.get_text() for text in easy.texts]
    ticks = extreme.get_xticks()
    assert 0.5 in ticks
    assert len(ticks) <= 7


def test_a_margin_beyond_the_simplex_needs_no_scale() -> None:
    with drawing():
        texts = bounds_sheet(bound_curves(10, 16, [0.9], [0.99, 1.2])).axes[0].texts
    assert {"CosFace 1.2: none", "CosFace 0.99 ↑", "ArcFace 1.2 rad"} <= {text.get_text() for text in texts}


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    magic = {"plot.PNG": b"\x89PNG", "plot.svg": b"<?xml", "plot.pdf": b"%PDF-"}
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
        (folder / "plot.svg").write_text("an older plot")
        plot_bounds(20, 3, POSTERIORS, MARGINS, [folder / name for name in magic])
        assert sorted(os.listdir(folder)) == sorted(magic)
    for name, start in magic.items():
        first, second = ((folder / name).read_bytes() for folder in folders)
        assert first == second
        assert first.startswith(start)
        assert b"Date" not in first


@pytest.mark.parametrize(("name", "message"), [
    ("plot.jpg", r"plot\.jpg: a plot ends in \.pdf or \.png or \.svg, but this ends in \.jpg"),
    ("plot", "but this has no ending"),
    ("missing/plot.png", "there is no folder .*missing"),
    ("folder.png", "this is a folder"),
])  # fmt: skip
def test_a_file_that_cannot_be_is_refused(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=message):
        check_plot_path(tmp_path / name)
    with pytest.raises(InputError, match=message):
        plot_bounds(8, 2, POSTERIORS, MARGINS, [tmp_path / "good.png", tmp_path / name])
    assert os.listdir(tmp_path) == ["folder.png"]


def test_a_folder_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="can't be written to"):
        check_plot_path(tmp_path / "plot.png")


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, HpstudyError), (errno.EROFS, InputError)])
def test_a_failed_write_leaves_the_old_plot(
    number: int, kind: type[HpstudyError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "plot.png"
    path.write_text("an older plot")
    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(HpstudyError, match=os.strerror(number)) as caught:
        save_plot(Figure(), path)
    assert type(caught.value) is kind
    assert path.read_text() == "an older plot"
    assert os.listdir(tmp_path) == ["plot.png"]
