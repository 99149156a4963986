"""Heads over several ranks of a real gloo group give what one process gives. The ranks are `parallel_worker.py`."""

import itertools
import json
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpstudy.catalog import CRITERIA, LOSSES, SCALES
from hpstudy.exceptions import InputError
from hpstudy.losses import ClassShards, DataParallel

Case = dict[str, Any]
Result = dict[str, Any]
Ranks = list[Result]
Array = np.ndarray[Any, np.dtype[Any]]
Results = Callable[[str, str], Ranks]
"""Of a world and a case: what each of its ranks found."""

TIMEOUT_S = 200
WORKER = Path(__file__).with_name("parallel_worker.py")
PER_RANK = {"angular_triplet"}
"""Criteria that compare the samples of a batch, of which data parallelism leaves each rank its own."""
PER_CLASS = {"weight", "scale.bias"}
RTOL, ATOL = 1e-10, 1e-12


def _case(kind: str, name: str, worlds: Sequence[str] = ("two",), **build: Any) -> Case:
    default = {"num_classes": 7, "steps": 2, "eval": True, "prototypes": "normal"}
    return default | {"id": f"{kind}/{name}", "kind": kind, "worlds": worlds} | build


def _with_criterion(kind: str, name: str, suffix: str = "", **build: Any) -> Case:
    return _case(kind, f"normface+{name}{suffix}", loss="normface", regularisers={name: {"weight": 0.5}}, **build)


def _parts(kind: str, margin: str, scale: str) -> Case:
    return _case(kind, f"{margin}+{scale}", margin={"name": margin}, scale={"name": scale}, steps=4)


def _worlds(name: str) -> tuple[str, ...]:
    return _ALL_WORLDS if name in _ON_THREE else ("two",)


_ALL_WORLDS = ("two", "three", "pair")
_ON_THREE = (
    "adacos",
    "normface_learned",
    "softmax",
    "magface",
    "curricularface",
    "adaface",
    "sphereface2",
    "c_triplet",
)
_FOR_TWO_CLASSES = [name for name, info in LOSSES.items() if not info.scale.startswith("adacos")]
_ALL_CRITERIA = {name: {"weight": 0.5} for name in CRITERIA}
_BRIEF: Case = {"steps": 1, "eval": False}
_TIES: Case = {"loss": "c_triplet", "params": {"negatives": "hardest"}, "prototypes": "axes", **_BRIEF}
_DATA = [
    *(_case("data", name, _worlds(name), loss=name) for name in LOSSES),
    *(_parts("data", margin, scale) for margin, scale in itertools.product(("none", "additive_angle"), SCALES)),
    *(_with_criterion("data", name) for name in CRITERIA if name not in PER_RANK),
    _case("data", "adacos in blocks", loss="adacos", classes_at_once=3),
]
_SHARDS = [
    *(_case("shards", name, _worlds(name), loss=name) for name in LOSSES),
    *(_case("shards", f"{name} in blocks", loss=name, classes_at_once=3, **_BRIEF) for name in LOSSES),
    *(_case("shards", f"{name} of two classes", loss=name, num_classes=2, **_BRIEF) for name in _FOR_TWO_CLASSES),
    *(_parts("shards", "additive_angle", scale) for scale in SCALES),
    *(_with_criterion("shards", name) for name in CRITERIA),
    *(_with_criterion("shards", name, " in blocks", classes_at_once=1, **_BRIEF) for name in CRITERIA),
    _case("shards", "magface with all criteria", _ALL_WORLDS, loss="magface", regularisers=_ALL_CRITERIA),
    _case("shards", "softmax with all criteria", _ALL_WORLDS, loss="softmax", regularisers=_ALL_CRITERIA),
    _case("shards", "hardest that tie", ("two", "three"), **_TIES),
    _case("shards", "hardest that tie in blocks", ("two", "three"), classes_at_once=2, **_TIES),
]
CASES = {case["id"]: case for case in (*_DATA, *_SHARDS)}
RUNS = [(world, name) for name, case in CASES.items() for world in case["worlds"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the processes left."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "cases.json").write_text(json.dumps(list(CASES.values())))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    logs = [(folder / f"log{process}.txt").open("w+") for process in range(3)]
    processes = [
        subprocess.Popen(
            [sys.executable, WORKER, str(process), folder], stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        for process, log in enumerate(logs)
    ]
    deadline = time.monotonic() + TIMEOUT_S
    try:
        while time.monotonic() < deadline and not any(process.poll() for process in processes):
            if all(process.returncode == 0 for process in processes):
                break
            time.sleep(0.05)
    finally:
        for process, log in zip(processes, logs, strict=True):
            process.kill()
            process.wait()
            log.close()
    texts = [(folder / f"log{process}.txt").read_text() for process in range(3)]
    assert [process.returncode for process in processes] == [0, 0, 0], "\n".join(texts)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    ranks = {"one": 1, "two": 2, "three": 3, "pair": 2}
    found = {world: [load(folder / f"{world}{r}.pickle") for r in range(count)] for world, count in ranks.items()}

    def of(world: str, name: str) -> Ranks:
        results = [of_rank[name] for of_rank in found[world]]
        for rank, result in enumerate(results):
            assert "error" not in result, f"rank {rank} of {world}: {result['error']}"
        return results

    return of


def load(path: Path) -> Any:
    return pickle.loads(path.read_bytes())


def check(actual: Array, expected: Array, what: str) -> None:
    assert actual.shape == expected.shape, what
    if not np.allclose(actual, expected, rtol=RTOL, atol=ATOL):  # the assertion below is slow
        np.testing.assert_allclose(actual, expected, rtol=RTOL, atol=ATOL, err_msg=what)


def same(per_rank: Sequence[Array], what: str) -> Array:
    """What all ranks have, to the bit."""
    for each in per_rank[1:]:
        assert np.array_equal(each, per_rank[0]), f"{what} differs between ranks"
    return per_rank[0]


def whole(per_rank: Sequence[Array], name: str, *, kind: str) -> Array:
    """A tensor of a head, from all ranks: those with an entry a class are in slices where the classes are."""
    return np.concatenate(per_rank) if kind == "shards" and name in PER_CLASS else same(per_rank, name)


def steps(single: Result, ranks: Ranks) -> Iterator[tuple[Result, Ranks, str]]:
    """What one process found in a step, what the ranks did, and which it is."""
    for index, expected in enumerate(single["steps"]):
        yield expected, [rank["steps"][index] for rank in ranks], f" of step {index}"


@pytest.mark.parametrize(("world", "name"), RUNS, ids=[f"{name}-{world}" for world, name in RUNS])
class TestTraining:
    """Every tensor of a few steps of gradient descent on a backbone and a head."""

    def test_outputs(self, results: Results, world: str, name: str) -> None:
        """The loss is the mean over ranks; statistics are those of the global batch on every rank."""
        (single,), ranks, kind = results("one", name), results(world, name), CASES[name]["kind"]
        for expected, found, step in steps(single, ranks):
            assert np.isfinite(expected["loss"])
            if kind == "shards":
                same([each["loss"] for each in found], "loss")
            check(np.mean([each["loss"] for each in found], axis=0), expected["loss"], f"loss{step}")
            for key, value in expected["terms"].items():
                check(np.mean([each["terms"][key] for each in found], axis=0), value, key + step)
            for key, value in expected["statistics"].items():
                check(same([each["statistics"][key] for each in found], key), value, key + step)
        first, of_samples_or_classes = [rank["steps"][0] for rank in ranks], 0 if kind == "data" else 1
        for key in ("cosines", "logits"):
            blocks = [each[key] for each in first]
            check(np.concatenate(blocks, axis=of_samples_or_classes), single["steps"][0][key], key)

    def test_gradients(self, results: Results, world: str, name: str) -> None:
        """Those of embeddings are as many times too large as there are ranks, which the backbone then averages."""
        (single,), ranks = results("one", name), results(world, name)
        for expected, found, step in steps(single, ranks):
            for each in found:
                assert each["gradients"].keys() == expected["gradients"].keys()
            for key, value in expected["gradients"].items():
                gradient = whole([each["gradients"][key] for each in found], key, kind=CASES[name]["kind"])
                check(gradient, value, f"gradient of {key}{step}")
            gradient = np.concatenate([each["embedding_gradients"] for each in found])
            check(gradient / len(ranks), expected["embedding_gradients"], f"gradient of embeddings{step}")

    def test_state(self, results: Results, world: str, name: str) -> None:
        """Weights and whatever adapts after the last step; eval mode then moves nothing."""
        case, (single,), ranks = CASES[name], results("one", name), results(world, name)
        for key, value in single["state"].items():
            if not is_local(case, key):
                check(whole([rank["state"][key] for rank in ranks], key, kind=case["kind"]), value, key)
        if not case["eval"]:
            return
        for result in (single, *ranks):
            for key, value in result["state_after_eval"].items():
                assert is_local(case, key) or np.array_equal(value, result["state"][key]), f"{key} moves in eval mode"
        check(np.mean([rank["eval"]["loss"] for rank in ranks], axis=0), single["eval"]["loss"], "loss in eval mode")
        for key, value in single["eval"]["statistics"].items():
            check(same([rank["eval"]["statistics"][key] for rank in ranks], key), value, f"{key} in eval mode")


def is_local(case: Case, key: str) -> bool:
    """Whether it is documented as a mean over the rank's own samples or classes."""
    return key == "scale.value" and scale_of(case) in ("feature_norm", "softmax", "l2_softmax")


def scale_of(case: Case) -> str:
    return str(case["scale"]["name"] if "scale" in case else LOSSES[case["loss"]].scale)


@pytest.mark.parametrize(
    "scale", ["adacos_dynamic", "adacos_geometric", "adacos_ema", "learned", "learned_temperature"]
)
def test_scale_moves_in_these_steps(results: Results, scale: str) -> None:
    """Or `TestTraining` would prove nothing of it."""
    (single,) = results("one", f"data/additive_angle+{scale}")
    values = {step["statistics"]["s"].item() for step in single["steps"]}
    assert len(values) == len(single["steps"])


@pytest.mark.parametrize("world", ["two", "three", "pair"])
def test_slices_start_as_the_rows_of_the_whole(results: Results, world: str) -> None:
    (single,), ranks = results("one", "shards/adacos"), results(world, "shards/adacos")
    assert np.array_equal(np.concatenate([rank["initial"] for rank in ranks]), single["initial"])


def test_log_total_of_extremes(folder: Path) -> None:
    """What is infinite or no number stays so."""
    for rank in range(2):
        found, expected = load(folder / f"log_totals{rank}.pickle")
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_more_ranks_than_classes_are_refused(folder: Path) -> None:
    expected = "num_classes must be at least the number of ranks, 3, but got 2"
    assert [(folder / f"refusal{process}.txt").read_text() for process in range(3)] == [expected] * 3


@pytest.mark.parametrize("parallel", [DataParallel, ClassShards])
def test_several_ranks_need_a_process_group(parallel: Callable[[], object]) -> None:
    message = re.escape("needs torch.distributed.init_process_group to have been called; for one process leave")
    with pytest.raises(InputError, match=message):
        parallel()
