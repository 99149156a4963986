import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.reporting.window import closing_pages, draw_trial, opening_pages
from hpstudy.spec import Study, parse_study
from hpstudy.tracking import NOTE_LENGTH, Page

STUDY = """
version: 1
name: quickstart
question: {question}
data: {{identities: {{train: 300, val: 200, test: 400}}}}
{conditions}
arms:
  cosface: {{loss: cosface, search: {{s: {{log: [2, 64]}}, m: {{linear: [0.0, 0.6]}}}}}}
  adacos-dynamic: {{loss: adacos}}
search: {{objective: val/tar_at_far_1e-3, trials: 8}}
confirm: {{seeds: 3}}
"""
SESSION = {
    "packages": "hpstudy 0.1.0, torch 2.13.0",
    "source": "revision 8fa58cb38f66 with uncommitted changes",
    "python": "3.11.7",
    "gpus": "none",
    "data default": "77ab" * 16,
    "images default": "3600 train, 2400 val, 4800 test",
}


def study_of(question: str = "Does any searched (s, m) beat AdaCos?", conditions: str = "") -> Study:
    return parse_study(STUDY.format(question=question, conditions=conditions))


@pytest.fixture
def record(make_record: Callable[..., Any]) -> Any:
    return make_record(arms=("cosface", "adacos-dynamic"))


@pytest.fixture
def short_record(make_record: Callable[..., Any]) -> Any:
    """Too few trials for a fitted surface, which takes a while."""
    return make_record(arms=("cosface", "adacos-dynamic"), trials=3, confirm_seeds=2)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report whose figures are there already."""
    for name in ("headline-01.png", "trajectories-01.png", "trajectories-01.svg", "variance-01.png"):
        path = tmp_path / "figures" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"figure")
    (tmp_path / "report.pdf").write_bytes(b"report")
    return tmp_path / "report.pdf"


def unspaced(note: str) -> str:
    """A note without the gaps between the columns of its tables."""
    return note.replace("&emsp;", "")


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_before_there_is_an_answer() -> None:
    pages = opening_pages(study_of(), [SESSION])
    note = unspaced(pages.study.note)
    assert note.startswith("**Does any searched (s, m) beat AdaCos?**\n\n*Not answered yet")
    searched = "searches s from 2 to 64 (logarithmic) and m from 0 to 0.6 (linear): 8 trials, sampler tpe"
    assert f"| **cosface** | cosface | {searched} |" in note
    assert "| **adacos-dynamic** | adacos | has nothing to tune |" in note
    assert "Planned trials: 8 search and 6 confirm." in note
    assert pages.study.tags["mlflow.source.git.commit"] == "8fa58cb38f66"
    assert b"torch 2.13.0" in pages.study.content["environment.txt"]
    arm = unspaced(pages.arms["cosface"].note)
    assert "CosFace: Large Margin Cosine Loss" in arm
    assert "| `m` | cosine |" in arm
    assert opening_pages(study_of(), []).study.content == {}


def test_the_data_are_named_with_their_hash() -> None:
    data = opening_pages(study_of(), [SESSION]).data["default"]
    assert [(given.name, given.context, given.profile) for given in data] == [
        ("glyphs train", "train", {"num_identities": 300, "num_images": 3600}),
        ("glyphs val", "val", {"num_identities": 200, "num_images": 2400}),
        ("glyphs test", "test", {"num_identities": 400, "num_images": 4800}),
    ]
    assert {given.digest for given in data} == {"77ab" * 16}
    assert data[0].source["data"]["identities"] == {"train": 300, "val": 200, "test": 400}
    assert opening_pages(study_of(), []).data == {"default": []}


def test_conditions_that_share_their_data_share_its_name() -> None:
    conditions = "conditions: {model.embedding_dim: [64, 256], data.identities.train: [100, 300]}"
    study = study_of(conditions=conditions)
    session = {f"data {condition.id}": "77ab" * 16 for condition in study.conditions()}
    pages = opening_pages(study, [session])
    names = {condition: given[0].name for condition, given in pages.data.items()}
    assert names["embedding_dim-64_train-100"] == names["embedding_dim-256_train-100"]
    assert len(set(names.values())) == 2
    assert len(pages.study.inputs) == 6


def test_the_answer(record: Any, report: Path) -> None:
    pages = closing_pages(study_of(), record.facts(), report, [SESSION])
    study, arm, adaptive = pages[""], pages["cosface"], pages["adacos-dynamic"]
    question, table, paragraph = unspaced(study.note).split("\n\n")[:3]
    assert question.startswith("**Does any searched (s, m) beat AdaCos at verifying unseen glyph identities?** ")
    assert table.startswith("| arm | TAR at FAR 10⁻³, mean [95 %] | seeds | chosen point |")
    assert len(table.splitlines()) == 4
    assert paragraph.startswith("The best tuned arm, cosface at s = ")
    trials = record.trials
    confirm = trials[(trials["arm"] == "cosface") & (trials["phase"] == "confirm")]
    assert arm.metrics["confirm/mean"] == pytest.approx(confirm["test/tar_at_far_1e-3"].mean())
    assert arm.metrics["confirm/low"] < arm.metrics["confirm/mean"] < arm.metrics["confirm/high"]
    assert arm.metrics["chosen/s"] == confirm["s"].iloc[0]
    assert arm.metrics["chosen/m"] == confirm["m"].iloc[0]
    search = trials[(trials["arm"] == "cosface") & (trials["phase"] == "search")]
    assert arm.metrics["search/best"] == search.loc[search["status"] == "completed", "objective"].max()
    assert arm.metrics["trials/all"] == 11
    assert sum(arm.metrics[f"trials/{status}"] for status in ("completed", "pruned", "diverged", "failed")) == 11
    assert study.metrics["cost/cpu_hours"] == pytest.approx(trials["cost/cpu_s"].sum() / 3600)
    best = max((arm, adaptive), key=lambda page: page.metrics["confirm/mean"])
    assert study.metrics["confirm/mean"] == best.metrics["confirm/mean"]
    assert study.tags["highest_mean"] == {id(arm): "cosface", id(adaptive): "adacos-dynamic"}[id(best)]
    assert study.files["report"] == [report]
    assert [path.name for path in study.files["figures"]] == ["headline-01.png", "trajectories-01.png"]
    assert list(study.tables) == ["tables/confirmed.json", "tables/trials.json"]
    assert len(arm.tables["tables/trials.json"]) == 11
    assert set(arm.content) == {"figures/trajectories.png", "figures/search.png"}
    assert set(adaptive.content) == {"figures/trajectories.png"}
    for png in arm.content.values():
        assert size(png)[0] == 910
    assert all(len(page.note) <= NOTE_LENGTH for page in pages.values())


def test_the_same_record_gives_the_same_pages(short_record: Any, report: Path) -> None:
    def shown(page: Page) -> Any:
        tables = {name: table.to_csv() for name, table in page.tables.items()}
        return page.note, page.tags, str(page.metrics), page.content, tables

    first, second = (closing_pages(study_of(), short_record.facts(), report, [SESSION]) for _ in range(2))
    assert {name: shown(page) for name, page in first.items()} == {name: shown(page) for name, page in second.items()}


def test_hostile_text_stays_text(short_record: Any, report: Path) -> None:
    hostile = "<script>alert(1)</script> | [x](javascript:alert(1)) **won**"
    study = study_of(question=f"'{hostile}'")
    pages = closing_pages(study, short_record.facts(question=hostile), report, [SESSION])
    opening = opening_pages(study, [SESSION])
    for note in (*(page.note for page in pages.values()), opening.study.note, opening.arms["cosface"].note):
        assert "&lt;script&gt;" in note
        assert "<" not in note
        assert "[x]" not in note
        assert "**won**" not in note


def test_several_conditions_each_have_their_numbers(make_record: Callable[..., Any], report: Path) -> None:
    sizes = {"train-100": (100, 256), "train-300": (300, 256)}
    record = make_record(arms=("cosface", "adacos-dynamic"), conditions=sizes, trials=3, confirm_seeds=2)
    study = study_of(conditions="conditions: {data.identities.train: [100, 300]}")
    pages = closing_pages(study, record.facts(), report, [])
    assert "| condition | arm |" in unspaced(pages[""].note)
    assert {"confirm/train-100/mean", "confirm/train-300/mean"} <= pages["cosface"].metrics.keys()
    assert "confirm/mean" not in pages[""].metrics
    assert "highest_mean" not in pages[""].tags
    assert {"figures/search-01.png", "figures/search-02.png"} <= pages["cosface"].content.keys()


def test_a_trial_that_counts_is_drawn() -> None:
    rng = np.random.default_rng(0)
    angles = {name: list(rng.multinomial(4000, np.ones(180) / 180, size=3)) for name in ("target", "nontarget")}
    epochs = pd.DataFrame(
        {"epoch": [1, 2, 3], **{f"theta_{name}_histogram": counts for name, counts in angles.items()}}
    )
    (path, png), *others = draw_trial({"phase": "confirm"}, epochs).items()
    assert (path, others) == ("figures/angles.png", [])
    assert size(png) == (910, 364)
    assert draw_trial({"phase": "confirm"}, epochs) == {path: png}
    assert draw_trial({"phase": "search"}, epochs) == {}
    assert draw_trial({"phase": "confirm"}, epochs.head(0)) == {}
    one = epochs.head(1).assign(theta_target_histogram=[np.zeros(180)])
    assert size(draw_trial({"phase": "confirm"}, one)[path]) == (910, 364)
