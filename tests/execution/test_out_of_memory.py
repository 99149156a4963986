"""A study whose network runs out of memory beyond a batch size, with a real Ray."""

import os
from pathlib import Path
from types import ModuleType

import pytest

from hpstudy.workflow import open_results

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(600)]

MODEL = """
import torch
from torch import nn

class Hungry(nn.Sequential):
    def __init__(self, channels, image_size, width, embedding_dim):
        super().__init__(nn.Flatten(), nn.Linear(channels * image_size**2, embedding_dim))
        self.most = width

    def forward(self, images):
        if self.training and len(images) > self.most:
            raise torch.OutOfMemoryError(f"no room for {len(images)} images")
        return super().forward(images)
"""
STUDY = """
version: 1
name: small
question: Does it fit?
data: {{identities: {{train: 24, val: 16, test: 20}}}}
model: {{name: "hungry_model:Hungry", embedding_dim: 16, width: 32}}
training: {{epochs: 2, batch_size: 64, optimizer: {{name: sgd, lr: 0.05}}}}
conditions: {{training.batch_size: {batches}}}
arms: {{adacos: {{loss: adacos}}}}
search: {{objective: val/tar_at_far_1e-2, trials: 1}}
confirm: {{seeds: 2}}
resources: {{max_parallel: 1, on_oom: {on_oom}}}
"""
PEAK = r"out of memory at a peak of \d+ MiB: lower training.batch_size .*no room for "
ENDS = {
    ("accumulate", 64): ("completed", r"in 4 micro-batches a step after running out of memory at \d+ MiB"),
    ("accumulate", 160): ("failed", rf"{PEAK}40 images.*; in 4 micro-"),
    ("fail", 64): ("failed", rf"{PEAK}64 images"),
}


@pytest.mark.parametrize(("on_oom", "batches", "code"), [("accumulate", [64, 160], 0), ("fail", [64], 1)])
def test_a_trial_that_runs_out_of_memory(
    small: ModuleType,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    on_oom: str,
    batches: list[int],
    code: int,
) -> None:
    (tmp_path / "hungry_model.py").write_text(MODEL)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    file = tmp_path / "small.yaml"
    file.write_text(STUDY.format(on_oom=on_oom, batches=batches))
    small.hpstudy("run", str(file), "--home", str(home), "--no-report", expect=code)
    trials = open_results("small", home).trials
    assert len(trials) == 2 * len(batches)
    for batch in batches:
        status, cause = ENDS[on_oom, batch]
        rows = trials[trials["condition"].str.endswith(f"{batch}")]
        assert list(rows["status"]) == [status] * 2
        assert rows["cause"].str.match(f"^{cause}").all(), rows["cause"].to_list()
        assert list(rows["epochs"]) == [2 if status == "completed" else 0] * 2
