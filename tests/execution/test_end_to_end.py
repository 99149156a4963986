"""The installed program on a small study: a real Ray, a real MLflow."""

import json
import sqlite3
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pypdf
import pytest

from hpstudy.record import StudyFolder
from hpstudy.results import open_results

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(600)]


def test_a_study_runs_to_its_verdict(small: ModuleType, finished: tuple[Path, dict[str, object]]) -> None:
    home, answer = finished
    results = open_results("small", home)
    trials = results.trials
    assert len(trials) == small.TRIALS
    assert trials.groupby(["arm", "phase"]).size().to_dict() == {
        ("adacos-dynamic", "confirm"): 2,
        ("cosface", "confirm"): 2,
        ("cosface", "search"): 3,
        ("normface", "confirm"): 2,
        ("normface", "search"): 3,
    }
    assert set(trials["status"]) <= {"completed", "pruned"}
    assert trials.loc[trials["phase"] == "confirm", "test/tar_at_far_1e-2"].notna().all()
    assert trials.loc[trials["phase"] == "search", "test/tar_at_far_1e-2"].isna().all()
    assert answer["study"] == "small"
    assert answer["state"] == "finished"
    assert answer["verdict"] == results.verdict().paragraph
    assert {row["arm"] for row in answer["arms"]} == {"normface", "cosface", "adacos-dynamic"}  # type: ignore[index, attr-defined]
    pd.testing.assert_frame_equal(pd.read_parquet(home / "small" / "trials.parquet"), trials)


def test_mlflow_holds_the_tree(small: ModuleType, finished: tuple[Path, dict[str, object]]) -> None:
    home, _ = finished
    runs = small.mlflow_runs(home)
    assert runs == small.tree(open_results("small", home).trials)
    assert len(runs) == 1 + 3 + small.TRIALS


def test_mlflow_says_what_won_and_from_which_data(small: ModuleType, finished: tuple[Path, dict[str, object]]) -> None:
    home, _ = finished
    results = open_results("small", home)
    with sqlite3.connect(home / "mlflow.db") as database:
        notes = dict(
            database.execute(
                """select key.value, note.value from tags key join tags note on note.run_uuid = key.run_uuid
                   where key.key = 'hpstudy.key' and note.key = 'mlflow.note.content'"""
            )
        )
        data = database.execute("select name, digest, dataset_profile from datasets order by name").fetchall()
    headline = results.verdict().headline
    assert notes["small"].startswith(f"**Does a searched (s, m) beat AdaCos on a toy?** {headline}")
    assert "s from 2 to 64 (logarithmic) and m from 0 to 0.6 (linear)" in notes["small:cosface"]
    assert set(results.trials["trial_id"]) <= notes.keys()
    digest = results.folder.sessions()[0]["data default"][:36]
    assert [(name, digest) for name in ("glyphs test", "glyphs train", "glyphs val")] == [row[:2] for row in data]
    assert json.loads(data[1][2]) == {"num_identities": 24, "num_images": 24 * 12}
    pictures = {path.parts[-4] for path in (home / "mlartifacts").glob("*/artifacts/figures/angles.png")}
    assert len(pictures) == 3 * 2 + 3
    assert len(list((home / "mlartifacts").glob("*/artifacts/report/report.pdf"))) == 1


def test_the_report_is_a_pdf_with_the_verdict(small: ModuleType, finished: tuple[Path, dict[str, object]]) -> None:
    home, answer = finished
    report = Path(str(answer["report"]))
    assert report == home / "small" / "report" / "report.pdf"
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(report).pages)
    assert "Does a searched (s, m) beat AdaCos on a toy?" in text
    assert open_results("small", home).study.sha256[:12] in text.replace("\n", "")
    before = report.read_bytes()
    small.hpstudy("report", "small", "--home", str(home))
    assert report.read_bytes() == before


def test_running_a_finished_study_again_changes_nothing(
    small: ModuleType, finished: tuple[Path, dict[str, object]], study_file: Path
) -> None:
    home, answer = finished
    report = Path(str(answer["report"]))

    def found() -> tuple[Any, ...]:
        return small.written(StudyFolder(home, "small")), report.stat().st_mtime_ns, small.mlflow_runs(home)

    before = found()
    done = small.hpstudy("run", str(study_file), "--home", str(home), "--json")
    assert json.loads(done.stdout.splitlines()[-1])["verdict"] == answer["verdict"]
    assert found() == before


def test_the_same_name_with_another_file_is_refused_with_a_diff(
    small: ModuleType, finished: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    home, _ = finished
    other = tmp_path / "small.yaml"
    other.write_text(small.STUDY.replace("trials: 3", "trials: 5"))
    done = small.hpstudy("run", str(other), "--home", str(home), expect=2)
    assert "was begun in" in done.stderr
    assert "-  trials: 3\n+  trials: 5" in done.stderr


def test_bad_input_starts_and_writes_nothing(small: ModuleType, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        small.STUDY.replace("loss: cosface", "loss: cosfase")
        .replace("epochs: 4", "epochs: four")
        .replace("lr: 0.1", "lr: -1")
        .replace("linear: [0, 0.6]", "linear: [0.6, 0]")
        .replace("seeds: 2", "sedes: 2")
    )
    done = small.hpstudy("run", str(bad), "--home", str(tmp_path / "home"), expect=2)
    mistakes = [line for line in done.stderr.splitlines() if "bad.yaml:" in line]
    assert len(mistakes) == 5, done.stderr
    assert not (tmp_path / "home").exists()


def test_data_that_do_not_suffice_start_no_trial(small: ModuleType, home: Path, tmp_path: Path) -> None:
    greedy = tmp_path / "greedy.yaml"
    greedy.write_text(small.STUDY.replace("train: 24", "train: 24000"))
    done = small.hpstudy("run", str(greedy), "--home", str(home), expect=2)
    assert "24000" in done.stderr
    assert not (home / "small").exists()
