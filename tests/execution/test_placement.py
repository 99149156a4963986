"""Trials on declared GPUs: which ones they get, how many at a time, and several for one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hpstudy.record import StudyFolder
from hpstudy.results import open_results

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(600)]

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
        self.study = json.loads((HERE / "study.json").read_text())
        self.path = HERE / f"seen-{self.study['name']}-{uuid.uuid4().hex}.json"

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
            fail(len(images), self.study["fault"])
        return super().forward(images)

def fail(rows, fault):
    # What the second rank of a trial runs into, if anything.
    if not fault or not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
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
import json, os, sys
from pathlib import Path
from hpstudy.execution._ray import prepare_environment
prepare_environment()
parts = Path(os.environ["PARTS"])
sys.path.insert(0, str(parts))
os.environ["DRIVER"] = str(os.getpid())  # it tries the user's parts before anything starts
studies = json.loads((parts / "studies.json").read_text())
(parts / "study.json").write_text(json.dumps(studies[0]))
import ray
from telling_model import pretend
ray.init(address="local", num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False,
         runtime_env={"worker_process_setup_hook": pretend})
from hpstudy.execution import run_study
from hpstudy.spec import load_study
from hpstudy.tracking import NullTracker
for study in studies:
    (parts / "study.json").write_text(json.dumps(study))
    assert run_study(load_study(parts / f"{study['name']}.yaml"), parts / "home", NullTracker()).finished
ray.shutdown()
"""
STUDY = """
version: 1
name: {name}
question: Where?
data: {{identities: {{train: 12, val: 8, test: 8}}}}
model: {{name: "telling_model:Telling", embedding_dim: 16}}
training: {{epochs: 3, batch_size: 32, optimizer: {{name: sgd, lr: 0.05}}}}
arms: {{adacos: {{loss: adacos}}}}
search: {{objective: val/tar_at_far_1e-2, trials: 1}}
confirm: {{seeds: {trials}}}
resources: {{cpus: {cpus}, gpus: {gpus}, on_oom: accumulate}}
"""
STUDIES = {
    "third": {"gpus": 0.3, "cpus": 1, "trials": 4, "fault": ""},
    "whole": {"gpus": 1, "cpus": 1, "trials": 2, "fault": ""},
    "two": {"gpus": 2, "cpus": 2, "trials": 2, "fault": "death"},
    "memory": {"gpus": 2, "cpus": 2, "trials": 1, "fault": "memory"},
    "none": {"gpus": 0, "cpus": 1, "trials": 2, "fault": ""},
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All studies, run one after the other on a Ray of two declared GPUs."""
    folder = tmp_path_factory.mktemp("placement")
    (folder / "telling_model.py").write_text(TELLING)
    for name, values in STUDIES.items():
        (folder / f"{name}.yaml").write_text(STUDY.format(name=name, **values))
    (folder / "studies.json").write_text(json.dumps([{"name": name, **values} for name, values in STUDIES.items()]))
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        env={
            **os.environ,
            "PARTS": str(folder),
            "PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def seen_by(parts: Path, name: str) -> list[dict[str, Any]]:
    """What each process of each trial saw, once its trials were found complete and rightly charged."""
    results = open_results(name, parts / "home").trials
    trials, gpus = STUDIES[name]["trials"], STUDIES[name]["gpus"]
    assert list(results["status"]) == ["completed"] * int(str(trials)), results["cause"].to_list()
    charged = results["cost/gpu_s"] / results["cost/wall_s"]
    assert charged.to_list() == pytest.approx([gpus] * len(results))
    seen = [json.loads(path.read_text()) for path in parts.glob(f"seen-{name}-*.json")]
    return [each for each in seen if each["driver"] != each["process"]]


def most_at_once(seen: list[dict[str, Any]], gpu: str) -> int:
    there = [each for each in seen if gpu in each["gpus"]]
    return max(sum(other["first"] <= each["first"] <= other["last"] for other in there) for each in there)


@pytest.mark.parametrize(("name", "most"), [("third", 3), ("whole", 1)])
def test_no_gpu_is_given_to_more_trials_than_fit(parts: Path, name: str, most: int) -> None:
    seen = seen_by(parts, name)
    assert len(seen) == STUDIES[name]["trials"]
    for each in seen:
        assert len(each["gpus"]) == 1
        assert each["visible"] == each["gpus"][0]
        assert each["rows"] == 32
    for gpu in {each["gpus"][0] for each in seen}:
        assert most_at_once(seen, gpu) <= most


def test_trials_of_two_gpus_one_of_which_loses_a_process(parts: Path) -> None:
    seen = seen_by(parts, "two")
    assert len(seen) == 3 * 2, "two processes an attempt"
    assert all(len(each["gpus"]) == 1 and each["visible"] == each["gpus"][0] for each in seen)
    assert {each["rows"] for each in seen} == {16}, "each takes half of a batch"
    for gpu in {each["gpus"][0] for each in seen}:
        assert most_at_once(seen, gpu) == 1
    folder = StudyFolder(parts / "home", "two")
    for trial in folder.finished_trials():
        assert list(folder.trajectory(trial)["epoch"].unique()) == [1, 2, 3]
    trials = folder.trials()
    assert sorted(trials["attempt"]) == [1, 2]
    assert set(trials["cause"]) == {""}


def test_one_process_of_a_trial_runs_out_of_memory(parts: Path) -> None:
    seen = seen_by(parts, "memory")
    assert len(seen) == 4, "both processes are started anew"
    (result,) = open_results("memory", parts / "home").trials.to_dict("records")
    assert result["cause"].startswith("in 4 micro-batches a step after running out of memory at ")
    assert {each["rows"] for each in seen} == {4, 16}


def test_a_study_without_gpus_sees_none(parts: Path) -> None:
    seen = seen_by(parts, "none")
    assert [(each["gpus"], each["visible"]) for each in seen] == [([], "")] * 2
