"""A study as its user sees it."""

from pathlib import Path

import pytest

from hpstudy.exceptions import InputError
from hpstudy.record import StudyFolder, home_folder
from hpstudy.results import Results, open_results, write_report
from hpstudy.spec import parse_study

STUDY = "version: 1\nname: toy\nquestion: Which?\narms: {adacos: {loss: adacos}}\n"


@pytest.fixture
def begun(tmp_path: Path) -> StudyFolder:
    folder = StudyFolder(tmp_path, "toy")
    folder.begin(parse_study(STUDY).resolved_yaml)
    return folder


def test_home_is_the_one_given_else_the_environments_else_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPSTUDY_HOME", str(tmp_path / "environment"))
    assert home_folder(tmp_path / "given") == tmp_path / "given"
    assert home_folder() == tmp_path / "environment"
    monkeypatch.delenv("HPSTUDY_HOME")
    monkeypatch.chdir(tmp_path)
    assert home_folder() == tmp_path / "hpstudy-runs"


def test_results_of_a_study_that_has_none_yet(begun: StudyFolder) -> None:
    results = open_results("toy", begun.home)
    assert isinstance(results, Results)
    assert results.study.name == "toy"
    assert results.trials.empty
    assert results.trajectory("adacos.default.confirm.s0.101").empty
    with pytest.raises(InputError, match="study 'toy' has no finished trial yet: run it first"):
        write_report(results)


def test_an_unknown_study_is_refused_with_those_that_there_are(begun: StudyFolder) -> None:
    with pytest.raises(InputError, match=r"there is no study 'other' in .* \(studies there: toy\)"):
        open_results("other", begun.home)
