"""A trial on several ranks is that of one process."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hpstudy.record import StudyFolder
from hpstudy.training import OneRank

STUDY = """
version: 1
name: toy
question: Which?
data: {identities: {train: 12, val: 8, test: 8}, label_noise: 0.1}
model: {name: "plain_model:Plain", embedding_dim: 16}
training: {epochs: 3, batch_size: 32, grad_clip: 4, optimizer: {name: sgd, lr: 0.05}}
arms:
  adacos: {loss: adacos}
  arcface: {loss: arcface, s: 16, m: 0.3}
  adaface: {loss: adaface}
search: {objective: val/tar_at_far_1e-2}
"""
MODEL = """
from torch import nn

class Plain(nn.Sequential):
    def __init__(self, channels, image_size, width, embedding_dim):
        super().__init__(nn.Flatten(), nn.Linear(channels * image_size**2, 32), nn.Tanh(), nn.Linear(32, embedding_dim))
"""
WORKER = Path(__file__).with_name("ranks_worker.py")
Train = Callable[..., list[str]]


@pytest.fixture
def train(tmp_path: Path, characters: Path, ranks_worker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Trains a trial on so many ranks: one is this process, several are processes of their own."""
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "plain_model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(tmp_path)

    def trained(arm: str, home: str, *, ranks: int, epochs: int = 3, meeting: str = "first") -> list[str]:
        if ranks == 1:
            return [ranks_worker.train(tmp_path, arm, home, epochs, characters, OneRank(), 1)]
        words = [str(ranks), str(epochs), arm, home, meeting, str(characters)]
        processes = [
            subprocess.Popen(
                [sys.executable, WORKER, tmp_path, str(rank), *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(ranks)
        ]
        told = [process.communicate(timeout=100) for process in processes]
        assert not any(process.returncode for process in processes), told
        return [output.strip().splitlines()[-1] for output, _ in told]

    return trained


def folder_of(tmp_path: Path, arm: str, home: str) -> StudyFolder:
    return StudyFolder(tmp_path / f"home-{arm}-{home}", "toy")


def assert_same_trial(found: StudyFolder, wanted: StudyFolder) -> None:
    (trial,) = wanted.finished_trials()
    assert list(found.finished_trials()) == [trial]
    steps, expected = found.trajectory(trial), wanted.trajectory(trial)
    assert list(steps["step"]) == list(expected["step"])
    for name in expected.drop(columns="samples_per_s"):
        np.testing.assert_allclose(steps[name], expected[name], rtol=2e-3, atol=2e-4, err_msg=name)
    np.testing.assert_allclose(steps["loss"][:3], expected["loss"][:3], rtol=1e-5)
    epochs, summary = found.epochs(trial), wanted.epochs(trial)
    for name in ("theta_target_histogram", "theta_nontarget_histogram"):
        for counts, others in zip(epochs[name], summary[name], strict=True):
            assert sum(counts) == sum(others)
            assert np.abs(np.cumsum(counts) - np.cumsum(others)).max() <= 0.01 * sum(others)
    result, other = found.result(trial), wanted.result(trial)
    assert result is not None
    assert other is not None
    assert (result.status, result.epochs, result.steps) == (other.status, other.epochs, other.steps)
    assert result.objective == pytest.approx(other.objective, abs=0.02)
    assert result.groups["geometry/train_loss"] == pytest.approx(other.groups["geometry/train_loss"], rel=1e-2)


@pytest.mark.parametrize("arm", ["adacos", "arcface", "adaface"])
def test_two_ranks_give_the_numbers_of_one_process(train: Train, tmp_path: Path, arm: str) -> None:
    assert train(arm, "two", ranks=2) == ["True completed 3"] * 2
    train(arm, "one", ranks=1)
    two, one = (folder_of(tmp_path, arm, home) for home in ("two", "one"))
    assert_same_trial(two, one)
    (trial,) = two.finished_trials()
    result = two.result(trial)
    assert result is not None
    assert result.attempt == 1
    assert result.groups["cost/gpu_s"] == pytest.approx(2 * result.groups["cost/wall_s"])


def test_ranks_agree_that_a_trial_diverged(train: Train, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.replace("lr: 0.05", "lr: 1.0e+30").replace("grad_clip: 4, ", ""))
    told = train("arcface", "two", ranks=2)
    assert told == ["True diverged 1"] * 2
    train("arcface", "one", ranks=1)
    results = []
    for home in ("two", "one"):
        folder = folder_of(tmp_path, "arcface", home)
        results.append(folder.result(folder.finished_trials()[0]))
    assert results[0].diverged_step == results[1].diverged_step > 0


def test_a_trial_goes_on_with_another_number_of_ranks(train: Train, tmp_path: Path) -> None:
    train("adacos", "mixed", ranks=2, epochs=1)
    train("adacos", "mixed", ranks=1, epochs=1)
    assert train("adacos", "mixed", ranks=2, meeting="second") == ["True completed 3"] * 2
    train("adacos", "one", ranks=1)
    assert_same_trial(folder_of(tmp_path, "adacos", "mixed"), folder_of(tmp_path, "adacos", "one"))
