"""A study whose home is in an object store: killed, continued, and cut off from the store for a while."""

import json
import os
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hpstudy.record import ObjectPath, StudyFolder, workplace
from hpstudy.search._segments import SegmentedJournal

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(600)]

AWAY_S = 4.0


def has_checkpoints(folder: StudyFolder) -> bool:
    working = folder.path / "checkpoints"
    assert isinstance(working, ObjectPath)
    return any(path.name.endswith(".pt") for path in working.below())


def test_a_killed_driver_and_a_store_that_is_away_cost_no_number(
    small: ModuleType,
    finished: tuple[Path, dict[str, Any]],
    study_file: Path,
    tmp_path: Path,
    bucket: str,
    s3: Any,
    objects: ModuleType,
) -> None:
    home = f"{bucket}/home"
    folder, log = StudyFolder(home, "small"), tmp_path / "log"
    line = objects.Line(s3.port)
    line.mend()
    env = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{line.port}"}
    with small.running("run", str(study_file), "--home", home, env=env, log=log) as driver:
        small.wait_for(driver, lambda: has_checkpoints(folder))
        driver.kill()
        driver.wait()
    before = set(folder.finished_trials())
    assert len(before) < small.TRIALS
    with small.running("resume", "small", "--home", home, "--json", "--report", env=env, log=log) as driver:
        small.wait_for(driver, lambda: len(folder.finished_trials()) > len(before))
        line.cut()
        time.sleep(AWAY_S)  # for as long the store is away
        assert driver.poll() is None, log.read_text()
        line.mend()
        assert driver.wait(300) == 0, log.read_text()
    line.cut()
    assert f"Continue with: hpstudy resume small --home {home}" in log.read_text()
    assert_nothing_lost_or_doubled(small, home, finished[0])
    answer = json.loads(log.read_text().splitlines()[-1])
    assert answer["home"] == home
    assert (folder.path / "report" / "report.pdf").read_bytes() == Path(answer["report"]).read_bytes()
    assert {path.name for path in folder.workplace.iterdir()} == {"datasets", "mlflow.db", "mlartifacts", "small"}
    assert [path.name for path in (folder.workplace / "small").iterdir()] == ["report"], "copies are dropped"
    assert not (folder.path / "lease").exists()
    status = small.hpstudy("status", "small", "--home", home)
    assert f"small: not running, {small.TRIALS} of {small.TRIALS} trials finished" in status.stdout.replace("\n", " ")


def assert_nothing_lost_or_doubled(small: ModuleType, home: str, finished: Path) -> None:
    """Record, Optuna and MLflow hold every trial once, with the numbers of a study on a folder."""
    folder, whole = StudyFolder(home, "small"), StudyFolder(finished, "small")
    small.assert_same_numbers(folder, whole)
    working = folder.path / "checkpoints"
    assert isinstance(working, ObjectPath)
    assert not working.below()
    small.assert_told(SegmentedJournal(folder.journal), whole.trials())
    assert small.mlflow_runs(workplace(ObjectPath(home))) == small.tree(folder.trials())


@pytest.mark.parametrize(
    ("home", "message"),
    [
        ("s3://no-such-bucket/home", "there is no bucket 'no-such-bucket'"),
        ("ftp://server/home", "a folder or an address with s3:// and gs://"),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_a_home_that_can_not_be_used_is_one_line(
    small: ModuleType, study_file: Path, home: str, message: str, tmp_path: Path
) -> None:
    for words in (("run", str(study_file)), ("status", "small"), ("ui",)):
        done = small.hpstudy(*words, "--home", home, expect=2)
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "caches").exists()
    assert "hpstudy-runs" not in os.listdir(tmp_path)
