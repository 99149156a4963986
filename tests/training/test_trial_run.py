"""A trial from first step to result, on a task of seconds."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from hpstudy.catalog import LOSSES
from hpstudy.exceptions import InputError
from hpstudy.losses import STATISTICS
from hpstudy.record import TRAJECTORY_COLUMNS, StudyFolder, TrialRequest, TrialResult
from hpstudy.spec import Study, TrialSettings, parse_study
from hpstudy.theory import adacos_fixed_scale, implied_posterior
from hpstudy.training import Objective, TrialData, TrialRun, load_trial_data

CPU = torch.device("cpu")
OBJECTIVE = Objective(name="val/tar_at_far_1e-2")
STUDY = """
version: 1
name: toy
question: Which?
data: {identities: {train: 24, val: 16, test: 20}}
model: {width: 4, embedding_dim: 32}
training: {epochs: 3, batch_size: 32, optimizer: {name: sgd, lr: 0.1}}
arms:
  cosface: {loss: cosface, search: {s: {log: [2, 64]}, m: {linear: [0, 0.6]}}}
  adacos: {loss: adacos}
  runaway: {loss: adacos}
  theirs: {loss: "tests_support_head:plain_softmax"}
search: {objective: val/tar_at_far_1e-2, early_stopping: {grace_epochs: 1}}
"""


@pytest.fixture(scope="module")
def study() -> Study:
    return parse_study(STUDY)


@pytest.fixture(scope="module")
def data(study: Study, characters: Path) -> TrialData:
    return load_trial_data(study.spec.data, characters, CPU)


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path, "toy")


def request(arm: str = "cosface", phase: str = "search", seed: int = 0, **params: float) -> TrialRequest:
    return TrialRequest(arm=arm, condition="default", phase=phase, search_seed=0, number=seed, seed=seed, params=params)


def make_run(study: Study, folder: StudyFolder, data: TrialData, asked: TrialRequest) -> TrialRun:
    settings = study.trial_settings(asked.arm, asked.condition, asked.params)
    return TrialRun(asked, TrialSettings.from_json(settings.to_json()), folder, data, CPU, OBJECTIVE)


def finish(run: TrialRun) -> TrialResult:
    while not (report := run.run_epoch()).ended:
        assert report.result.status == "pruned"
    return report.result


def test_a_confirm_trial_leaves_every_column_and_metric(study: Study, folder: StudyFolder, data: TrialData) -> None:
    asked = request(phase="confirm", seed=101, s=12.0, m=0.2)
    result = finish(make_run(study, folder, data, asked))
    assert folder.result(asked.trial_id) == result
    assert (result.status, result.epochs, result.steps, result.s, result.m) == ("completed", 3, 27, 12.0, 0.2)
    trajectory = folder.trajectory(asked.trial_id)
    assert list(trajectory) == list(TRAJECTORY_COLUMNS)
    assert list(trajectory["step"]) == list(range(1, 28))
    assert list(trajectory["epoch"]) == [1] * 9 + [2] * 9 + [3] * 9
    assert np.isfinite(trajectory.to_numpy()).all()
    assert (trajectory["s"] == 12.0).all()
    np.testing.assert_allclose(trajectory["implied_p_w"], implied_posterior(24, 12.0), rtol=1e-6)
    assert trajectory["theta_med"].between(0, np.pi).all()
    assert trajectory["loss"].iloc[-5:].mean() < trajectory["loss"].iloc[:5].mean()
    epochs = folder.epochs(asked.trial_id)
    assert list(epochs["step"]) == [9, 18, 27]
    assert epochs["val/tar_at_far_1e-2"].iloc[-1] == result.objective
    assert all(sum(counts) == 4 * 32 for counts in epochs["theta_target_histogram"])
    assert all(sum(counts) == 4 * 32 * 23 for counts in epochs["theta_nontarget_histogram"])
    names = set(result.groups)
    assert {f"{split}/tar_at_far_{far}" for split in ("val", "test") for far in ("1e-2", "1e-3")} <= names
    assert {
        "geometry/class_centre_posterior_min",
        "geometry/feature_centre_posterior_mean",
        "geometry/max_prototype_cosine",
        "geometry/margin_satisfied_fraction",
        "geometry/prototype_centre_angle_mean",
        "geometry/final_s",
        "cost/wall_s",
        "cost/cpu_s",
        "cost/gpu_s",
        "cost/peak_memory_mb",
        "param/s",
        "param/m",
    } <= names
    weights = torch.load(folder.keep_file(asked.trial_id, "weights.pt"), weights_only=True)
    assert weights["head"]["weight"].shape == (24, 32)


def test_a_confirm_trial_keeps_its_metrics_in_samples_of_the_test_identities(
    study: Study, folder: StudyFolder, data: TrialData
) -> None:
    points = {"cosface": {"s": 12.0, "m": 0.2}, "adacos": {}}
    results = {
        arm: finish(make_run(study, folder, data, request(arm, "confirm", 101, **point)))
        for arm, point in points.items()
    }
    kept = {arm: folder.evaluations(result.trial_id) for arm, result in results.items()}
    for arm, result in results.items():
        measured = {name: value for name, value in result.groups.items() if name.startswith("test/")}
        assert set(kept[arm].columns) == set(measured)
        assert len(kept[arm]) == 500
        for name, value in measured.items():
            spread = kept[arm][name].std()
            assert 0 < spread < 0.2
            assert kept[arm][name].mean() == pytest.approx(value, abs=spread)
    # The same identities are drawn for both, so that the easy ones are easy for both.
    assert np.corrcoef(*(kept[arm]["test/tar_at_far_1e-2"] for arm in kept))[0, 1] > 0.2
    assert folder.evaluations("never-run").empty


def test_a_search_trial_never_touches_the_test_identities(study: Study, folder: StudyFolder, data: TrialData) -> None:
    result = finish(make_run(study, folder, data, request(s=12.0, m=0.2)))
    assert not [name for name in result.groups if name.startswith("test/")]


def test_the_same_seed_gives_the_same_trial_and_another_one_another(
    study: Study, tmp_path: Path, data: TrialData
) -> None:
    runs = {}
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        folder = StudyFolder(tmp_path / name, "toy")
        finish(make_run(study, folder, data, request(seed=seed, s=12.0, m=0.2)))
        [trial_id] = folder.finished_trials()
        runs[name] = folder.trajectory(trial_id).drop(columns="samples_per_s")
    pd.testing.assert_frame_equal(runs["first"], runs["again"], check_exact=True)
    assert not np.allclose(runs["first"]["loss"], runs["other"]["loss"])


def test_arms_of_one_seed_start_from_the_same_weights_and_batches(
    study: Study, folder: StudyFolder, data: TrialData
) -> None:
    finish(make_run(study, folder, data, request(s=12.0, m=0.2)))
    finish(make_run(study, folder, data, request(arm="adacos")))
    first, second = (folder.trajectory(trial_id).iloc[0] for trial_id in folder.finished_trials())
    for column in ("theta_med", "theta_target_mean", "cos_nontarget_mean", "cos_nontarget_std"):
        assert first[column] == second[column]


@pytest.mark.parametrize("arm", ["cosface", "adacos"])
@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_trial_continued_from_its_checkpoint_gives_the_same_bits(
    study: Study, tmp_path: Path, data: TrialData, arm: str, killed_after: int
) -> None:
    params = {"s": 12.0, "m": 0.2} if arm == "cosface" else {}
    asked = request(arm=arm, phase="confirm", seed=101, **params)
    whole, cut = StudyFolder(tmp_path / "whole", "toy"), StudyFolder(tmp_path / "cut", "toy")
    expected = finish(make_run(study, whole, data, asked))
    killed = make_run(study, cut, data, asked)
    for _ in range(killed_after):
        killed.run_epoch()
    continued = make_run(study, cut, data, asked)
    assert continued.restored is not None
    assert continued.restored.epoch == killed_after
    result = finish(continued)
    assert result.attempt == 2
    timing = ["samples_per_s"]
    pd.testing.assert_frame_equal(
        whole.trajectory(asked.trial_id).drop(columns=timing),
        cut.trajectory(asked.trial_id).drop(columns=timing),
        check_exact=True,
    )
    measured = {name: value for name, value in result.groups.items() if not name.startswith("cost/")}
    assert measured == {name: value for name, value in expected.groups.items() if not name.startswith("cost/")}
    pd.testing.assert_frame_equal(whole.epochs(asked.trial_id), cut.epochs(asked.trial_id), check_exact=True)


def test_an_unreadable_checkpoint_costs_epochs_and_not_the_trial(
    study: Study, folder: StudyFolder, data: TrialData
) -> None:
    asked = request(s=12.0, m=0.2)
    killed = make_run(study, folder, data, asked)
    killed.run_epoch()
    [checkpoint] = (folder.path / "checkpoints").rglob("*.pt")
    checkpoint.write_bytes(b"torn")
    assert make_run(study, folder, data, asked).restored is None


def test_a_runaway_scale_ends_the_trial_as_diverged(folder: StudyFolder, data: TrialData) -> None:
    # For 24 random prototypes in the plane the dynamic rule has no fixed point: while training stands still, s runs.
    text = STUDY.replace("embedding_dim: 32", "embedding_dim: 2").replace("lr: 0.1", "lr: 1.0e-6")
    run = make_run(parse_study(text), folder, data, request(arm="runaway"))
    result = finish(run)
    assert result.status == "diverged"
    assert result.cause.startswith("scale s ran away to ")
    assert f"at step {result.diverged_step}, past 10000 (one step before: s = " in result.cause
    assert result.objective == OBJECTIVE.chance
    trajectory = folder.trajectory(request(arm="runaway").trial_id)
    assert trajectory["step"].iloc[-1] == result.diverged_step == result.steps
    assert trajectory["s"].iloc[-1] > 1e4
    assert (trajectory["s"].iloc[:-1] <= 1e4).all()


@pytest.mark.parametrize("loss", ["adacos_capped", "adacos_geometric", "adacos_ema"])
def test_a_stabilised_scale_does_not_run_away_where_the_published_one_does(
    folder: StudyFolder, data: TrialData, loss: str
) -> None:
    text = STUDY.replace("embedding_dim: 32", "embedding_dim: 2").replace("lr: 0.1", "lr: 1.0e-6")
    run = make_run(parse_study(text.replace("{loss: adacos}", f"{{loss: {loss}}}")), folder, data, request("runaway"))
    assert finish(run).status == "completed"
    assert folder.trajectory(request("runaway").trial_id)["s"].max() <= 2.0 * adacos_fixed_scale(24) * (1 + 1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_and_is_measured(folder: StudyFolder, data: TrialData, loss: str) -> None:
    text = STUDY.replace("epochs: 3", "epochs: 2").replace("lr: 0.1", "lr: 1.0e-2")
    run = make_run(parse_study(text.replace("{loss: adacos}", f"{{loss: {loss}}}")), folder, data, request("runaway"))
    result = finish(run)
    assert result.status == "completed", result.cause
    assert result.loss == loss
    assert math.isnan(result.s) == ("s" not in LOSSES[loss].parameters)
    assert 0.0 <= result.groups["geometry/margin_satisfied_fraction"] <= 1.0
    rows = folder.trajectory(request("runaway").trial_id)
    assert rows[list(STATISTICS)].notna().all(axis=None)


def test_regularisers_are_searched_and_change_the_loss(folder: StudyFolder, data: TrialData) -> None:
    text = STUDY.replace("{loss: adacos}", "{loss: arcface, s: 16, regularisers: {intra: {}, inter: {weight: 0.1}}}", 1)
    text = text.replace("{loss: adacos}", "{loss: arcface, s: 16, search: {m: {linear: [0, 1]}}}")
    plain = finish(make_run(parse_study(text), folder, data, request("runaway", m=0.5)))
    regularised = finish(make_run(parse_study(text), folder, data, request("adacos")))
    losses = [folder.trajectory(f"{arm}.default.search.s0.000")["loss"].iloc[0] for arm in ("runaway", "adacos")]
    assert (plain.status, regularised.status) == ("completed", "completed")
    assert losses[0] + 0.3 < losses[1] < losses[0] + 0.6  # θ_y/π near a half, less 0.1 times a half


def test_blocks_of_classes_train_to_the_same_numbers(folder: StudyFolder, data: TrialData) -> None:
    text = STUDY.replace("epochs: 3", "epochs: 2, classes_at_once: 7").replace("name: toy", "name: again")
    kept = finish(make_run(parse_study(STUDY.replace("epochs: 3", "epochs: 2")), folder, data, request(s=12.0, m=0.2)))
    rows = folder.trajectory(request().trial_id)
    again = StudyFolder(folder.path.parent, "again")
    blocks = finish(make_run(parse_study(text), again, data, request(s=12.0, m=0.2)))
    assert blocks.objective == pytest.approx(kept.objective, abs=0.02)
    columns = ["loss", *STATISTICS]
    assert np.allclose(again.trajectory(request().trial_id)[columns], rows[columns], rtol=1e-3, atol=1e-5)
    histograms = [each.epochs(request().trial_id)["theta_target_histogram"].iloc[0] for each in (folder, again)]
    assert sum(histograms[0]) == sum(histograms[1])
    assert np.abs(np.subtract(*histograms)).sum() <= 4


def test_a_non_finite_loss_ends_the_trial_as_diverged(folder: StudyFolder, data: TrialData) -> None:
    text = STUDY.replace("lr: 0.1", "lr: 1.0e+38")
    result = finish(make_run(parse_study(text), folder, data, request(s=12.0, m=0.2)))
    assert (result.status, result.epochs) == ("diverged", 1)
    assert f"became nan at step {result.diverged_step}" in result.cause
    assert result.objective == OBJECTIVE.chance
    assert len(folder.trajectory(request().trial_id)) == result.diverged_step


def test_a_continued_trial_first_reports_the_epoch_of_its_checkpoint(
    study: Study, folder: StudyFolder, data: TrialData
) -> None:
    asked = request(s=12.0, m=0.2)
    heard = make_run(study, folder, data, asked).run_epoch()
    again = make_run(study, folder, data, asked).restored
    assert again is not None
    assert (again.epoch, again.objective, again.ended) == (1, heard.objective, False)
    folder.finish_trial(again.result)
    assert folder.trials().loc[0, "status"] == "pruned"
    assert len(folder.trajectory(asked.trial_id)) == 9
    assert make_run(study, StudyFolder(folder.home, "other"), data, asked).restored is None


def test_a_users_own_head_trains_and_has_no_geometry(
    study: Study, folder: StudyFolder, data: TrialData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tests_support_head.py").write_text(
        """
import torch
from torch import nn
from hpstudy.losses import HeadOutput, STATISTICS

class Plain(nn.Module):
    def __init__(self, num_classes, embedding_dim):
        super().__init__()
        self.linear = nn.Linear(embedding_dim, num_classes)

    def forward(self, embeddings, labels):
        logits = self.linear(embeddings)
        statistics = {name: torch.zeros(()) for name in STATISTICS}
        loss = nn.functional.cross_entropy(logits, labels)
        return HeadOutput(
            loss=loss,
            statistics=statistics,
            cosine_blocks=lambda: [logits.detach()],
            compute_logits=lambda: logits,
        )

plain_softmax = Plain
"""
    )
    monkeypatch.syspath_prepend(tmp_path)
    result = finish(make_run(study, folder, data, request(arm="theirs")))
    assert result.status == "completed"
    assert result.loss == "tests_support_head:plain_softmax"
    assert not [name for name in result.groups if name.startswith("geometry/")]


def test_an_objective_that_the_pairs_cannot_resolve_is_refused(data: TrialData) -> None:
    with pytest.raises(InputError, match=r"a FAR of 1e-06 must be at least 1 / the number of impostor pairs, 1/17280"):
        Objective(name="val/tar_at_far_1e-6").check(data.val.labels)
    OBJECTIVE.check(data.val.labels)


def test_every_metric_among_several_objectives_is_measured_and_costs_need_none(data: TrialData) -> None:
    several = Objective.of(("val/tar_at_far_1e-2", "cost/cpu_s", "val/tar_at_far_5e-3"))
    assert several == Objective(name="val/tar_at_far_1e-2", others=("val/tar_at_far_5e-3",))
    assert several.fars(data.val.labels) == (1e-2, 5e-3, 1e-3, 1e-4)
    with pytest.raises(InputError, match=r"search\.objective val/tar_at_far_1e-06: a FAR of 1e-06"):
        Objective.of(("val/tar_at_far_1e-2", "val/tar_at_far_1e-06")).check(data.val.labels)


def test_rows_are_plain_text_safe(study: Study, folder: StudyFolder, data: TrialData) -> None:
    result = finish(make_run(study, folder, data, request(s=12.0, m=0.2)))
    assert TrialResult.from_row(json.loads(json.dumps(result.as_row()))) == result
