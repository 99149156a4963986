"""The layers and fences of the package, read from its imports (also those inside functions and TYPE_CHECKING)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hpstudy

PACKAGE = Path(hpstudy.__file__).parent
LAYERS = (
    ("theory", "catalog", "exceptions", "facades", "seeds", "pixels"),
    ("losses", "evaluation", "spec"),
    ("models", "data", "record"),
    ("training", "search", "tracking", "analysis"),
    ("execution", "reporting"),
    ("delivery",),
    ("results",),
    ("workflow",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FENCES = {
    "typer": {"cli"},
    "rich": {"cli"},
    "ray": {"execution"},
    "seaborn": {"reporting"},
    "matplotlib": {"reporting"},
    "typst": {"reporting"},
    "optuna": {"search"},
    "mlflow": {"tracking"},
    "pyarrow": {"data", "record"},
    "PIL": {"data"},
    "fontTools": {"data"},
    "yaml": {"spec"},
    "pydantic": {"spec"},
    "pydantic_core": {"spec"},
}
WITHOUT_TORCH = {
    "cli",
    "spec",
    "catalog",
    "theory",
    "analysis",
    "record",
    "search",
    "tracking",
    "reporting",
    "delivery",
    "results",
    "workflow",
}
EXEMPT = {"__init__", "__main__", "testing"}
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found.add(node.module)
            if node.module == "hpstudy":
                found |= {f"hpstudy.{alias.name}" for alias in node.names}
    return found


def test_every_module_has_a_layer() -> None:
    assert {module_of(path) for path in FILES} - EXEMPT == set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path: Path) -> None:
    module = module_of(path)
    if module in EXEMPT:
        return
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "hpstudy" or len(parts) == 1 or parts[1] in (module, "exceptions"):
            continue
        assert parts[1] in LEVEL, f"{name} is not a module of the design"
        assert LEVEL[parts[1]] < LEVEL[module], f"{module} must not import {name}: it is not below it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_stay_behind_their_fences(path: Path) -> None:
    module = module_of(path)
    libraries = {name.split(".")[0] for name in imports_of(path)}
    strayed = {library for library in libraries & set(FENCES) if module not in FENCES[library]}
    assert not strayed, f"{module} must not import {strayed}"
    assert "torch" not in libraries or module not in WITHOUT_TORCH


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_fit_in_a_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_nothing_else_reaches_into_private_modules() -> None:
    for path in FILES:
        module = module_of(path)
        for name in imports_of(path):
            parts = name.split(".")
            if parts[0] == "hpstudy" and len(parts) > 2 and parts[1] != module:
                assert not parts[2].startswith("_"), f"{path} imports {name}: use the facade of {parts[1]}"


@pytest.mark.parametrize("module", ["catalog", "cli", "spec", "theory"])
def test_light_modules_load_nothing_heavy(module: str) -> None:
    heavy = {"torch", "ray", "mlflow", "optuna", "pandas", "matplotlib", "pyarrow", "scipy", "sklearn"}
    code = f"import hpstudy.{module}, sys; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_facade() -> None:
    assert list(hpstudy.__all__) == sorted(hpstudy.__all__)
    assert len(hpstudy.__all__) <= 15
    for name in hpstudy.__all__:
        assert getattr(hpstudy, name) is not None
