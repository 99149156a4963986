"""What a plan counts, adds up and leaves alone."""

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from hpstudy.exceptions import InputError
from hpstudy.execution._forecast import AROUND_S, forecast, plan_arm
from hpstudy.execution._plan import plan_study
from hpstudy.execution._power_note import power_note
from hpstudy.execution._probe import Probe, TrialCost, _groups, probe_study
from hpstudy.spec import Study, parse_study

STUDY = """
version: 1
name: toy
question: Which?
data: {source: digits, identities: {train: 4, val: 3, test: 3}}
model: {width: 2, embedding_dim: 8}
training: {batch_size: 64, epochs: 4}
conditions: {model.embedding_dim: [8, 16]}
arms:
  tuned: {loss: cosface, search: {s: {log: [2, 64]}, m: {linear: [0.0, 0.4]}}}
  listed: {loss: cosface, m: 0.2, grid: {s: [8, 16, 32]}}
  adaptive: {loss: adacos}
search: {objective: val/tar_at_far_1e-2, trials: 6, seeds: [0, 1], early_stopping: {kind: none}}
confirm: {seeds: 5}
resources: {cpus: 1}
"""
COST = TrialCost(
    steps_per_epoch=10,
    timed_steps=10,
    setup_s=1.0,
    step_s=0.1,
    epoch_s=2.0,
    validation_s=0.5,
    geometry_s=3.0,
    test_s=4.0,
    weights_bytes=1000,
    checkpoint_bytes=2000,
    peak_memory_mb=100.0,
)


def study(text: str = STUDY, **changes: str) -> Study:
    for old, new in changes.items():
        text = text.replace(old, new)
    return parse_study(text)


def probe_of(planned: Study) -> Probe:
    keys = [(condition.id, arm.name) for condition in planned.conditions() for arm in planned.arms]
    return Probe(costs=dict.fromkeys(keys, COST), workers=2, gpus=0, start_s=5.0, data_bytes=10, waited=0.0, timed=2)


def test_trials_are_those_of_the_study() -> None:
    planned = study()
    arms = [plan_arm(planned, condition, arm, None) for condition in planned.conditions() for arm in planned.arms]
    totals = {phase: sum(getattr(arm, phase) for arm in arms) for phase in ("search", "grid", "confirm")}
    assert totals == planned.planned_trials() == {"search": 24, "grid": 12, "confirm": 50}
    assert all(arm.expected_epochs == arm.epochs == 4 * (arm.search + arm.grid + arm.confirm) for arm in arms)
    assert arms[0].trial_s is arms[0].steps is None


def test_seconds_add_up() -> None:
    planned = study()
    condition = planned.conditions()[0]
    tuned, listed, adaptive = (plan_arm(planned, condition, arm, COST) for arm in planned.arms)
    search_s, confirm_s = 1 + 4 * 2.0 + 3, 1 + 4 * 2.0 + 3 + 4
    assert (tuned.search_trial_s, tuned.trial_s) == (search_s, confirm_s)
    assert tuned.expected_s == tuned.most_s == 12 * search_s + 10 * confirm_s
    assert listed.expected_s == listed.most_s == 6 * search_s + 10 * confirm_s
    assert (adaptive.expected_s, adaptive.search_trial_s) == (5 * confirm_s, None)
    assert adaptive.steps == 5 * 4 * 10


def test_early_stopping_shortens_the_expectation_alone() -> None:
    planned = study(STUDY.replace("kind: none", "kind: asha, grace_epochs: 1"))
    plain, stopped = (plan_arm(each, each.conditions()[0], each.arms[0], COST) for each in (study(), planned))
    assert stopped.expected_epochs < plain.expected_epochs == stopped.epochs
    assert stopped.expected_s is not None
    assert stopped.most_s == plain.most_s
    assert stopped.expected_s < plain.expected_s  # type: ignore[operator]


def test_a_searched_number_of_epochs_counts_at_most_its_upper_end() -> None:
    planned = study(STUDY.replace("s: {log: [2, 64]}", "s: {log: [2, 64]}, training.epochs: {int: [4, 20]}"))
    tuned = plan_arm(planned, planned.conditions()[0], planned.arms[0], COST)
    assert tuned.epochs == 22 * 20
    assert tuned.expected_epochs < tuned.epochs


@pytest.mark.parametrize("slots", [1, 4, 1000])
def test_wall_time_is_bounded_by_the_places_and_by_the_longest_search(slots: int) -> None:
    planned = study()
    arms = [plan_arm(planned, condition, arm, COST) for condition in planned.conditions() for arm in planned.arms]
    found = forecast(planned, arms, probe_of(planned), slots)
    total = sum(arm.expected_s or 0.0 for arm in arms)
    # With a place for every trial: one round of searches, one of confirm trials.
    waiting = 12.0 + 16.0 if slots == 1000 else 0.0
    assert found.expected_wall_s == pytest.approx(AROUND_S + 5.0 + max(total / slots, waiting))
    assert found.expected_hours == pytest.approx(total / 3600)
    assert found.disk_bytes > found.weights_bytes > 50 * 1000


def test_gpu_hours_are_charged_at_the_share() -> None:
    planned = study(STUDY.replace("cpus: 1", "cpus: 2, gpus: 0.5"))
    arms = [plan_arm(planned, condition, arm, COST) for condition in planned.conditions() for arm in planned.arms]
    found = forecast(planned, arms, probe_of(planned), None)
    assert found.device == "GPU"
    assert found.expected_hours == pytest.approx(0.5 * sum(arm.expected_s or 0.0 for arm in arms) / 3600)
    assert found.expected_wall_s is found.most_wall_s is None


def test_arms_share_a_timed_network_unless_they_change_it() -> None:
    assert [len(members) for members in _groups(study())] == [3, 3]
    wider = STUDY.replace("s: {log: [2, 64]}", "s: {log: [2, 64]}, model.width: {int: [4, 8]}")
    assert [len(members) for members in _groups(study(wider))] == [1, 2, 1, 2]
    rated = STUDY.replace("s: {log: [2, 64]}", "s: {log: [2, 64]}, training.optimizer.lr: {log: [0.01, 0.3]}")
    assert [len(members) for members in _groups(study(rated))] == [3, 3]


def test_power_counts_every_comparison_of_a_tuned_with_an_adaptive_arm() -> None:
    note = power_note(study(), pd.DataFrame())
    assert (note.seeds, note.comparisons, note.measured) == (5, 2 * 1 * 2, False)
    assert [at.spread for at in note.at] == [0.005, 0.01, 0.02]
    assert note.effect is not None
    assert note.at[1].detectable == pytest.approx(0.01 * note.effect)
    assert (note.at[1].detectable_alone or 1.0) < (note.at[1].detectable or 0.0)


def test_one_seed_detects_nothing() -> None:
    note = power_note(study(STUDY.replace("confirm: {seeds: 5}", "confirm: {seeds: 1}")), pd.DataFrame())
    assert (note.effect, note.margin_effect) == (None, None)
    assert {at.detectable for at in note.at} == {None}


def test_without_a_probe_a_plan_needs_no_data(tmp_path: Path) -> None:
    missing = study(STUDY.replace("source: digits", "source: folder, path: /nowhere/at/all"))
    found = plan_study(missing, tmp_path / "home", probe=False, budget_s=1.0)
    assert found.forecast is None
    assert sum(found.trials.values()) == 86
    assert not list(tmp_path.iterdir())


def test_the_probe_times_every_arm_and_leaves_nothing(tmp_path: Path) -> None:
    planned = study()
    found = probe_study(planned, tmp_path / "home" / "datasets", workers=2, budget_s=1.0)
    assert found is not None
    assert set(found.costs) == {(f"embedding_dim-{dim}", arm) for dim in (8, 16) for arm in planned.spec.arms}
    assert (found.workers, found.timed) == (2, 2)
    assert all(cost.epoch_s > cost.validation_s > 0 for cost in found.costs.values())
    assert all(math.isfinite(cost.step_s) for cost in found.costs.values())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("batch_size: 64", "batch_size: 5000"), "condition embedding_dim-8: training.batch_size must be at most"),
        (("source: digits", "source: folder, path: /nowhere/at/all"), "condition embedding_dim-16: .*/nowhere/at/all"),
    ],
)
def test_data_that_do_not_suffice_are_refused_as_by_run(tmp_path: Path, changes: tuple[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        probe_study(study(STUDY.replace(*changes)), tmp_path, workers=1, budget_s=1.0)


def test_a_plan_says_what_run_would_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    crowded = study(STUDY.replace("cpus: 1", "cpus: 10000"))
    found = plan_study(crowded, tmp_path, probe=False, budget_s=1.0)
    assert found.slots == 0
    assert any("hpstudy run would refuse" in note for note in found.notes)


def test_on_a_cluster_only_the_study_file_limits_the_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    for line, slots in (("cpus: 1", None), ("cpus: 1, max_parallel: 7", 7)):
        planned = study(STUDY.replace("cpus: 1", line))
        assert plan_study(planned, tmp_path, probe=False, budget_s=1.0).slots == slots


def test_a_costlier_head_makes_its_arm_slower() -> None:
    planned = study()
    probe = probe_of(planned)
    slow = replace(COST, epoch_s=4.0)
    arms = [plan_arm(planned, planned.conditions()[0], planned.arms[0], cost) for cost in (COST, slow)]
    assert probe.workers == 2
    assert (arms[1].trial_s or 0) - (arms[0].trial_s or 0) == pytest.approx(8.0)


# Several objectives, and searched lengths


def test_searched_epochs_are_expected_at_their_mean_and_compared_with_their_like_only() -> None:
    asha = STUDY.replace("kind: none", "kind: asha, grace_epochs: 1")
    for text in (STUDY, asha):
        planned = study(text.replace("s: {log: [2, 64]}", "s: {log: [2, 64]}, training.epochs: {int: [2, 12]}"))
        tuned = plan_arm(planned, planned.conditions()[0], planned.arms[0], COST)
        assert tuned.expected_epochs == 22 * 7  # eleven lengths for six trials: hardly any two are alike
    alike = study(asha.replace("s: {log: [2, 64]}", "s: {log: [2, 64]}, training.epochs: {choice: [2, 12]}"))
    tuned = plan_arm(alike, alike.conditions()[0], alike.arms[0], COST)
    assert 10 * 7 + 12 * 1 < tuned.expected_epochs < 22 * 7


def test_with_several_objectives_every_trial_is_expected_to_train_all_epochs(tmp_path: Path) -> None:
    both = study(STUDY.replace("objective: val/tar_at_far_1e-2", "objective: [val/tar_at_far_1e-2, cost/cpu_s]"))
    found = plan_study(both, tmp_path, probe=False, budget_s=1.0)
    assert found.expectation == "every trial trains all of its epochs"
    assert any("no arm searches anything that changes cost/cpu_s by much" in note for note in found.notes)
    wider = STUDY.replace("val/tar_at_far_1e-2", "[val/tar_at_far_1e-2, cost/cpu_s]").replace(
        "s: {log: [2, 64]}", "s: {log: [2, 64]}, model.width: {int: [4, 8]}"
    )
    assert not plan_study(study(wider), tmp_path, probe=False, budget_s=1.0).notes


def test_every_metric_among_the_objectives_is_measured_by_the_probe(tmp_path: Path) -> None:
    several = STUDY.replace("val/tar_at_far_1e-2", "[val/tar_at_far_1e-2, cost/cpu_s, val/tar_at_far_1e-9]")
    with pytest.raises(InputError, match=r"search\.objective val/tar_at_far_1e-9: a FAR of 1e-09 must be at least"):
        probe_study(study(several), tmp_path, workers=1, budget_s=1.0)


def test_a_searched_batch_size_has_to_fit_the_data(tmp_path: Path) -> None:
    large = STUDY.replace("s: {log: [2, 64]}", "s: {log: [2, 64]}, training.batch_size: {int: [16, 5000]}")
    with pytest.raises(InputError, match=r"arm tuned: training\.batch_size must be at most"):
        probe_study(study(large), tmp_path, workers=1, budget_s=1.0)
