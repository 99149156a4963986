"""Trials that run out of memory or take too long, in one study on a real Ray."""

import os
from pathlib import Path
from types import ModuleType

import pytest

from hpstudy.execution import _trainable
from hpstudy.execution._order import TrialOrder
from hpstudy.record import StudyFolder, TrialRequest
from hpstudy.spec import parse_study

pytestmark = pytest.mark.timeout(600)

PARTS = """
import time
import torch
from torch import nn
from hpstudy.losses import build_head

class Hungry(nn.Sequential):
    # Has room for as many images as its width.
    def __init__(self, channels, image_size, width, embedding_dim):
        super().__init__(nn.Flatten(), nn.Linear(channels * image_size**2, embedding_dim))
        self.most = width

    def forward(self, images):
        if self.training and len(images) > self.most:
            raise torch.OutOfMemoryError(f"no room for {len(images)} images")
        return super().forward(images)

def stuck(num_classes, embedding_dim, s, generator=None):
    # Hangs in the second epoch where s is large.
    head = build_head("normface", num_classes=num_classes, embedding_dim=embedding_dim, s=s)
    whole, calls = head.forward, iter(range(10**9))
    def forward(*given):
        if s > 20 and next(calls) == 5:
            time.sleep(3600)
        return whole(*given)
    head.forward = forward
    return head
"""
STUDY = """
version: 1
name: failing
question: Does it fit?
data: {identities: {train: 24, val: 16, test: 20}}
model: {name: "their_parts:Hungry", embedding_dim: 16}
training: {epochs: 2, batch_size: 64, optimizer: {name: sgd, lr: 0.05}}
conditions: {model.width: [64, 32, 8]}
arms:
  adacos: {loss: adacos}
  theirs: {loss: "their_parts:stuck", grid: {s: [8, 32]}}
search: {objective: val/tar_at_far_1e-2}
confirm: {seeds: 1}
resources: {max_parallel: 2, max_trial_minutes: 0.2, on_oom: accumulate}
"""
IN_PARTS = r"in 4 micro-batches a step after running out of memory at \d+ MiB"
PEAK = r"out of memory at a peak of \d+ MiB: lower training.batch_size .*no room for "


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the user's model and loss, which all processes find."""
    (tmp_path / "their_parts.py").write_text(PARTS)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.end_to_end
def test_what_fails_is_told_with_its_cause_and_the_study_goes_on(small: ModuleType, home: Path, parts: Path) -> None:
    file = parts / "failing.yaml"
    file.write_text(STUDY)
    small.hpstudy("run", str(file), "--home", str(home), "--no-report")
    folder = StudyFolder(home, "failing")
    trials = folder.trials()
    fitting, accumulated, hopeless = (trials[trials["condition"] == f"width-{width}"] for width in (64, 32, 8))
    assert [len(each) for each in (fitting, accumulated, hopeless)] == [4, 4, 3]

    for there, cause in (fitting, "^$"), (accumulated, f"^{IN_PARTS}$"):
        stuck = there["trial_id"].str.endswith(".grid.s0.001")
        assert stuck.sum() == 1
        assert set(there.loc[~stuck, "status"]) == {"completed"}
        assert set(there.loc[~stuck, "epochs"]) == {2}
        assert there.loc[~stuck, "cause"].str.match(cause).all(), there["cause"].to_list()
        [late] = there[stuck].to_dict("records")
        assert late["status"] == "failed"
        assert "more than resources.max_trial_minutes: 0.2" in late["cause"]
        assert late["epochs"] == 1, "what it had trained before it hung is kept"
        assert len(folder.trajectory(late["trial_id"])) == 4
    assert set(hopeless["status"]) == {"failed"}
    assert set(hopeless["epochs"]) == {0}
    assert hopeless["cause"].str.match(rf"^{PEAK}16 images.*; {IN_PARTS}$").all(), hopeless["cause"].to_list()


class Quiet:
    """A heart that nobody listens to."""

    def __init__(self, pulse: str, trial_id: str) -> None: ...
    def begin(self) -> None: ...
    def beat(self) -> None: ...
    def spent(self, seconds: float) -> None: ...


def test_memory_is_not_tried_again_unless_the_study_says_so(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trainable, "Heart", Quiet)
    study = parse_study(STUDY.replace(", on_oom: accumulate", ""))
    [*_, small] = study.conditions()
    request = TrialRequest(
        arm="adacos", condition=small.id, phase="confirm", search_seed=0, number=1, seed=1, params={}
    )  # fmt: skip
    folder = StudyFolder(parts / "home", study.name)
    folder.begin(study.resolved_yaml)
    order = TrialOrder(
        request=request,
        settings=study.trial_settings(request.arm, request.condition, {}),
        home=str(folder.home),
        study=study.name,
        objective=study.spec.search.primary,
        cpus=1,
        gpus=0,
        on_oom=study.spec.resources.on_oom,
    )
    reply = _trainable.TrialWorker(order.to_config()).step()
    result = folder.result(request.trial_id)
    assert reply["done"]
    assert result is not None
    assert (result.status, result.epochs) == ("failed", 0)
    assert "out of memory at a peak of" in result.cause
    assert result.cause.endswith("(no room for 64 images)")
