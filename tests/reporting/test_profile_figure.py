"""Figures and tables of arms over several conditions, and of published rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from hpstudy.analysis import arm_kinds, metric_name, performance_profiles, pooled_summary, rank_comparison
from hpstudy.catalog import published_rows
from hpstudy.reporting._latex import latex_table
from hpstudy.reporting._profile_figure import profile_figure
from hpstudy.reporting._profile_table import profile_table
from hpstudy.reporting._published_table import published_table
from hpstudy.reporting._style import arm_styles, drawing, save

METRIC = "test/tar_at_far_1e-3"
NAME = metric_name(METRIC)


@pytest.fixture(scope="module")
def trials(make_record: Callable[..., Any]) -> pd.DataFrame:
    places = {f"c{i}": (100 * (i + 1), 64) for i in range(5)}
    frame: pd.DataFrame = make_record(
        conditions=places, runaway=["c2"], arms=("cosface", "adacos-fixed", "adacos-dynamic")
    )
    return frame.trials


def drawn(trials: pd.DataFrame) -> Figure:
    styles = arm_styles(arm_kinds(trials))
    return profile_figure(
        performance_profiles(trials, METRIC), pooled_summary(trials, METRIC), styles, NAME, 0.01,
        rank_comparison(trials, METRIC),
    )  # fmt: skip


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_profiles_means_and_ranks_are_drawn(trials: pd.DataFrame, tmp_path: Path) -> None:
    with drawing():
        figure = drawn(trials)
        first, second = (save(drawn(trials), tmp_path / name).read_bytes() for name in ("a.svg", "b.svg"))
    assert first == second
    left, right, below = figure.axes
    assert left.get_xlabel() == "gain over adacos-fixed, τ (points)"
    assert len(left.lines) == 1 + 3
    assert [label.get_text() for label in right.get_yticklabels()] == pooled_summary(trials, METRIC)["arm"].to_list()[
        ::-1
    ]
    assert "control" in texts(figure)
    assert {"a", "b", "c"} <= {axes.get_title(loc="left") for axes in figure.axes}
    ranks = rank_comparison(trials, METRIC)
    names = {f"{row['arm']}  {row['mean_rank']:.1f}" for row in ranks.head(2).to_dict("records")}
    assert names <= {text.get_text() for text in below.texts}


def test_without_ranks_there_are_two_panels(trials: pd.DataFrame) -> None:
    with drawing():
        figure = drawn(trials[trials["condition"].isin(["c0", "c1"])])
    assert len(figure.axes) == 2


def test_the_axis_leaves_out_what_lies_far_away(trials: pd.DataFrame) -> None:
    """An arm that diverged in one condition of five lies tens of points below the control there."""
    with drawing():
        low, high = drawn(trials).axes[0].get_xlim()
    assert low > -40
    assert high > 0


def test_the_table(trials: pd.DataFrame) -> None:
    summary = pooled_summary(trials, METRIC)
    styles = arm_styles(arm_kinds(trials))
    table = profile_table(summary, styles, NAME, rank_comparison(trials, METRIC))
    assert [len(row["cells"]) for row in table.rows] == [7, 7, 7]
    best, arm = table.rows[0]["cells"], summary.loc[0, "arm"]
    assert best[0] == {"text": arm, "colour": styles[arm].colour}
    assert best[3].startswith("+")
    assert "control" in [row["cells"][3] for row in table.rows]
    assert len(profile_table(summary, styles, NAME).columns) == 6
    assert "95 \\% interval" in latex_table("profile", table, {})


def test_published_rows_are_grouped_by_source() -> None:
    table = published_table(published_rows(["cosface", "normface", "adacos"]))
    groups = [row["group"] for row in table.rows if "group" in row]
    assert groups[0] == "ArcFace (CVPR 2019), Table 2, ResNet50, CASIA-WebFace"
    assert len(groups) == len(set(groups))
    cells = [row["cells"] for row in table.rows if "cells" in row]
    assert ["CosFace", "64", "0.35", "LFW 99.51, CFP-FP 95.44, AgeDB-30 94.56"] in cells
    assert ["LMCL (CosFace)", "64", "–", "LFW 99.33, YTF 96.1, MegaFace rank 1 77.11, MegaFace 89.88"] in cells
    assert "tabular" in latex_table("published", table, {})
