"""Reports are built, read, compared byte by byte, and fed with hostile text."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pypdf
import pytest

from hpstudy.analysis import confirm_summary, metric_name, settings_table
from hpstudy.reporting import build_report
from hpstudy.reporting._tables import arms_table

HOSTILE = "#panic() *x* $a_b$ <l> @r `c` \\n [d] // e ~ \"q\" 'p'"


def text_of(pdf: Path) -> list[str]:
    """Text of each page with plain spaces, and without those that only allow a line break."""
    pages = (page.extract_text() for page in pypdf.PdfReader(pdf).pages)
    return [" ".join(text.replace("\N{NO-BREAK SPACE}", " ").replace("\u200b", "").split()) for text in pages]


@pytest.fixture(scope="module")
def report(record: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report(record.facts(), tmp_path_factory.mktemp("report"))


def test_first_page_answers(report: Path) -> None:
    first = text_of(report)[0]
    for part in (
        "quickstart",
        "Does any searched (s, m) beat AdaCos at verifying unseen glyph identities?",
        "These seeds do not decide whether tuning pays.",
        "Figure 1.",
        "Table 1.",
        "adacos-dynamic",
    ):
        assert part in first
    for part in ("Figure 2.", "Contents"):
        assert part not in first


def test_the_second_page_begins_with_the_contents(report: Path) -> None:
    second = text_of(report)[1]
    assert second.startswith("quickstart hpstudy Contents 1 Tuned against adaptive")
    reader = pypdf.PdfReader(report)
    titles = [str(entry["/Title"]) for entry in reader.outline]
    assert titles[:2] == ["1 Tuned against adaptive", "2 The price of tuning"]
    assert titles[-1].endswith("The study file")
    assert all(title.split(" ", 1)[1] in second for title in titles)


def test_every_part_is_there_in_order(report: Path) -> None:
    pages = text_of(report)
    assert 6 <= len(pages) <= 12
    text = " ".join(pages[1:]).split("The study file", 1)[1]  # past the table of contents
    headings = (
        "Tuned against adaptive",
        "How many trials of a search does it take",
        "What the searches found",
        "bounds against the trials",
        "What happened during training",
        "What the arms were set to",
        "What moves a score",
        "What it cost",
        "What diverged",
        "How the numbers were made",
        "Provenance",
        "The study file, with every default filled in",
    )
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
    assert "9f2c" * 16 in text
    assert "sphereface.default.search" in text


def test_figures_are_vectors_with_the_text_of_the_page(report: Path) -> None:
    kinds = ["bounds-01", "headline-01", "importance-01", "map-01", "price-01", "search-01", "trajectories-01"]
    figures = report.parent / "figures"
    assert sorted(path.name for path in figures.iterdir()) == [
        f"{k}.{end}" for k in kinds for end in ("pdf", "png", "svg")
    ]
    for kind in kinds:
        svg = (figures / f"{kind}.svg").read_text()
        assert "Libertinus Serif" in svg
        assert "<image" not in svg or kind == "map-01"
        assert "Date" not in (pypdf.PdfReader(figures / f"{kind}.pdf").metadata or {})
    for pdf in (report, *figures.glob("*.pdf")):
        fonts = {
            str(font["/BaseFont"])
            for page in pypdf.PdfReader(pdf).pages
            for font in (entry.get_object() for entry in page["/Resources"].get_object().get("/Font", {}).values())
        }
        assert all("Libertinus" in font or "DejaVuSansMono" in font for font in fonts)


def test_every_printed_table_is_kept_as_csv_and_latex(report: Path, record: Any) -> None:
    content = json.loads((report.parent / "report.json").read_text())
    printed = set(content["tables"])
    assert {"bounds", "break_even", "comparisons", "confirm", "cost", "divergence_rates", "divergences", "variance",
            "verdict"} <= printed  # fmt: skip
    tables = {path.stem: pd.read_csv(path) for path in (report.parent / "tables").glob("*.csv")}
    assert {path.stem for path in (report.parent / "tables").glob("*.tex")} == printed
    behind = {"price", "search_curve", "settings", "trials"}
    assert printed | behind <= set(tables) <= printed | behind | {"crossings", "surfaces"}
    assert len(tables["trials"]) == len(record.trials)
    assert len(tables["comparisons"]) == 8
    both = ["p", "p_holm", "p_permutation", "low", "bca_low", "permutation_low", "improvement_low", "detectable"]
    assert tables["comparisons"][both].notna().all(axis=None)
    table = content["tables"]["comparisons"]
    cells = [dict(zip(table["keys"], row["cells"], strict=True)) for row in table["rows"]]
    won = tables["comparisons"].loc[0, "improvement"]
    assert cells[0]["improvement"].startswith(f"{100 * won:.0f} (")
    assert tables["verdict"].loc[0, "arm"] == content["tables"]["verdict"]["rows"][0]["cells"][0]["text"]


def test_equal_facts_give_equal_bytes(make_record: Callable[..., Any], tmp_path: Path) -> None:
    facts = make_record(arms=["cosface", "adacos-dynamic"], trials=3, confirm_seeds=2).facts()
    first, second = (build_report(facts, tmp_path / name) for name in ("first", "second"))
    build_report(facts, tmp_path / "second")
    names = sorted(path.relative_to(first.parent) for path in first.parent.rglob("*.*"))
    assert {".pdf", ".svg", ".png", ".csv", ".tex", ".typ", ".json"} == {name.suffix for name in names}
    for name in names:
        assert (first.parent / name).read_bytes() == (second.parent / name).read_bytes(), name


def test_old_figures_do_not_stay(make_record: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    old = [
        tmp_path / name
        for name in (
            "figures/map-07.svg",
            "figures/map-07.png",
            "figures/map-07.pdf",
            "tables/old.csv",
            "tables/old.tex",
        )
    ]
    (tmp_path / "tables").mkdir()
    for path in old:
        path.write_text("old")
    build_report(make_record(arms=["adacos-fixed"], confirm_seeds=1).facts(), tmp_path)
    assert not any(path.exists() for path in old)


def test_hostile_text_stays_text(make_record: Callable[..., Any], tmp_path: Path) -> None:
    record = make_record(
        arms=["cosface", "adacos-dynamic"],
        trials=3,
        confirm_seeds=2,
        rename={"cosface": "#panic() *x* $a_b$ <l> @r", "adacos-dynamic": "`raw` \\n [c] // z ~"},
    )
    record.trials.loc[0, ["status", "cause"]] = ["diverged", HOSTILE]
    facts = record.facts(
        name=HOSTILE, question=HOSTILE, resolved_yaml=f"name: {HOSTILE}\n```\n#panic()\n", provenance={HOSTILE: HOSTILE}
    )
    text = " ".join(text_of(build_report(facts, tmp_path)))
    assert text.count(HOSTILE) >= 5
    for part in ("#panic() *x* $a_b$ <l> @r at s =", "`raw` \\n [c] // z ~, which needs no search", "``` #panic()"):
        assert part in text
    svg = (tmp_path / "figures" / "headline-01.svg").read_text()
    assert "#panic() *x* $a_b$ &lt;l&gt; @r" in svg
    latex = (tmp_path / "tables" / "verdict.tex").read_text()
    assert r"\#panic() *x* \$a\_b\$ \textless{}l\textgreater{} @r" in latex


def test_one_seed_and_a_runaway(make_record: Callable[..., Any], tmp_path: Path) -> None:
    record = make_record(
        arms=["normface", "adacos-fixed", "adacos-dynamic"], trials=3, confirm_seeds=1, runaway=["default"]
    )
    text = " ".join(text_of(build_report(record.facts(), tmp_path)))
    assert "One seed cannot decide whether tuning pays." in text
    assert "One seed allows no test." in text
    assert "scale is not finite" in text


def test_every_trial_diverged(make_record: Callable[..., Any], tmp_path: Path) -> None:
    arms = ["cosface", "adacos-fixed"]
    record = make_record(arms=arms, trials=3, confirm_seeds=2, dead=arms)
    text = " ".join(text_of(build_report(record.facts(), tmp_path)))
    assert "7 of 7 trials diverged" in text
    assert "Every trial diverged." in text
    assert "Nothing could be tested." in text
    assert "both diverged at every confirm seed" in text
    content = json.loads((tmp_path / "report.json").read_text())
    assert [row["cells"][-1] for row in content["tables"]["comparisons"]["rows"]] == ["both diverged"]


def test_a_searched_arm_without_a_point_has_no_scale(make_record: Callable[..., Any]) -> None:
    record = make_record(arms=["cosface", "adacos-fixed"], trials=3, confirm_seeds=2, dead=["cosface"])
    trials = record.trials[(record.trials["arm"] != "cosface") | (record.trials["phase"] == "search")]
    metric = "test/tar_at_far_1e-3"
    table = arms_table(confirm_summary(trials, metric), settings_table(trials), {}, metric_name(metric))
    assert {row["cells"][0]: row["cells"][2] for row in table.rows} == {"cosface": "–", "adacos-fixed": "by rule"}


def test_unfinished_study_says_so(make_record: Callable[..., Any], tmp_path: Path) -> None:
    record = make_record(arms=["cosface"], trials=3, confirm_seeds=1)
    facts = record.facts(planned={"search": 3, "grid": 0, "confirm": 2}, arms=["cosface", "adacos-fixed"])
    first = text_of(build_report(facts, tmp_path))[0]
    assert "unfinished: 4 of 5 trials · 2 arms · 4 trials · 1 confirm seed ·" in first
    assert "Unfinished (4 of 5 trials): no answer yet: adacos-fixed has no trial that ended." in first


def test_a_side_that_diverged_throughout_is_named(make_record: Callable[..., Any], tmp_path: Path) -> None:
    record = make_record(arms=["cosface", "adacos-dynamic"], trials=3, confirm_seeds=2, runaway=["default"])
    text = " ".join(text_of(build_report(record.facts(), tmp_path)))
    assert "The best adaptive scale diverged at every confirm seed; the best tuned arm did not." in text
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["tables"]["comparisons"]["rows"][0]["cells"][2:] == [*"–––––", "adacos-dynamic diverged"]
    assert "became non-finite" not in text


def test_a_given_point_is_not_called_tuned(make_record: Callable[..., Any], tmp_path: Path) -> None:
    record = make_record(arms=["cosface", "adacos-fixed"], trials=3, confirm_seeds=2)
    given = record.trials[record.trials["phase"] == "confirm"].drop(columns=["param/s", "param/m"])
    text = " ".join(text_of(build_report(record.facts(trials=given), tmp_path)))
    assert "best fixed arm" in text
    assert "arms with a chosen or given (s, m)" in text
    assert "tuned" not in text
    assert "1 comparisons" not in text


def test_nothing_diverged_is_said(make_record: Callable[..., Any], tmp_path: Path) -> None:
    record = make_record(arms=["adacos-fixed", "adacos-dynamic"], confirm_seeds=2)
    text = " ".join(text_of(build_report(record.facts(), tmp_path)))
    assert "Nothing: no trial diverged." in text
    assert "Nothing to compare" in text
    assert "What the searches found" not in text


def test_no_confirm_phase_yet(make_record: Callable[..., Any], tmp_path: Path) -> None:
    record = make_record(arms=["cosface", "arcface"], trials=3, confirm_seeds=0)
    facts = record.facts(trajectory=lambda trial_id: pd.DataFrame())
    text = " ".join(text_of(build_report(facts, tmp_path)))
    assert "What the searches found" in text
    assert "What happened during training" not in text


def test_many_conditions_share_a_headline(make_record: Callable[..., Any], tmp_path: Path) -> None:
    conditions = {f"train-{c}": (c, 64) for c in (50, 100, 300, 1000)}
    record = make_record(arms=["normface", "adacos-fixed"], trials=3, confirm_seeds=2, conditions=conditions)
    pdf = build_report(record.facts(), tmp_path)
    text = " ".join(text_of(pdf))
    assert "In 4 conditions, the best tuned arm against the best adaptive scale" in text
    assert f"Conditions: {', '.join(conditions)}." in text
    content = json.loads((tmp_path / "report.json").read_text())
    for kind in ("headline", "means", "price", "search", "trajectories", "bounds"):
        assert len(content["figures"][kind]) == 1, kind


@pytest.mark.parametrize("count", [1, 7])
def test_the_answer_fits_one_page(make_record: Callable[..., Any], tmp_path: Path, count: int) -> None:
    sizes = [(c, k) for c in (50, 100, 300, 1000) for k in (32, 64, 256)][:count]
    record = make_record(
        arms=["cosface", "adacos-fixed"],
        trials=2,
        confirm_seeds=2,
        conditions={f"train-{classes}_embedding_dim-{dim}": (classes, dim) for classes, dim in sizes},
    )
    facts = record.facts(trajectory=lambda trial_id: pd.DataFrame())
    first, second = text_of(build_report(facts, tmp_path))[:2]
    assert "Figure 1." in first
    assert "Table 1." in first
    assert "Contents" in second
    rows = json.loads((tmp_path / "report.json").read_text())["tables"]["verdict"]["rows"]
    assert len(rows) == count
    assert first.count("not shown") + first.count("better") + first.count("worse") + first.count("equiv") >= count


def test_a_violation_is_shown(make_record: Callable[..., Any], tmp_path: Path) -> None:
    record = make_record(arms=["normface", "adacos-fixed"], trials=3, confirm_seeds=2)
    record.trials.loc[0, "geometry/class_centre_posterior_min"] = 0.999
    record.trials.loc[0, "geometry/final_s"] = 2.0
    text = " ".join(text_of(build_report(record.facts(), tmp_path)))
    assert f"Below the bound, which is impossible: {record.trials.loc[0, 'trial_id']}." in text


def test_missing_columns_of_geometry_and_cost(make_record: Callable[..., Any], tmp_path: Path) -> None:
    record = make_record(arms=["cosface", "adacos-fixed"], trials=3, confirm_seeds=2)
    trials = record.trials.loc[:, ~record.trials.columns.str.startswith(("geometry/", "cost/"))].assign(m=np.nan)
    text = " ".join(text_of(build_report(record.facts(trials=trials), tmp_path)))
    assert "No trial measured its prototypes." in text
