"""The price of tuning in a report: first page, table and figure."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pypdf
import pytest

from hpstudy.analysis import arm_kinds, break_even, expected_best, metric_name
from hpstudy.reporting import build_report
from hpstudy.reporting._price_figure import price_figure
from hpstudy.reporting._price_table import compute_unit, price_table
from hpstudy.reporting._style import ArmStyle, arm_styles, drawing

Priced = tuple[pd.DataFrame, pd.DataFrame, dict[str, ArmStyle]]


@pytest.fixture(scope="module")
def priced(make_record: Callable[..., Any]) -> Priced:
    """Curves, break-even budgets and styles of a random search with enough trials and seeds for intervals."""
    record = make_record(arms=["cosface", "normface", "adacos-fixed", "adacos-dynamic"], trials=12, confirm_seeds=3)
    facts = record.facts(sampler="random", given_first=["cosface"]).study
    return expected_best(facts, record.trials), break_even(facts, record.trials), arm_styles(arm_kinds(record.trials))


def test_figure_has_a_panel_for_each_search(priced: Priced) -> None:
    curves, prices, styles = priced
    with drawing():
        figure = price_figure(curves, prices, styles, metric_name("val/tar_at_far_1e-3"), "CPU")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.texts[0].get_text() for axes in panels] == ["cosface", "normface"]
    for axes, arm in zip(panels, ("cosface", "normface"), strict=True):
        curve = curves[curves["arm"] == arm]
        drawn = next(line for line in axes.lines if len(line.get_xdata()) == 12)
        np.testing.assert_allclose(drawn.get_ydata(), 100 * curve["expected"])
        rings = [line for line in axes.lines if line.get_markerfacecolor() == "none" and len(line.get_xdata()) == 1]
        reached = prices[(prices["arm"] == arm) & prices["reached"]]
        assert sorted(line.get_xdata()[0] for line in rings) == sorted(reached["n_star"])
        assert len(axes.collections) == 1
        assert axes.get_xticklabels()[0].get_text().startswith("1\n")


def test_curves_without_intervals_are_drawn(priced: Priced) -> None:
    curves, prices, styles = priced
    bare = curves.assign(low=np.nan, high=np.nan)
    with drawing():
        figure = price_figure(bare, prices.head(1), styles, metric_name("val/tar_at_far_1e-3"), "GPU")
    assert not figure.axes[0].collections
    assert figure.axes[0].get_ylim()[0] < figure.axes[0].get_ylim()[1]


def test_table_has_a_row_for_each_pair(priced: Priced) -> None:
    _, prices, styles = priced
    content = price_table(prices, styles).as_json()
    rows = [dict(zip(content["keys"], row["cells"], strict=True)) for row in content["rows"]]
    assert len(rows) == len(prices) == 4
    assert [bool(row["tuned"]) for row in rows] == [True, False, True, False]
    for row, price in zip(rows, prices.to_dict("records"), strict=True):
        assert row["n_star"]["text"] == (f"{price['n_star']:.0f}" if price["reached"] else "> 12")
        assert row["n_had"] == "12"
        assert row["n_time"].startswith(">") != price["reached"]


@pytest.mark.parametrize(("hours", "unit"), [(6.0, "h"), (0.4, "min"), (0.01, "s"), (np.nan, "s")])
def test_compute_is_shown_in_a_fitting_unit(hours: float, unit: str) -> None:
    assert compute_unit(pd.Series([hours, 0.001]))[1] == unit


def test_report_tells_the_price(make_record: Callable[..., Any], tmp_path: Path) -> None:
    record = make_record(arms=["cosface", "adacos-dynamic"], trials=8, confirm_seeds=3, gain=0.02)
    facts = record.facts(sampler="tpe", given_first=["cosface"])
    pages = [
        " ".join(page.extract_text().replace("\N{NO-BREAK SPACE}", " ").split())
        for page in pypdf.PdfReader(build_report(facts, tmp_path)).pages
    ]
    sentence = str(break_even(facts.study, record.trials)["sentence"].iloc[0]).replace("\N{NO-BREAK SPACE}", " ")
    assert f"The price of tuning. {sentence}".replace(" ", "") in pages[0].replace(" ", "")
    assert "A search whose sampler learns from its trials has an interval only if it was repeated" in " ".join(pages)
    assert len(pd.read_csv(tmp_path / "tables" / "break_even.csv")) == 1
    assert set(pd.read_csv(tmp_path / "tables" / "price.csv")["arm"]) == {"cosface", "adacos-dynamic"}


def test_a_study_without_a_search_has_no_price(make_record: Callable[..., Any], tmp_path: Path) -> None:
    build_report(make_record(arms=["adacos-fixed"], confirm_seeds=2).facts(), tmp_path)
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["facts"]["price"] == ""
    assert "break_even" not in content["tables"]
    assert "price" not in content["figures"]
