"""The benchmark script still runs, and the memory it shows is what the heads promise."""

import csv
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from hpstudy.losses import build_head

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
N, K = 32, 4

Peak = Callable[[Callable[[], object]], float]


@pytest.fixture
def tensors_mib(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peak]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from peak_memory import tensors_mib

    yield tensors_mib
    del sys.modules["peak_memory"]


def peak_bytes(tensors_mib: Peak, num_classes: int, classes_at_once: int | None) -> float:
    head = build_head("arcface", num_classes=num_classes, embedding_dim=K, classes_at_once=classes_at_once)
    embeddings, labels = torch.randn(N, K, requires_grad=True), torch.arange(N)
    return tensors_mib(lambda: head(embeddings, labels).loss.backward()) * 2**20


def test_chunked_mode_holds_the_prototypes_gradient_and_nothing_else_that_grows(tensors_mib: Peak) -> None:
    beyond = [peak_bytes(tensors_mib, c, 512) - 4 * c * K for c in (1024, 8192)]
    assert beyond[1] == pytest.approx(beyond[0], abs=4096)
    assert beyond[0] < 8 * 4 * N * 512


def test_kept_mode_holds_one_buffer_of_all_cosines(tensors_mib: Peak) -> None:
    block = 2**19  # elements of one block on the CPU
    num_classes = 8 * block // N
    beyond = peak_bytes(tensors_mib, num_classes, None) - 4 * num_classes * K
    assert 4 * N * num_classes < beyond < 4 * N * num_classes + 8 * 4 * block


def test_large_heads_script_runs(tmp_path: Path) -> None:
    sizes = "--classes 200 --growth 200 --dim 16 --samples 8 --width 64 --rounds 1 --memory-runs 1 --losses arcface"
    command = [sys.executable, "-W", "ignore", BENCHMARKS / "large_heads.py", *sizes.split(), "--output", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    tables = (tmp_path / "large_heads.md").read_text(encoding="utf-8")
    assert tables.count("| 200 | arcface | hpstudy, chunked |") == 2
    with (tmp_path / "large_heads.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["variant"] for row in rows} == {"kept", "chunked", "pml", "plain"}
    assert all(float(row["value"]) >= 0.0 for row in rows)


def test_gpu_trials_script_runs(tmp_path: Path) -> None:
    sizes = "--device cpu --classes 8 --width 4 --dim 8 --batch 16 --steps 2 --epochs 1 --most 2"
    command = [sys.executable, "-W", "ignore", BENCHMARKS / "gpu_trials.py", *sizes.split(), "--output", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    table = (tmp_path / "gpu_trials.md").read_text(encoding="utf-8")
    assert "| 1 | 1 | auto | channels_last |" in table
    assert "| 2 | 0.5 | auto | channels_last |" in table
    assert "| 1 | 1 | float32 | contiguous |" in table
