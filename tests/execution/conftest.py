"""A small study, run once without interruption, for tests that disturb it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def study_file(small: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study."""
    path = tmp_path_factory.mktemp("studies") / "small.yaml"
    path.write_text(small.STUDY)
    return path


@pytest.fixture(scope="session")
def template(furnished: Callable[[Path], Path], characters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every new home begins with: an empty database of MLflow and the drawn characters."""
    folder = furnished(tmp_path_factory.mktemp("template"))
    shutil.copytree(characters, folder / "datasets")
    return folder


@pytest.fixture
def home(small: ModuleType, template: Path, tmp_path: Path) -> Path:
    """A home without a study."""
    return Path(small.furnish(tmp_path / "home", template))


@pytest.fixture(scope="session")
def finished(
    small: ModuleType, study_file: Path, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The home of the small study that ran without interruption, and what `run --json` said of it."""
    home = small.furnish(tmp_path_factory.mktemp("whole"), template)
    done = small.hpstudy("run", str(study_file), "--home", str(home), "--json")
    return home, json.loads(done.stdout.splitlines()[-1])
