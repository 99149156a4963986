"""A document's registry, and its tables as LaTeX."""

import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from hpstudy.reporting._document import Document
from hpstudy.reporting._headings import HEADINGS, spans
from hpstudy.reporting._latex import escaped, latex_table
from hpstudy.reporting._style import drawing
from hpstudy.reporting._tables import Table

WORDS = {
    "percent": " (%)", "points": " (points)", "identities": "test", "device": "CPU", "time": "min", "price_time": "s",
}  # fmt: skip
HOSTILE = "a_b & 50 % #1 {x} $y$ \\cmd ~ ^ <l> [d] -- '' \"q\" ?` |"


def table() -> Table:
    made = Table([("arm", "left"), ("gain", "right"), ("p_holm", "center"), ("least_s", "right")])
    made.group("train-100_dim-64")
    made.row({"text": HOSTILE, "colour": "#ff0000"}, "−1.2", "< 0.001", {"text": "10⁻³", "weight": "bold"})
    made.row("θ ± 2 × ∞", "–", "0.5", "7.9")
    made.rows.append({"total": True, "cells": ["all", "", "", "1"]})
    return made


def test_latex_has_as_many_cells_as_columns_in_every_row() -> None:
    lines = latex_table("x", table(), WORDS).splitlines()
    assert lines[1] == r"\begin{tabular}{lrcr}"
    assert lines[-1] == r"\end{tabular}"
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len(rows) == 5
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == (0 if "multicolumn" in row else 3), row
    assert [line for line in lines if line.endswith("rule")] == [
        r"\toprule", r"\midrule", r"\midrule", r"\bottomrule",
    ]  # fmt: skip
    assert lines[3] == r"arm & difference & $p$ (Holm) & $s$ at least \\"
    assert r"\multicolumn{4}{l}{\emph{train-100\_dim-64}} \\" in lines
    assert r"$\theta$ $\pm$ 2 $\times$ $\infty$ & \textendash{} & 0.5 & 7.9 \\" in lines
    assert r"$-$1.2 & \textless{} 0.001 & \textbf{10$^{-3}$} \\" in "\n".join(lines)


def test_latex_prints_text_as_it_stands() -> None:
    text = escaped(HOSTILE)
    assert text == (
        r"a\_b \& 50 \% \#1 \{x\} \$y\$ \textbackslash{}cmd \textasciitilde{} \textasciicircum{} "
        r"\textless{}l\textgreater{} {[}d{]} -{}- '{}' " + '"q" ?{}` \\textbar{}'
    )
    assert escaped("a\0b\u200bc") == "abc"


@given(st.text())
def test_escaped_text_never_opens_anything(text: str) -> None:
    shown = escaped(text)
    bare = re.sub(r"\\[{}$&#%_]", "", shown)
    assert not set("&#%_~^") & set(re.sub(r"\$[^$]*\$", "", bare)) - {"~"}
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert "\n" not in shown


def test_headings_are_parted_into_text_and_symbols() -> None:
    assert spans("smallest $P_W$, $n*$") == [
        {"text": "smallest "}, {"symbol": "P", "sub": "W", "star": False}, {"text": ", "},
        {"symbol": "n", "sub": "", "star": True},
    ]  # fmt: skip
    assert spans("") == [{"text": ""}]
    for heading in HEADINGS.values():
        assert all("$" not in span.get("text", "") for span in spans(heading.format_map(WORDS))), heading


def test_a_table_may_bring_its_own_headings() -> None:
    made = Table([("tau", "right")], headings={"tau": r"Kendall $τ${points}"})
    made.row("0.7")
    assert r"Kendall $\tau$ (points)" in latex_table("x", made, WORDS)
    assert made.as_json(WORDS)["headings"][0][1] == {"symbol": "τ", "sub": "", "star": False}
    with pytest.raises(KeyError, match="nothing"):
        Table([("nothing", "left")]).as_json(WORDS)


def test_each_table_and_figure_is_there_in_every_form(tmp_path: Path) -> None:
    document = Document(tmp_path, WORDS)
    document.table("some", table(), pd.DataFrame({"x": [1 / 3]}))
    document.table("none", Table([("arm", "left")]), pd.DataFrame({"x": []}))
    with drawing():
        figure = Figure(figsize=(2, 1))
        figure.subplots().plot([1, 2])
        document.figure("line", figure, "A line", "train-100")
    content = document.content()
    assert set(content["tables"]) == {"some"}
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == ["none.csv", "some.csv", "some.tex"]
    assert (tmp_path / "tables" / "some.csv").read_text() == "x\n0.3333333333333333\n"
    assert content["figures"]["line"] == [
        {"path": "figures/line-01.svg", "shown": "train-100", "alt": "A line, train-100"}
    ]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        f"line-01.{end}" for end in ("pdf", "png", "svg")
    ]
    with pytest.raises(AssertionError, match="table some is there already"):
        document.table("some", table(), pd.DataFrame())
