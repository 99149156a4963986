"""Trials on declared GPUs: which ones they get, how many at a time, and several for one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hpstudy.record import StudyFolder
from hpstudy.workflow import open_results

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(240)]

# A model that tells which GPUs its process has, and when it lived; the processes train on their CPU.
TELLING = """
import json, os, sys, time, uuid
from pathlib import Path
import torch
from torch import nn

HERE = Path(__file__).parent

class Telling(nn.Sequential):
    def __init__(self, channels, image_size, width, embedding_dim):
        super().__init__(nn.Flatten(), nn.Linear(channels * image_size**2, embedding_dim))
        self.path = HERE / f"seen-{uuid.uuid4().hex}.json"

    def forward(self, images):
        import ray
        if self.training and ray.is_initialized():
            now = time.time()
            try:
                seen = json.loads(self.path.read_text())
            except OSError:
                context = ray.get_runtime_context()
                ids = context.get_accelerator_ids().get("GPU", [])
                visible = os.environ.get("CUDA_VISIBLE_DEVICES")
                seen = {"gpus": ids, "visible": visible, "rows": len(images), "first": now, "process": os.getpid(),
                        "driver": int(os.environ["DRIVER"])}
            self.path.write_text(json.dumps(seen | {"last": now}))
            fail(len(images))
        return super().forward(images)

def fail(rows):
    # What the second rank of a trial runs into, if anything.
    fault = os.environ.get("FAULT")
    if fault is None or not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
        return
    if fault == "memory" and rows > 8:
        raise torch.OutOfMemoryError("no room")
    if fault == "death":
        try:
            (HERE / "died").touch(exist_ok=False)
        except FileExistsError:
            return
        os._exit(1)

def pretend():
    import torch
    torch.cuda.is_available = lambda: False
    import hpstudy.execution._crew, hpstudy.execution._host
    for module in (hpstudy.execution._crew, hpstudy.execution._host):
        module.pick_device = lambda gpus: torch.device("cpu")
"""
DRIVER = """
import os, sys
from hpstudy.execution._ray import prepare_environment
prepare_environment()
sys.path.insert(0, os.environ["PARTS"])
os.environ["DRIVER"] = str(os.getpid())  # it tries the user's parts before anything starts
import ray
from telling_model import pretend
ray.init(address="local", num_cpus=4, num_gpus=4, include_dashboard=False, log_to_driver=False,
         runtime_env={"worker_process_setup_hook": pretend})
from hpstudy.execution import run_study
from hpstudy.spec import load_study
from hpstudy.tracking import NullTracker
outcome = run_study(load_study(sys.argv[1]), sys.argv[2], NullTracker())
assert outcome.finished
ray.shutdown()
"""
STUDY = """
version: 1
name: small
question: Where?
data: {{identities: {{train: 12, val: 8, test: 8}}}}
model: {{name: "telling_model:Telling", embedding_dim: 16}}
training: {{epochs: 3, batch_size: 32, optimizer: {{name: sgd, lr: 0.05}}}}
arms: {{adacos: {{loss: adacos}}}}
search: {{objective: val/tar_at_far_1e-2, trials: 1}}
confirm: {{seeds: {trials}}}
resources: {{cpus: {cpus}, gpus: {gpus}, on_oom: accumulate}}
"""


def run(tmp_path: Path, *, gpus: float, cpus: float, trials: int) -> list[dict[str, Any]]:
    """Runs the study; gives what each process of each trial saw."""
    (tmp_path / "telling_model.py").write_text(TELLING)
    (tmp_path / "study.yaml").write_text(STUDY.format(gpus=gpus, cpus=cpus, trials=trials))
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, tmp_path / "study.yaml", tmp_path / "home"],
        env={
            **os.environ,
            "PARTS": str(tmp_path),
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        },
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = open_results("small", tmp_path / "home").trials
    assert list(results["status"]) == ["completed"] * trials, results["cause"].to_list()
    charged = results["cost/gpu_s"] / results["cost/wall_s"]
    assert charged.to_list() == pytest.approx([gpus] * trials)
    seen = [json.loads(path.read_text()) for path in tmp_path.glob("seen-*.json")]
    return [each for each in seen if each["driver"] != each["process"]]


def most_at_once(seen: list[dict[str, Any]], gpu: str) -> int:
    there = [each for each in seen if gpu in each["gpus"]]
    return max(sum(other["first"] <= each["first"] <= other["last"] for other in there) for each in there)


@pytest.mark.parametrize(("gpus", "most"), [(0.5, 2), (0.3, 3), (1, 1)])
def test_no_gpu_is_given_to_more_trials_than_fit(tmp_path: Path, gpus: float, most: int) -> None:
    seen = run(tmp_path, gpus=gpus, cpus=1, trials=6)
    assert len(seen) == 6
    for each in seen:
        assert len(each["gpus"]) == 1
        assert each["visible"] == each["gpus"][0]
        assert each["rows"] == 32
    for gpu in {each["gpus"][0] for each in seen}:
        assert most_at_once(seen, gpu) <= most


def test_a_trial_of_two_gpus(tmp_path: Path) -> None:
    seen = run(tmp_path, gpus=2, cpus=2, trials=3)
    assert len(seen) == 6, "two processes a trial"
    assert all(len(each["gpus"]) == 1 and each["visible"] == each["gpus"][0] for each in seen)
    assert {each["rows"] for each in seen} == {16}, "each takes half of a batch"
    for gpu in {each["gpus"][0] for each in seen}:
        assert most_at_once(seen, gpu) == 1
    folder = StudyFolder(tmp_path / "home", "small")
    for trial in folder.finished_trials():
        assert list(folder.trajectory(trial)["epoch"].unique()) == [1, 2, 3]


@pytest.mark.parametrize("fault", ["memory", "death"])
def test_one_process_of_a_trial_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setenv("FAULT", fault)
    seen = run(tmp_path, gpus=2, cpus=2, trials=1)
    assert len(seen) == 4, "both processes are started anew"
    (result,) = open_results("small", tmp_path / "home").trials.to_dict("records")
    if fault == "memory":
        assert result["cause"].startswith("in 4 micro-batches a step after running out of memory at ")
        assert {each["rows"] for each in seen} == {4, 16}
    else:
        assert (result["cause"], result["attempt"]) == ("", 2)


def test_a_study_without_gpus_sees_none(tmp_path: Path) -> None:
    seen = run(tmp_path, gpus=0, cpus=1, trials=2)
    assert [(each["gpus"], each["visible"]) for each in seen] == [([], "")] * 2
