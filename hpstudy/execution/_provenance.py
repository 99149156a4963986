"""What a study ran with, kept for its report."""

import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path

from hpstudy.training import torch_facts

_PACKAGES = ("hpstudy", "torch", "ray", "optuna", "mlflow", "numpy", "scipy", "pandas", "pyarrow", "matplotlib")


def provenance(*, slots: int, nodes: int) -> dict[str, str]:
    """Versions, machine and source of this session, as short texts."""
    return {
        "started": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "source": _revision(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "gpus": torch_facts()["gpus"],
        "cpus": str(os.cpu_count()),
        "parallel trials": str(slots),
        "nodes": str(nodes),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _revision() -> str:
    """The Git revision of this package if it is run from a checkout, with a mark if files were changed."""
    folder = Path(__file__).parent
    try:
        revision = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return "an installed package"
    return f"revision {revision}{' with uncommitted changes' if changed else ''}"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
