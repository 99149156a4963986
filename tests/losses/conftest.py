"""The slow reference losses. Tests are not packages, so the modules beside this file are loaded from their paths."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """`slow_reference.py`: `reference.cosface(x, w, y, s=64.0, m=0.35)`, or by name in `reference.REFERENCES`."""
    return load("slow_reference")


@pytest.fixture(scope="session")
def reference_scales(reference: ModuleType) -> ModuleType:
    """`slow_scales.py`, which builds on `slow_reference.py`: `reference_scales.adacos_scale(x, w, y, s=10.0)`."""
    return load("slow_scales")
