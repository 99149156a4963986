"""A small study, run once without interruption, for tests that disturb it."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def small() -> ModuleType:
    """`small_study.py`; tests are not packages, so it is loaded from its path."""
    path = Path(__file__).with_name("small_study.py")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def study_file(small: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study."""
    path = tmp_path_factory.mktemp("studies") / "small.yaml"
    path.write_text(small.STUDY)
    return path


@pytest.fixture(scope="session")
def finished(
    small: ModuleType, study_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The home of the small study that ran without interruption, and what `run --json` said of it."""
    home = tmp_path_factory.mktemp("whole")
    done = small.hpstudy("run", str(study_file), "--home", str(home), "--json")
    return home, json.loads(done.stdout.splitlines()[-1])
