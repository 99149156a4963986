"""For all tests: no time limit on hypothesis examples (machines differ), a home of their own, studies to compare."""

import hashlib
import importlib.util
import json
import math
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from hpstudy.analysis import ComparedStudy

settings.register_profile("hpstudy", deadline=None, derandomize=True)
settings.load_profile("hpstudy")


def pytest_configure() -> None:
    """A shell or nohup that starts the tests has them, and all that they start, ignore Ctrl-C or a hang-up."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The end-to-end tests first: they take the longest, and what runs beside them is short."""
    items.sort(key=lambda item: item.get_closest_marker("end_to_end") is None)


OF_ONE_STUDY = ("test_end_to_end.py", "test_object_store.py")
"""Files that compare with the same whole study: one process has them all, so that it is run once."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, to which process tests go."""
    from xdist.scheduler import LoadFileScheduling

    class LoadFilesOfOneStudy(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "one study" if file.endswith(OF_ONE_STUDY) else file

    return LoadFilesOfOneStudy(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No test reads or writes the home, the tracking server or the cluster of whoever runs the tests.

    Modules that a test wrote into its folder and imported are forgotten: another test may write one of that name.
    """
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HPSTUDY_HOME", str(tmp_path / "hpstudy-runs"))
    yield
    if any(entry.startswith(str(tmp_path)) for entry in sys.path):
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
                del sys.modules[name]


@pytest.fixture(scope="session")
def characters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of data sets that has the characters in the built-in faces: to draw them takes seconds."""
    from hpstudy.data import load_dataset
    from hpstudy.spec import DataSpec

    folder = tmp_path_factory.mktemp("characters")
    load_dataset(DataSpec(), folder)
    return folder


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Gives a home what every study begins with, made once: MLflow's empty database, whose tables take seconds."""
    from hpstudy.tracking._database import create_database

    template = tmp_path_factory.mktemp("template") / "mlflow.db"
    create_database(f"sqlite:///{template}")

    def furnish(home: Path) -> Path:
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(template, home)
        return home

    return furnish


@pytest.fixture(scope="session")
def objects() -> ModuleType:
    """`object_store.py`: an S3 server and a line to it that can be cut."""
    return _loaded("object_store.py")


@pytest.fixture(scope="session")
def s3(objects: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An S3 server of these tests' own."""
    with objects.serving(tmp_path_factory.mktemp("s3") / "log") as store:
        yield store


@pytest.fixture
def bucket(s3: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The address of an empty bucket that this process, and those that it starts, can use."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return f"s3://{s3.make_bucket()}"


@pytest.fixture(params=["folder", "s3"])
def any_home(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A home of each kind."""
    return str(tmp_path / "home") if request.param == "folder" else f"{request.getfixturevalue('bucket')}/home"


@pytest.fixture(scope="session")
def true() -> ModuleType:
    """`true_geometry.py`: trials whose geometry is computed from true prototypes."""
    return _loaded("analysis/audit/true_geometry.py")


@pytest.fixture(scope="session")
def planted() -> ModuleType:
    """`scale_survey.py`: surveys of scales with a planted threshold."""
    return _loaded("analysis/audit/scale_survey.py")


@pytest.fixture(scope="session")
def audited(true: ModuleType) -> ModuleType:
    """`audited_survey.py`: surveys of margins, of both bounds, of stability and of the plane."""
    return _loaded("analysis/audit/audited_survey.py")


@pytest.fixture(scope="session")
def clusters() -> ModuleType:
    """`local_cluster.py`: Ray clusters of this machine."""
    return _loaded("local_cluster.py")


@pytest.fixture(scope="session")
def small() -> ModuleType:
    """`small_study.py`: the installed program on a small study."""
    return _loaded("execution/small_study.py")


@pytest.fixture(scope="session")
def ranks_worker() -> ModuleType:
    """`ranks_worker.py`: a trial as one of its ranks trains it."""
    return _loaded("training/ranks_worker.py")


def _loaded(place: str) -> ModuleType:
    """A module of the tests; they are not packages, so it is loaded from its path."""
    path = Path(__file__).parent / place
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make_compared() -> Callable[..., "ComparedStudy"]:
    """A factory of studies whose truth is known, as a comparison reads them.

    Arguments: `label`, `worth` (arm → true score on the test identities; a study has these arms), `conditions` (id →
    (classes, dimensions)), `seeds`, `spread` (of an arm's score at a seed, beside what all arms share), `noise` (equal
    texts give equal scores to arms that nothing is searched for), `margin`, `far`, `data`, `changes` (of the study
    file), `missing` (planned trials that have not run), `question`, `source` (revision), `sha256`, `trials`.
    """
    return _compared_study


def _compared_study(
    label: str,
    worth: Mapping[str, float],
    *,
    conditions: Mapping[str, tuple[int, int]] | None = None,
    seeds: int = 3,
    spread: float = 0.01,
    noise: str | None = None,
    margin: float = 0.01,
    far: str = "1e-3",
    data: str = "77ab",
    changes: Mapping[str, Any] | None = None,
    missing: int = 0,
    question: str = "Does tuning pay?",
    source: str = "revision 13b27d06e33b",
    sha256: str = "",
    trials: int = 4,
) -> "ComparedStudy":
    import pandas as pd

    from hpstudy.analysis import ComparedStudy, Place, StudyFacts

    changes, places = dict(changes or {}), dict(conditions or {"default": (300, 256)})
    losses = {"cosface": "cosface", "arcface": "arcface", "fixed": "adacos_fixed", "dynamic": "adacos"}
    rows: list[dict[str, Any]] = []

    def add(arm: str, condition: str, phase: str, number: int, score: float, s: float) -> None:
        loss = losses.get(arm, "cosface")
        searched = not loss.startswith("adacos")
        point = {"param/s": s, "param/m": 0.3} if searched and phase != "confirm" else {}
        row = {
            "study": label, "trial_id": f"{arm}.{condition}.{phase}.s0.{number:03d}", "arm": arm, "loss": loss,
            "condition": condition, "phase": phase, "search_seed": 0, "number": number, "seed": number,
            "s": s if searched else math.nan, "m": 0.3 if searched else math.nan, "status": "completed", "cause": "",
            "diverged_step": -1, "epochs": 12, "objective": score, "num_classes": places[condition][0],
            "embedding_dim": places[condition][1], "geometry/final_s": s if searched else 9.0, "cost/wall_s": 60.0,
            "cost/cpu_s": 60.0, "cost/gpu_s": 0.0, "device": "CPU (1 thread, x86_64)", **point,
        }  # fmt: skip
        rows.append(row | ({f"test/tar_at_far_{far}": score} if phase == "confirm" else {}))

    for condition in places:
        for arm, true in worth.items():
            searched = not losses.get(arm, "cosface").startswith("adacos")
            own = _draws(label if searched or noise is None else noise, condition, arm, seeds + trials)
            shared = _draws(noise or label, condition, "every arm", seeds)
            for i in range(trials if searched else 0):
                add(
                    arm, condition, "search", i, true - 0.02 * (trials - 1 - i) + spread * own[seeds + i], 8.0 * (i + 1)
                )
            for i in range(seeds):
                score = true + 0.01 * shared[i] + spread * own[i]
                add(arm, condition, "confirm", 101 + i, score, 8.0 * trials)
    settings = {
        "version": 1,
        "name": label,
        "data": {"source": "glyphs", "identities": {"train": 300, "val": 200, "test": 400}},
        "model": {"name": "convnet", "width": 8, "embedding_dim": 256},
        "training": {"epochs": 12, "batch_size": 128, "optimizer": {"name": "sgd", "lr": 0.1}},
        "conditions": {},
        "arms": {arm: {"loss": losses.get(arm, "cosface")} for arm in worth},
        "search": {"objective": f"val/tar_at_far_{far}", "sampler": "random", "trials": trials, "seeds": [0]},
        "confirm": {"seeds": seeds, "equivalence_margin": margin},
    } | changes
    trained = json.dumps([settings["data"], settings["model"], settings["training"]])
    return ComparedStudy(
        label=label,
        facts=StudyFacts(
            name=label,
            question=question,
            objective=f"val/tar_at_far_{far}",
            equivalence_margin=margin,
            planned={"confirm": len(rows) + missing},
            arms=list(worth),
            sampler="random",
        ),
        trials=pd.DataFrame(rows),
        settings=settings,
        places={
            condition: Place(data_hash=data, judged=json.dumps(settings["data"]), setting=f"{trained} {condition}")
            for condition in places
        },
        sha256=sha256 or hashlib.sha256(label.encode()).hexdigest(),
        sessions=[{"started": "2026-01-01 00:00:00 UTC", "source": source, "packages": "torch 2.13.0"}],
    )


def _draws(*parts: str | int) -> Any:
    import numpy as np

    seed = int.from_bytes(hashlib.sha256("/".join(map(str, parts[:-1])).encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=int(parts[-1]))
