"""For all tests: no time limit on hypothesis examples (machines differ), and a home of their own."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("hpstudy", deadline=None, derandomize=True)
settings.load_profile("hpstudy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The end-to-end tests first: they take the longest, and what runs beside them is short."""
    items.sort(key=lambda item: item.get_closest_marker("end_to_end") is None)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes the home, the tracking server or the cluster of whoever runs the tests."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HPSTUDY_HOME", str(tmp_path / "hpstudy-runs"))
