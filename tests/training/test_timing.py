"""Timing a trial from a few of its steps."""

import time
from pathlib import Path

import pytest
import torch

from hpstudy.exceptions import InputError
from hpstudy.spec import TrialSettings, parse_study
from hpstudy.training import Objective, TrialTiming, load_trial_data, time_trial
from hpstudy.training import _timing as timing

STUDY = """
version: 1
name: toy
question: Which?
data: {{source: digits, identities: {{train: 4, val: 3, test: 3}}}}
model: {{width: 2, embedding_dim: 8}}
training: {{batch_size: {batch}, epochs: 2}}
arms: {{a: {{loss: adacos}}, b: {{loss: cosface, s: 16, m: 0.2}}}}
search: {{objective: val/tar_at_far_1e-2}}
"""


def settings_of(batch: int) -> list[TrialSettings]:
    study = parse_study(STUDY.format(batch=batch))
    return [study.trial_settings(arm.name, "default", {}) for arm in study.arms]


def timed(settings: list[TrialSettings], scratch: Path, **limits: float) -> TrialTiming:
    data = load_trial_data(settings[0].data, scratch / "datasets", torch.device("cpu"))
    objective = Objective(name="val/tar_at_far_1e-2")
    return time_trial(
        settings[0], settings, data, torch.device("cpu"), objective, scratch, budget_s=limits.get("budget_s", 2.0)
    )


def test_an_epoch_that_fits_is_timed_as_it_is(tmp_path: Path) -> None:
    found = timed(settings_of(64), tmp_path, budget_s=60.0)
    assert found.timed_steps == found.steps_per_epoch == 720 // 64
    assert 0 < found.step_s < found.epoch_s < 5
    assert 0 < found.validation_s < found.epoch_s
    assert len(found.heads_s) == 2
    assert min(found.heads_s) > 0
    assert found.checkpoint_bytes > found.weights_bytes > 8 * 4 * 4
    assert -0.01 < found.waited < 1


def test_of_a_long_epoch_a_few_steps_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_MOST_STEPS", 8)
    begun = time.perf_counter()
    found = timed(settings_of(4), tmp_path, budget_s=10.0)
    assert time.perf_counter() - begun < 60
    assert (found.timed_steps, found.steps_per_epoch) == (8, 180)
    assert found.epoch_s > 100 * found.step_s


def test_of_many_held_out_images_some_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_trial_data(settings_of(64)[0].data, tmp_path / "datasets", torch.device("cpu"))
    monkeypatch.setattr(timing, "_HELD_OUT", 300)
    objective = Objective(name="val/tar_at_far_1e-2")
    assert len(timing._held_out(data, objective).val.labels) == 300
    assert len(data.val.labels) > 500
    assert timing._held_out(data, Objective(name="val/tar_at_far_1e-6")) is data


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"batch_size 2000 is more than the 7\d\d training samples"):
        timed(settings_of(2000), tmp_path)
