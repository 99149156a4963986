"""What is sent to a cluster with a study: its file, the launcher, and hpstudy itself where that is asked for."""

import json
import platform
import re
import shlex
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import hpstudy
from hpstudy.exceptions import InputError
from hpstudy.execution import _launcher
from hpstudy.spec import load_study, parse_study

STOP_WAIT_S = 60
"""What a driver gets to end in order when its job is stopped; Ray itself gives 3 s."""
_LAUNCHER = "hpstudy_job.py"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shipment:
    """One job's command and files."""

    study: str
    sha256: str
    """Of the resolved study; empty where the study's own record has its file."""
    command: tuple[str, ...]
    """Words for `hpstudy` on the cluster."""
    file: tuple[str, str] | None = None
    """Name and text of the study file."""
    home: str = ""
    """Where the study lives, as the cluster's nodes name it; empty for the cluster's own `$HPSTUDY_HOME`, else
    `~/hpstudy-runs` of its head."""
    install: bool = False
    """Whether hpstudy goes along."""

    def metadata(self) -> dict[str, str]:
        """What the job server keeps with the job, for all to see."""
        return {
            "hpstudy": hpstudy.__version__,
            "study": self.study,
            "sha256": self.sha256,
            "home": self.home,
            "install": "yes" if self.install else "",
        }

    def entrypoint(self, address: str) -> str:
        """The shell command of the job; the driver takes the shell's place, so that signals reach it and none else."""
        argument = {
            "address": address,
            "python": ".".join(platform.python_version_tuple()[:2]),
            "hpstudy": hpstudy.__version__,
            "needs": _requirements() if self.install else [],
            "home": self.home,
            "command": self.command,
        }
        return f'exec "$(command -v python || command -v python3)" {_LAUNCHER} {shlex.quote(json.dumps(argument))}'

    @contextmanager
    def packed(self) -> Iterator[dict[str, Any]]:
        """The job's runtime environment, whose folders exist for the `with` block."""
        with tempfile.TemporaryDirectory(prefix="hpstudy-submit-") as scratch:
            folder = Path(scratch, "job")
            folder.mkdir()
            shutil.copyfile(_launcher.__file__, folder / _LAUNCHER)
            if self.file is not None:
                folder.joinpath(self.file[0]).write_text(self.file[1], encoding="utf-8")
            environment: dict[str, Any] = {
                "working_dir": str(folder),
                "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S)},
            }
            if self.install:
                # A copy without caches: the same source is the same upload, which Ray makes once.
                package = Path(scratch, "hpstudy")
                shutil.copytree(Path(hpstudy.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
                environment["py_modules"] = [str(package)]
            yield environment


def study_shipment(path: Path, *, quick: bool = False, home: str | None = None, install: bool = False) -> Shipment:
    """A study that is to begin, or to go on, from its file.

    Raises:
        StudyFileError: the file has mistakes.
        InputError: the file names data by a relative path, which no node has; or home is a relative path.
    """
    study = load_study(path, quick=quick)
    text = path.read_text(encoding="utf-8-sig")
    relative = _relative_paths(text, quick)
    if relative:
        raise InputError(
            f"{path}: data are read on the cluster's nodes and are not sent, so their paths must be absolute there, "
            f"but got {', '.join(relative)}"
        )
    return Shipment(
        study=study.name,
        sha256=study.sha256,
        command=("run", path.name, *(["--quick"] if quick else [])),
        file=(path.name, text),
        home=_absolute(home),
        install=install,
    )


def resume_shipment(study: str, *, home: str | None = None, install: bool = False) -> Shipment:
    """A study that goes on from the file in its record.

    Raises:
        InputError: home is a relative path.
    """
    return Shipment(study=study, sha256="", command=("resume", study), home=_absolute(home), install=install)


def _relative_paths(text: str, quick: bool) -> list[str]:
    """The data paths that a file gives relative to its own folder."""
    root = f"/{uuid.uuid4().hex}"
    spec = parse_study(text, source=f"{root}/study.yaml", quick=quick).spec
    varied = [value for key in ("data.path", "data.fonts") for value in spec.conditions.get(key, ())]
    paths: Sequence[Any] = [spec.data.path, spec.data.fonts, *varied]
    return [str(path).removeprefix(f"{root}/") for path in paths if str(path).startswith(root)]


def _absolute(home: str | None) -> str:
    if not home or home.startswith("/") or re.match(r"[a-z][a-z0-9+.-]*:/", home):
        return home or ""
    raise InputError(
        f"--home {home}: the home of a study on a cluster is an absolute path as its nodes have it, or an address "
        "such as s3://bucket/studies"
    )


def _requirements() -> list[str]:
    try:
        needs = metadata.requires("hpstudy") or []
    except metadata.PackageNotFoundError:  # a checkout on the path
        return []
    return [need for need in needs if "extra ==" not in need]
