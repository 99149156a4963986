"""The record as one flat table: what comes back from the file is what the study has."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from hpstudy.record import TABLES, TRAJECTORY_COLUMNS, StudyFolder, TrialResult, frames_of, write_flat_table

STEPS = 3
NAMING = ["trial_id", "arm", "condition", "phase", "seed"]


def trial(number: int, *, status: str = "completed", **groups: float) -> TrialResult:
    return TrialResult(
        study="toy", trial_id=f"cosface.default.search.s0.{number:03d}", arm="cosface", condition="default",
        phase="search", search_seed=0, number=number, seed=0, loss="cosface", num_classes=8, embedding_dim=4, s=20.0,
        m=math.nan, status=status, cause='it said "no, never"\nand ended' if status == "failed" else "", epochs=2,
        steps=2 * STEPS, objective=1 / 3, groups={"param/s": 0.1 + number, **groups},
    )  # fmt: skip


def recorded(home: Path | str, trials: int = 20) -> StudyFolder:
    """Trials of two epochs; the last one failed before its first."""
    folder = StudyFolder(home, "toy")
    generator = np.random.default_rng(1)
    for number in range(trials):
        last = number == trials - 1
        result = trial(number, status="failed") if last else trial(number, **{"val/tar_at_far_1e-3": number / 7})
        attempt = folder.attempt(result.trial_id)
        for epoch in (1, 2) if not last else ():
            steps: dict[str, Any] = {name: generator.normal(size=STEPS) for name in TRAJECTORY_COLUMNS}
            steps |= {"step": np.arange(STEPS) + STEPS * (epoch - 1) + 1, "epoch": np.full(STEPS, epoch)}
            steps["s"] = np.array([np.nan, np.inf, 30.1])
            summary = {"epoch": epoch, "step": STEPS * epoch, "val/tar_at_far_1e-3": number / 7 / epoch}
            attempt.write_epoch(epoch, steps, {**summary, "theta_target_histogram": [0, 1, 2]}, None)
        folder.finish_trial(result)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return recorded(tmp_path_factory.mktemp("home"))


def expected(folder: StudyFolder, what: str) -> pd.DataFrame:
    trials = folder.trials()
    if what == "trials":
        return trials
    parts = []
    for _, row in trials.iterrows():
        table = folder.trajectory(row["trial_id"]) if what == "trajectories" else folder.epochs(row["trial_id"])
        table = table.drop(columns="theta_target_histogram", errors="ignore")
        parts.append(pd.DataFrame({name: row[name] for name in NAMING}, index=table.index).join(table))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


@pytest.mark.parametrize("what", TABLES)
def test_parquet_is_the_record_with_its_types(what: str, folder: StudyFolder, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    rows = write_flat_table(folder, what, "parquet", path)
    found, told = pd.read_parquet(path), expected(folder, what)
    assert_frame_equal(found, told, check_exact=True)
    assert rows == len(found) == {"trials": 20, "trajectories": 19 * 2 * STEPS, "epochs": 19 * 2}[what]


@pytest.mark.parametrize("what", TABLES)
def test_csv_has_every_digit_and_empty_cells(what: str, folder: StudyFolder, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_flat_table(folder, what, "csv", path)
    told = expected(folder, what)
    cells = pd.read_csv(path, dtype=str, keep_default_na=False)
    numbers = list(told.select_dtypes("number"))
    assert_frame_equal(cells.drop(columns=numbers), told.drop(columns=numbers), check_exact=True)
    for name in numbers:
        assert (cells[name] != "").tolist() == told[name].notna().tolist()
        found = cells.loc[cells[name] != "", name].map(float).astype(told[name].dtype)
        assert found.tolist() == told[name].dropna().tolist()


def test_pandas_reads_the_csv_as_it_stands(folder: StudyFolder, tmp_path: Path) -> None:
    write_flat_table(folder, "trajectories", "csv", tmp_path / "table.csv")
    found = pd.read_csv(tmp_path / "table.csv").astype(dict(expected(folder, "trajectories").dtypes))
    assert_frame_equal(found, expected(folder, "trajectories"), check_exact=False, rtol=1e-6)


@pytest.mark.parametrize("what", TABLES)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_same_record_gives_the_same_bytes(what: str, form: str, folder: StudyFolder, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_flat_table(folder, what, form, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("what", TABLES)
def test_a_study_without_a_finished_trial_has_the_columns(what: str, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    assert write_flat_table(StudyFolder(tmp_path, "new"), what, "parquet", path) == 0
    names = list(pd.read_parquet(path).columns)
    assert names[: len(NAMING)] == NAMING or what == "trials"
    assert {"trial_id", "arm"} <= set(names)
    assert what != "trajectories" or names == [*NAMING, *TRAJECTORY_COLUMNS]


def test_of_an_object_store_it_is_the_same(bucket: str, tmp_path: Path) -> None:
    folder = recorded(f"{bucket}/home", trials=4)
    for what in TABLES:
        write_flat_table(folder, what, "parquet", tmp_path / what)
        assert_frame_equal(pd.read_parquet(tmp_path / what), expected(folder, what), check_exact=True)


def test_what_is_cut_off_leaves_nothing(folder: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    path.write_text("as it was")

    def away(*words: object) -> None:
        raise OSError(5, "the store is away")

    monkeypatch.setattr("hpstudy.record._flat.read_tables", away)
    with pytest.raises(OSError, match="away"):
        write_flat_table(folder, "trajectories", "csv", path)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("table.csv", "as it was")]


def test_only_a_few_trajectories_are_in_memory_at_once(
    folder: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hpstudy.record import _flat

    read, asked = _flat.read_tables, []

    def counted(paths: list[Path], columns: list[str] | None = None) -> Any:
        asked.append(len(paths))
        return read(paths, columns)

    monkeypatch.setattr(_flat, "read_tables", counted)
    write_flat_table(folder, "trajectories", "parquet", tmp_path / "table.parquet")
    assert asked == [16, 3]


def test_some_columns_of_many_trials(folder: StudyFolder) -> None:
    ids = [f"cosface.default.search.s0.{number:03d}" for number in (18, 2, 19)]
    found = dict(frames_of(folder, "epochs", ids, ["epoch", "val/tar_at_far_1e-3", "val/tar_at_far_2.5e-4"]))
    assert list(found) == ids[:2]  # the last one failed before its first epoch
    assert found[ids[1]].to_dict("list") == {"epoch": [1, 2], "val/tar_at_far_1e-3": [2 / 7, 1 / 7]}
