"""The PDF that compares studies: what it says, how it draws it, and that equal records give equal bytes."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader

from hpstudy.analysis import ComparedStudy, across, arms_across, pooled_differences
from hpstudy.reporting import build_comparison
from hpstudy.reporting._across_build import _MOST_ROWS, _chunks
from hpstudy.reporting._across_figure import across_forest, scales_figure
from hpstudy.reporting._across_tables import answers_table, facts_table, priced, shortened
from hpstudy.reporting._style import arm_styles, drawing

Make = Callable[..., ComparedStudy]
WORTH = {"cosface": 0.8, "arcface": 0.81, "fixed": 0.74, "dynamic": 0.77}
STYLES = arm_styles({"cosface": "searched", "arcface": "searched", "fixed": "adaptive", "dynamic": "adaptive"})
INJECTION = "*x* #text(red)[y] $z$ <b> \\ & % _w_"


def text_of(path: Path) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(path).pages).split())


def waiting(study: ComparedStudy, label: str = "waiting") -> ComparedStudy:
    return dataclasses.replace(study, label=label, trials=pd.DataFrame())


@pytest.fixture(scope="module")
def studies(make_compared: Make) -> list[ComparedStudy]:
    """One study each: as it is, with conditions and other data, with a longer search, with another FAR, not begun."""
    plain = make_compared("plain", WORTH, noise="same", seeds=5)
    sizes = {"embedding_dim-64": (1000, 64), "embedding_dim-512": (1000, 512)}
    blocked = make_compared("blocked", WORTH, conditions=sizes, data="99ff", seeds=5, question="And in few dimensions?")
    search = {"objective": "val/tar_at_far_1e-3", "sampler": "tpe", "trials": 16, "seeds": [0]}
    longer = make_compared("longer", WORTH, noise="same", seeds=5, changes={"search": search}, trials=8)
    far = make_compared("far", WORTH, far="1e-4", margin=0.02, missing=2)
    return [plain, blocked, longer, far, waiting(plain)]


@pytest.fixture(scope="module")
def report(studies: list[ComparedStudy], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_comparison(studies, tmp_path_factory.mktemp("comparison"))


def test_it_answers_on_the_first_page(report: Path) -> None:
    first = " ".join(PdfReader(report).pages[0].extract_text().split())
    assert "5 studies compared" in first
    assert "Unfinished (far: 20 of 22 trials)" in first
    assert "Table 1" in first
    assert "cautions on comparing them" in first
    for label in ("plain", "blocked", "longer", "far", "waiting"):
        assert label in first
    assert "And in few dimensions?" in first


def test_every_section_is_there(report: Path) -> None:
    text = text_of(report)
    for title in (
        "Can they be compared?", "What they say together", "The same arm in several studies",
        "The same arm on the same test identities", "The price of tuning, study by study", "Provenance",
    ):  # fmt: skip
        assert title in text
    assert "search.sampler" in text
    assert "longer minus plain: paired by seed" in text
    assert "identical" in text
    assert "plain and longer trained the same networks" in text
    assert "revision 13b27d06e33b" in text


def test_everything_is_beside_it(report: Path) -> None:
    folder = report.parent
    assert {path.name for path in (folder / "figures").iterdir()} == {
        f"{name}-01.{ending}" for name in ("differences", "scales") for ending in ("svg", "pdf", "png")
    }
    names = {path.stem for path in (folder / "tables").glob("*.csv")}
    assert names >= {"studies", "shared", "differing_keys", "pooled", "arms", "between", "break_even", "sources"}
    assert {path.stem for path in (folder / "tables").glob("*.tex")} >= {"studies", "shared", "pooled", "arms"}
    table = pd.read_csv(folder / "tables" / "studies.csv")
    assert table["study"].to_list() == ["plain", "blocked", "blocked", "longer", "far", "waiting"]
    comparisons = pd.read_csv(folder / "tables" / "comparisons.csv")
    assert set(comparisons["study"]) == {"plain", "blocked", "longer", "far"}
    assert pd.read_csv(folder / "tables" / "differing_keys.csv")["studies"].str.contains("waiting").any()


def test_equal_records_give_equal_bytes(report: Path, studies: list[ComparedStudy], tmp_path: Path) -> None:
    again = build_comparison(studies, tmp_path / "again")
    assert again.read_bytes() == report.read_bytes()
    for path in sorted(report.parent.rglob("*.*")):
        assert (again.parent / path.relative_to(report.parent)).read_bytes() == path.read_bytes()


def test_names_and_questions_are_never_markup(make_compared: Make, tmp_path: Path) -> None:
    evil = [
        make_compared(f"{INJECTION} {i}", WORTH, question=f"{INJECTION} {i}?", source=INJECTION, data=str(i))
        for i in range(2)
    ]
    renamed = [
        dataclasses.replace(one, trials=one.trials.assign(arm=one.trials["arm"].replace("cosface", INJECTION)))
        for one in evil
    ]
    text = text_of(build_comparison(renamed, tmp_path))
    assert "#text(red)[y]" in text
    assert "$z$" in text
    svg = (tmp_path / "figures" / "differences-01.svg").read_text()
    assert "&lt;b&gt;" in svg
    tex = (tmp_path / "tables" / "studies.tex").read_text()
    assert r"\#text(red)" in tex


@pytest.mark.parametrize("changes", ["nothing to compare", "everything diverged", "only searches", "one seed"])
def test_poor_records_give_a_report(make_compared: Make, changes: str, tmp_path: Path) -> None:
    pair = [make_compared(name, WORTH, data=name, seeds=1 if changes == "one seed" else 3) for name in "ab"]
    if changes == "nothing to compare":
        pair = [make_compared(name, {"cosface": 0.8}, data=name) for name in "ab"]
    elif changes == "everything diverged":
        pair = [
            dataclasses.replace(one, trials=one.trials.assign(status="diverged", **{"geometry/final_s": np.inf}))
            for one in pair
        ]
    elif changes == "only searches":
        pair = [dataclasses.replace(one, trials=one.trials[one.trials["phase"] == "search"]) for one in pair]
    text = text_of(build_comparison(pair, tmp_path))
    assert "2 studies compared" in text
    assert "Nothing is pooled" in text


def test_a_long_comparison_is_drawn_in_parts(make_compared: Make) -> None:
    sizes = {f"train-{i}": (100 * i, 64) for i in range(1, 8)}
    one = make_compared("one", {"cosface": 0.8, "dynamic": 0.7}, conditions=sizes, seeds=2)
    table = across([one, make_compared("two", {"cosface": 0.8, "dynamic": 0.7}, seeds=2, data="b")]).table
    many = pd.concat([table.assign(study=table["study"] + str(i)) for i in range(9)], ignore_index=True)
    chunks = _chunks(many)
    assert (
        pd.concat(chunks)[["study", "condition"]].to_numpy().tolist()
        == many[["study", "condition"]].to_numpy().tolist()
    )
    assert max(map(len, chunks)) <= _MOST_ROWS
    assert all(chunk["study"].nunique() > 1 for chunk in chunks)


def test_the_forest_has_a_panel_a_metric_and_a_diamond(studies: list[ComparedStudy]) -> None:
    found, pooled = across(studies[:4]).table, pooled_differences(studies[:4])
    with drawing():
        figure = across_forest(found, pooled, STYLES)
        labels = [[tick.get_text() for tick in axes.get_yticklabels()] for axes in figure.axes]
    assert labels[0] == [
        "pooled, 2 studies", "longer", "  embedding_dim-512", "  embedding_dim-64", "blocked", "plain",
    ]  # fmt: skip
    assert labels[1] == ["far"]
    bands = [patch for axes in figure.axes for patch in axes.collections]
    widths = [np.ptp(band.get_paths()[0].vertices[:, 0]) for band in bands]
    assert max(widths) == pytest.approx(2 * 2.0)
    assert min(widths) == pytest.approx(2 * 1.0)


@pytest.mark.parametrize(
    ("sizes", "axes"),
    [
        ([(300, 64), (300, 64)], [""]),
        ([(300, 64), (1000, 64)], ["classes C"]),
        ([(300, 64), (300, 256)], ["dimensions K"]),
        ([(300, 64), (1000, 256)], ["classes C", "dimensions K"]),
    ],
)
def test_scales_are_drawn_against_what_varies(
    make_compared: Make, sizes: Sequence[tuple[int, int]], axes: list[str]
) -> None:
    arms = arms_across([make_compared(f"s{i}", WORTH, conditions={"default": size}) for i, size in enumerate(sizes)])
    with drawing():
        figure = scales_figure(arms, STYLES, 0.9)
    assert figure is not None
    assert [panel.get_xlabel() for panel in figure.axes] == axes
    runaway = arms.assign(final_s=1e20, s=np.nan)
    assert scales_figure(runaway, STYLES, 0.9) is None


def cells(table: Any) -> list[list[str]]:
    return [
        [cell if isinstance(cell, str) else cell["text"] for cell in row["cells"]]
        for row in table.rows
        if "cells" in row
    ]


def test_a_study_is_a_row_where_all_share_what_a_title_would_say(make_compared: Make) -> None:
    pair = [make_compared(name, WORTH, data=name) for name in "ab"]
    table = answers_table(across(pair).table, STYLES)
    assert [key for key, _ in table.columns][:2] == ["study", "trials"]
    assert [row[0] for row in cells(table)] == ["a", "b"]
    asked = answers_table(across([pair[0], make_compared("c", WORTH, question="Why?")]).table, STYLES)
    assert [row["group"] for row in asked.rows if "group" in row] == [
        "a · 20 trials · Does tuning pay?",
        "c · 20 trials · Why?",
    ]


def test_those_left_out_are_named_where_they_are_fewer() -> None:
    labels = ["a", "b", "c", "d", "e"]
    rows = [("network", "x", ("a", "b", "c", "d"), False), ("network", "y", ("e",), False), ("data", "z", labels, True)]
    table = facts_table(pd.DataFrame(rows, columns=["aspect", "value", "studies", "shared"]), labels)
    assert cells(table) == [["network", "x", "all but e"], ["", "y", "e"], ["data", "z", "all"]]


def test_prices_are_those_against_the_best_adaptive_scale(studies: list[ComparedStudy]) -> None:
    found = across(studies)
    shown = priced(found.prices, found.table)
    assert set(shown["adaptive"]) == {"dynamic"}
    assert shown["condition"].drop_duplicates().to_list() == [
        "plain", "blocked, embedding_dim-64", "blocked, embedding_dim-512", "longer", "far",
    ]  # fmt: skip


def test_long_texts_end_in_an_ellipsis() -> None:
    assert shortened("a long question", 7) == "a long…"
    assert shortened("short", 7) == "short"


def test_the_source_is_beside_the_pdf(report: Path) -> None:
    content = json.loads((report.parent / "report.json").read_text())
    assert content["facts"]["studies"] == ["plain", "blocked", "longer", "far", "waiting"]
    assert (report.parent / "across.typ").is_file()
