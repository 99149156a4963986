"""Reports of surveys are built and read: what they answer, in which order, and what they say of what went wrong."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pypdf
import pytest

from hpstudy.reporting import ReportFacts, build_report

HOSTILE = "#panic() *x* $a_b$ <l> @r `c` \\n [d] // e ~ \"q\" 'p'"
PACKED = "No prototypes are packed better than C directions in K dimensions can be"
METRIC = "test/tar_at_far_1e-3"
STUDY = """version: 1
name: survey
arms:
  normface: {loss: normface, grid: {s: [2, 4, 8, 16, 32, 64]}}
confirm: {seeds: 0}
"""


def text_of(pdf: Path) -> list[str]:
    """Text of each page with plain spaces, and without those that only allow a line break."""
    pages = (page.extract_text() for page in pypdf.PdfReader(pdf).pages)
    return [" ".join(text.replace("\N{NO-BREAK SPACE}", " ").replace("\u200b", "").split()) for text in pages]


def facts(survey: Any, **changes: Any) -> ReportFacts:
    values: dict[str, Any] = {
        "name": "survey",
        "question": "Whose bound is it, and does it hold?",
        "resolved_yaml": STUDY,
        "sha256": "9f2c" * 16,
        "trials": survey.trials,
        "objective": "val/tar_at_far_1e-3",
        "equivalence_margin": 0.01,
        "provenance": {"hpstudy": "0.1.0", "torch": "2.13.0"},
        "survey": True,
        **survey.readers(),
    }
    return ReportFacts(**(values | changes))


def content_of(pdf: Path) -> Any:
    return json.loads((pdf.parent / "report.json").read_text())


@pytest.fixture(scope="module")
def sweeps(audited: ModuleType, planted: ModuleType) -> Any:
    """Scales with scores, margins, both together, and dynamic rules over sizes and wrong labels."""
    scales = planted.survey(sizes=[(10, 16)], scales=[2.0, 4.0, 8.0, 16.0, 32.0], threshold=lambda classes: 3.0)
    costs = {"study": "survey", "steps": 80, "samples_per_s": 1e3, "attempt": 1, "device": "CPU", "started_at": 0.0,
             "ended_at": 9.0, "cost/wall_s": 9.0, "cost/cpu_s": 8.0, "cost/gpu_s": 0.0}  # fmt: skip
    both = audited.margins(((4, 3),), arms={"both": "cosface"}, s=(4.0, 8.0, 16.0), listed=(0.0, 0.4, 1.2), seeds=1)
    rules = audited.stability(noise=(0.0,), seeds=2)
    found = audited.joined(audited.margins(((8, 2),), merge_from=1.5), both, rules)
    trials = pd.concat([scales.trials.assign(**costs), found.trials], ignore_index=True)

    def epochs(trial_id: str) -> pd.DataFrame:
        return scales.epochs(trial_id) if trial_id in scales.of_trial else found.epochs(trial_id)

    return audited.Survey(trials, found.trajectories), epochs


@pytest.fixture(scope="module")
def report(sweeps: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    survey, epochs = sweeps
    return build_report(facts(survey, epochs=epochs), tmp_path_factory.mktemp("survey"))


@pytest.fixture(scope="module")
def pages(report: Path) -> list[str]:
    return text_of(report)


def test_the_first_page_answers(pages: list[str]) -> None:
    first, second = pages[:2]
    for part in (
        "Whose bound is it, and does it hold?",
        "7 conditions",
        "3 seeds · TAR at FAR 10⁻³",
        "listed points, none of them chosen; no trial breaks any of the 10 laws that bound s, m and the loss.",
        "s and m together",
        "CosFace’s bound on m (Section 3 has all 4 findings)",
        "Where dynamic AdaCos runs away (Section 6 has all",
        "Table 1. What each arm lists in every condition",
        "adacos-arm adacos by rule",
    ):
        assert part in first, part
    assert "Figure 1. Log odds of the smallest posterior" in first + second
    assert "unfinished" not in first
    assert "Contents" in second


def squeezed(text: str) -> str:
    """Text without spaces, marks of subscripts and what a line may end with."""
    return re.sub(r"[\s_\u00ad-]", "", text)


def test_each_finding_is_said_where_it_belongs(report: Path, pages: list[str]) -> None:
    """The first topic on the first page alone; of the others their first sentence there, and all in their sections."""
    found = content_of(report)["facts"]["findings"]
    assert list(found) == ["joint", "margin", "scale", "stability", "premises", "floor"]
    assert "What the trials say of it stands on the first page." in " ".join(pages)
    bodies = [re.sub(r"^survey hpstudy | \d+ / \d+$", "", page) for page in pages]
    first, rest = squeezed(bodies[0]), squeezed("".join(bodies[1:]))
    for place, said in enumerate(found.values()):
        for i, sentence in enumerate(said["sentences"]):
            times = first.count(squeezed(sentence)), rest.count(squeezed(sentence))
            assert times == ((1, 0) if place == 0 else (int(i == 0), 1)), sentence


def test_sections_are_in_order(pages: list[str]) -> None:
    text = " ".join(pages[1:]).split("The study file", 1)[1]  # past the table of contents
    headings = (
        "Laws that no trial can break",
        "CosFace’s bound on the scale",
        "CosFace’s bound on the margin",
        "The bound on scale and margin together",
        "The floor of the loss",
        "Where dynamic AdaCos runs away",
        "What AdaCos takes for granted",
        "What happened during training",
        "What it cost",
        "What diverged",
        "How the numbers were made",
        "Provenance",
        "The study file, with every default filled in",
    )
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
    assert "All 10 hold in each of the" in text
    assert "Tuned against adaptive" not in text
    assert "9f2c" * 16 in text


def test_every_printed_table_is_kept_as_csv_and_latex(report: Path, sweeps: Any) -> None:
    printed = set(content_of(report)["tables"])
    assert printed >= {"listed", "self_check", "scales", "best_scales", "below_bound", "convergence", "margin_drops",
                       "margin_geometry", "joint", "floor", "stability", "agreement", "premises", "cost",
                       "divergences"}  # fmt: skip
    tables = {path.stem: pd.read_csv(path) for path in (report.parent / "tables").glob("*.csv")}
    assert {path.stem for path in (report.parent / "tables").glob("*.tex")} == printed
    behind = {"trials", "bounds", "converged", "margin_curve", "joint_trials", "divergence_rates"}
    assert printed | behind <= set(tables)
    assert len(tables["trials"]) == len(sweeps[0].trials)
    assert tables["listed"]["trials"].sum() == len(sweeps[0].trials)
    assert (tables["self_check"]["held"] == "yes").all()


def test_every_figure_is_kept(report: Path) -> None:
    figures = {path.name for path in (report.parent / "figures").iterdir()}
    drawn = content_of(report)["figures"]
    assert {"scale_audit", "margin_bound", "margin_drop", "joint", "loss_floor", "stability", "stability_scale",
            "premises", "posterior_curves", "trajectories"} <= set(drawn)  # fmt: skip
    for kind, pictures in drawn.items():
        names = {f"{kind}-{i + 1:02d}.{end}" for i in range(len(pictures)) for end in ("svg", "pdf", "png")}
        assert names <= figures


def test_features_in_the_plane_come_first(audited: ModuleType, tmp_path: Path) -> None:
    pdf = build_report(facts(audited.planes()), tmp_path)
    pages = text_of(pdf)
    assert "Features in the plane" in pages[0]
    assert "Figure 1. Training features of networks with two embedding dimensions" in pages[0]
    assert "pairs that merged: 1 under cosface." in pages[0]
    assert "Where the margins hold two classes apart" in " ".join(pages)
    assert content_of(pdf)["facts"]["lead_figure"] == "planes"
    assert pd.read_csv(tmp_path / "tables" / "planes.csv")["merged"].sum() == 1
    assert "The floor of the loss" not in " ".join(pages)


def test_equal_facts_give_equal_bytes(audited: ModuleType, tmp_path: Path) -> None:
    survey = audited.margins(((8, 2),), arms={"cosface": "cosface"}, s=(30.0,))
    first, second = (build_report(facts(survey), tmp_path / name) for name in ("first", "second"))
    names = sorted(path.relative_to(first.parent) for path in first.parent.rglob("*.*"))
    assert {".pdf", ".svg", ".png", ".csv", ".tex", ".typ", ".json"} == {name.suffix for name in names}
    for name in names:
        assert (first.parent / name).read_bytes() == (second.parent / name).read_bytes(), name


def test_what_went_wrong_is_said_and_hostile_text_stays_text(audited: ModuleType, tmp_path: Path) -> None:
    """A planted violation, an unfinished survey, a diverged and a failed trial, and names that are markup."""
    arm = "#panic() *x* $a_b$ <l> @r"
    survey = audited.margins(((8, 2),), arms={arm: "cosface"})
    trials = survey.trials.copy()
    trials.loc[3, "geometry/max_prototype_cosine"] = -0.9
    for place, status in ((5, "diverged"), (6, "failed")):
        trials.loc[place, [name for name in trials if name.startswith("geometry/")]] = float("nan")
        trials.loc[place, ["status", "cause"]] = [status, HOSTILE]
    changed = facts(
        survey, trials=trials, name=HOSTILE, question=HOSTILE, planned={"search": 0, "grid": 30, "confirm": 0},
        arms=[arm, "waiting"], resolved_yaml=f"name: {HOSTILE}\n```\n#panic()\n", provenance={HOSTILE: HOSTILE},
    )  # fmt: skip
    pdf = build_report(changed, tmp_path)
    pages = text_of(pdf)
    text = " ".join(pages)
    assert text.count(HOSTILE) >= 5
    assert arm in pages[0]
    assert "unfinished: 20 of 30 trials · a survey of 10 points · 2 arms · 20 trials" in pages[0]
    headline = "Unfinished (20 of 30 trials): the self-check failed, so that something was measured wrongly:"
    assert headline in pages[0]
    assert f"“{PACKED}”" in pages[0]
    content = content_of(pdf)
    broken = content["facts"]["laws_broken"]
    assert PACKED in broken
    assert f"{len(broken)} of {content['facts']['laws']} laws were broken. Something was measured or recorded" in text
    rows = {row["cells"][0]: row["cells"] for row in content["tables"]["self_check"]["rows"]}
    assert rows[PACKED][1] == {"text": "no", "alarm": "yes"}
    assert trials.loc[3, "trial_id"] in rows[PACKED][2]
    assert trials.loc[3, "trial_id"] in pd.read_csv(tmp_path / "tables" / "self_check.csv")["trials"].str.cat()
    assert "1 of 20 trials diverged" in text
    assert "1 failed for another reason." in text
    listed = content["tables"]["listed"]["rows"][0]["cells"]
    assert listed[4:] == ["20", "18", "1", "1"]
    drawn = pypdf.PdfReader(pdf).pages[0].get_contents()
    assert drawn is not None
    assert re.search(rb"0\.8156\d* 0 0 scn", drawn.get_data())  # the headline in red


def test_every_trial_lost(audited: ModuleType, tmp_path: Path) -> None:
    """Nothing to judge, which is no reason to print nothing."""
    survey = audited.margins(((8, 2),), arms={"cosface": "cosface"})
    bare = survey.trials.loc[:, ~survey.trials.columns.str.startswith("geometry/")]
    lost = bare.assign(status=["diverged", "failed"] * (len(bare) // 2), cause="gone")
    text = " ".join(text_of(build_report(facts(survey, trials=lost, epochs=lambda name: pd.DataFrame()), tmp_path)))
    assert "20 trials at 10 listed points, none of them chosen." in text
    assert "10 of 20 trials diverged" in text
    assert "Laws that no trial can break" not in text
    assert "CosFace’s bound on the margin" not in text


def test_an_ordinary_study_has_the_sections_that_its_trials_can_inform(
    make_record: Callable[..., Any], audited: ModuleType, tmp_path: Path
) -> None:
    record = make_record(arms=["normface", "adacos-fixed"], trials=3, confirm_seeds=2)
    plain = " ".join(text_of(build_report(record.facts(), tmp_path / "plain")))
    sections = ("CosFace’s bound on the margin", "The floor of the loss", "Where dynamic AdaCos runs away")
    assert not any(section in plain for section in sections)
    assert "Laws that no trial can break" in plain
    grid = audited.margins(((8, 2),), arms={"swept": "cosface"}).trials.assign(condition="default")
    with_grid = record.facts(trials=pd.concat([record.trials, grid], ignore_index=True))
    informed = " ".join(text_of(build_report(with_grid, tmp_path / "informed")))
    assert "CosFace’s bound on the margin" in informed
    assert "the interval of the fall holds the sharp bound in 1 of 1." in informed
    assert "What the trials say of it stands on the first page." not in informed
    assert not any(section in informed for section in sections[1:])
