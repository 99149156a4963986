"""Whether this machine is ready to run studies."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from hpstudy.data import built_in_faces
from hpstudy.record import Location, StudyFolder
from hpstudy.training import torch_facts

_PACKAGES = ("torch", "ray", "optuna", "mlflow", "pyarrow", "seaborn", "typst", "pydantic", "scipy", "pandas")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str
    """What was found, and for a fault what to do."""


def examine(home: Location) -> list[Finding]:
    """Looks at Python, the packages, the devices, the fonts, the storage and a Ray that starts."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", _python),
        *((name, lambda name=name: metadata.version(name)) for name in _PACKAGES),
        ("devices", _devices),
        ("fonts", _fonts),
        ("storage", lambda: _storage(home)),
        ("ray starts", _ray_starts),
    ]
    return [_look(name, check) for name, check in checks]


def _look(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, ok=True, detail=check())
    except Exception as error:  # whatever is wrong is what the doctor is asked to tell
        return Finding(name=name, ok=False, detail=str(error) or type(error).__name__)


def _python() -> str:
    needed = metadata.metadata("hpstudy")["Requires-Python"]
    return f"{platform.python_version()} at {sys.executable} (hpstudy needs {needed})"


def _devices() -> str:
    facts = torch_facts()
    return f"{os.cpu_count()} CPUs, GPUs: {facts['gpus']} (CUDA {facts['cuda']})"


def _fonts() -> str:
    return f"{len(built_in_faces())} DejaVu faces for the glyph data"


def _storage(home: Location) -> str:
    if isinstance(home, Path):
        return _room(home)
    folder = StudyFolder(home, "doctor")
    marker = folder.leave_marker()
    folder.remove_marker(marker)
    return f"{home} (written and read), on this machine {_room(folder.workplace)}"


def _room(home: Path) -> str:
    existing = next(folder for folder in (home, *home.parents) if folder.is_dir())
    with tempfile.NamedTemporaryFile(dir=existing):
        free = shutil.disk_usage(existing).free / 2**30
    if free < 1:
        raise RuntimeError(f"{home}: {free:.2f} GiB free, a study needs at least 1: free some or set HPSTUDY_HOME")
    return f"{home} ({free:.0f} GiB free{'' if home.is_dir() else ', not made yet'})"


def _ray_starts() -> str:
    from hpstudy.execution._ray import ray_session

    with ray_session():
        import ray

        resources = ray.cluster_resources()
        answer: int = ray.get(ray.remote(_six_times_seven).remote())
    if answer != 42:
        raise RuntimeError(f"a task returned {answer} instead of 42")
    return f"{resources.get('CPU', 0):g} CPUs, {resources.get('GPU', 0):g} GPUs"


def _six_times_seven() -> int:
    return 6 * 7
