"""A trial on a real GPU."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from hpstudy.exceptions import InputError
from hpstudy.record import StudyFolder, TrialRequest, TrialResult
from hpstudy.spec import parse_study
from hpstudy.training import MicroBatches, Objective, TrialRun, load_trial_data, make_ready, peak_memory_mb, pick_device
from hpstudy.training._devices import Precision

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

STUDY = """
version: 1
name: toy
question: Which?
data: {{identities: {{train: 24, val: 16, test: 20}}}}
model: {{width: {width}, embedding_dim: 32}}
training: {{epochs: 3, batch_size: {batch}, precision: {precision}, optimizer: {{name: sgd, lr: {lr}}}}}
arms: {{adacos: {{loss: adacos}}}}
search: {{objective: val/tar_at_far_1e-2}}
"""
OBJECTIVE = Objective(name="val/tar_at_far_1e-2")
REQUEST = TrialRequest(arm="adacos", condition="default", phase="search", search_seed=0, number=0, seed=0, params={})

MakeRun = Callable[..., tuple[TrialRun, StudyFolder]]


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[MakeRun]:
    def made(
        home: str,
        *,
        gpus: float = 1.0,
        precision: str = "auto",
        batch: int = 32,
        width: int = 4,
        lr: float = 0.1,
        stepping: MicroBatches | None = None,
    ) -> tuple[TrialRun, StudyFolder]:
        study = parse_study(STUDY.format(precision=precision, batch=batch, width=width, lr=lr))
        device = pick_device(gpus)
        make_ready(device, gpus)
        data = load_trial_data(study.spec.data, tmp_path / "datasets", device)
        folder = StudyFolder(tmp_path / home, "toy")
        settings = study.trial_settings("adacos", "default", {})
        return TrialRun(REQUEST, settings, folder, data, device, OBJECTIVE, stepping=stepping, gpus=gpus), folder

    yield made
    make_ready(torch.device("cuda", 0), 1.0)


def finish(run: TrialRun) -> TrialResult:
    while not (report := run.run_epoch()).ended:
        pass
    return report.result


def test_a_trial_completes_in_bfloat16_and_says_so(make_run: MakeRun) -> None:
    run, folder = make_run("home", gpus=0.5)
    result = finish(run)
    has_it = torch.cuda.is_bf16_supported(including_emulation=False)
    assert result.status == "completed"
    assert result.device == f"{torch.cuda.get_device_name(0)}, {'bfloat16' if has_it else 'float32'}"
    assert np.isfinite(folder.trajectory(result.trial_id).to_numpy()).all()
    assert result.groups["cost/gpu_s"] == pytest.approx(0.5 * result.groups["cost/wall_s"])
    assert 0 < result.groups["cost/peak_memory_mb"] < 4096


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_a_resumed_trial_gives_the_numbers_of_one_that_was_not_cut_off(make_run: MakeRun, precision: str) -> None:
    whole, folder = make_run("whole", precision=precision)
    expected = finish(whole)
    cut_off, parts = make_run("parts", precision=precision)
    cut_off.run_epoch()
    resumed, _ = make_run("parts", precision=precision)
    result = finish(resumed)
    assert result.objective == pytest.approx(expected.objective, abs=0.05)
    wanted, found = (each.trajectory(expected.trial_id) for each in (folder, parts))
    for name in ("loss", "s", "theta_med", "log_b_avg"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=2e-2, atol=2e-2, err_msg=name)


def test_float32_agrees_with_the_cpu(make_run: MakeRun) -> None:
    # A small rate and the first epoch: rounding is not yet amplified.
    results = {}
    for gpus in (0.0, 1.0):
        run, folder = make_run(f"on{gpus:g}", gpus=gpus, precision="float32", lr=1e-3)
        results[gpus] = folder.trajectory(finish(run).trial_id).query("epoch == 1")
    for name in ("loss", "s", "theta_med", "log_b_avg", "cos_nontarget_std", "grad_norm"):
        np.testing.assert_allclose(results[1.0][name], results[0.0][name], rtol=5e-3, atol=2e-3, err_msg=name)


def test_a_share_of_the_gpu_is_a_share_of_its_memory(make_run: MakeRun) -> None:
    # The share is set to lie between what the trial needs at once and in parts.
    needs = {}
    for name, stepping in (("whole", None), ("parts", MicroBatches(parts=4, peak_mb=1.0))):
        run, _ = make_run(name, precision="float32", batch=192, width=64, stepping=stepping)
        run.run_epoch()
        most = torch.cuda.max_memory_allocated if name == "whole" else torch.cuda.max_memory_reserved
        needs[name] = most() / torch.cuda.get_device_properties(0).total_memory
        del run
    assert needs["parts"] < 0.8 * needs["whole"]
    share = (needs["parts"] + needs["whole"]) / 2

    def runs_out() -> str:
        run, _ = make_run("short", gpus=share, precision="float32", batch=192, width=64)
        try:
            run.run_epoch()
        except torch.OutOfMemoryError as error:
            return str(error)
        return ""

    assert "out of memory" in runs_out()
    peak = peak_memory_mb(torch.device("cuda", 0))
    assert 0 < peak <= share * torch.cuda.get_device_properties(0).total_memory / 2**20
    patient, _ = make_run(
        "short", gpus=share, precision="float32", batch=192, width=64, stepping=MicroBatches(parts=4, peak_mb=peak)
    )
    result = finish(patient)
    assert result.status == "completed"
    assert result.cause == f"in 4 micro-batches a step after running out of memory at {peak:.0f} MiB"


def test_bfloat16_is_refused_where_it_would_be_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: including_emulation)
    device = torch.device("cuda", 0)
    with pytest.raises(InputError, match=r"training.precision is bfloat16, which .* does not have"):
        Precision.of("bfloat16", device)
    assert str(Precision.of("auto", device)) == "float32"
