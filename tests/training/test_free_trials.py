"""Trials on points that move freely, and what every trial measures of its training set."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from hpstudy.record import StudyFolder, TrialRequest, TrialResult
from hpstudy.spec import Study, parse_study
from hpstudy.training import Objective, TrialRun, load_trial_data

CPU = torch.device("cpu")
OBJECTIVE = Objective(name="val/tar_at_far_1e-2")
STUDY = """
version: 1
name: toy
question: Where do they go?
data: {source: free, identities: {train: 6, val: 0, test: 0}, samples: 5, imbalance: 7, label_noise: 0.2}
model: {name: free, embedding_dim: 4}
training: {epochs: 3, batch_size: 16, steps_per_epoch: 5, optimizer: {name: sgd, lr: 0.1}}
arms: {a: {loss: cosface, s: 9, m: 0.3}}
confirm: {seeds: 0}
"""
DIGITS = "data: {source: digits, identities: {train: 6, val: 0, test: 4}}\nmodel: {width: 2, embedding_dim: 4}\n"

Run = Callable[..., "Ran"]


class Ran:
    """A trial that ran, and where its record is."""

    def __init__(self, study: Study, home: Path, seed: int = 0, epochs: int = 99, survey: bool = True) -> None:
        self.folder = StudyFolder(home, "toy")
        self.data = load_trial_data(study.spec.data, home / "datasets", CPU)
        request = TrialRequest(
            arm="a", condition="default", phase="grid", search_seed=seed, number=0, seed=seed, params={},
            of_survey=survey,
        )  # fmt: skip
        self.id = request.trial_id
        settings = study.trial_settings("a", "default", {})
        self.run = TrialRun(request, settings, self.folder, self.data, CPU, OBJECTIVE)
        self.reports = []
        while not self.reports or (not self.reports[-1].ended and len(self.reports) < epochs):
            self.reports.append(self.run.run_epoch())

    @property
    def result(self) -> TrialResult:
        return self.reports[-1].result

    @property
    def geometry(self) -> dict[str, float]:
        groups = self.result.groups
        return {name.removeprefix("geometry/"): groups[name] for name in groups if name.startswith("geometry/")}

    @property
    def points(self) -> np.ndarray[Any, Any]:
        return self.run._model.points.detach().double().numpy()

    @property
    def prototypes(self) -> np.ndarray[Any, Any]:
        return self.run._head.weight.detach().double().numpy()


@pytest.fixture
def ran(tmp_path: Path) -> Run:
    """Runs the study with pieces of its file replaced."""

    def run(*changes: tuple[str, str], home: str = "home", **given: Any) -> Ran:
        text = STUDY
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return Ran(parse_study(text), tmp_path / home, **given)

    return run


def unit(vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def log_sum_exp(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    top = values.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(values - top).sum(axis=1))


LOSSES = {
    "cosface": ("loss: cosface, s: 9, m: 0.3", lambda cos: cos - 0.3, 9.0, 0.3),
    "arcface": ("loss: arcface, s: 6, m: 0.4", lambda cos: np.cos(np.arccos(cos) + 0.4), 6.0, 0.4),
    "normface": ("loss: normface, s: 2", lambda cos: cos, 2.0, math.nan),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_geometry_is_that_of_the_points_and_prototypes_that_training_left(ran: Run, loss: str) -> None:
    """Everything computed anew in float64, in loops over classes where the program has blocks."""
    words, target, s, m = LOSSES[loss]
    trial = ran(("loss: cosface, s: 9, m: 0.3", words))
    labels, shown = trial.data.train_labels.numpy(), trial.data.shown.numpy()
    assert np.bincount(labels).tolist() != [5] * 6, "some labels are wrong"
    assert len(shown) > 30, "some samples are shown more often"
    w, x = unit(trial.prototypes), unit(trial.points)
    cos, rows = x @ w.T, np.arange(len(x))
    own = cos[rows, labels]
    logits = s * cos
    logits[rows, labels] = s * target(own)
    losses = log_sum_exp(logits) - logits[rows, labels]
    others = np.where(np.arange(6) == labels[:, None], -np.inf, cos)
    class_means = [losses[labels == c].mean() for c in range(6)]
    centres = unit(np.stack([x[labels == c].sum(0) for c in range(6)]))
    off = ~np.eye(6, dtype=bool)

    def log_odds(vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        towards = s * (vectors @ w.T)
        return np.diag(towards) - log_sum_exp(towards[off].reshape(6, 5))

    expected = {
        "train_loss": losses[shown].mean(),
        "train_loss_balanced": np.mean(class_means),
        "train_accuracy": (own > others.max(1)).mean(),
        "margin_satisfied_fraction": (target(own) >= others.max(1)).mean(),
        "max_prototype_cosine": (w @ w.T)[off].max(),
        "max_centre_cosine": (centres @ centres.T)[off].max(),
        "merged_pairs": (np.triu(w @ w.T, 1) > 0.99).sum(),
        "class_centre_log_odds_min": log_odds(w).min(),
        "feature_centre_log_odds_min": log_odds(centres).min(),
        "class_centre_posterior_min": 1 / (1 + np.exp(-log_odds(w).min())),
        "class_centre_posterior_mean": (1 / (1 + np.exp(-log_odds(w)))).mean(),
        "feature_centre_posterior_min": 1 / (1 + np.exp(-log_odds(centres).min())),
        "feature_centre_posterior_mean": (1 / (1 + np.exp(-log_odds(centres)))).mean(),
        "prototype_centre_angle_mean": np.arccos((centres * w).sum(1)).mean(),
        "final_s": s,
    }
    assert set(trial.geometry) == set(expected)
    for name, value in expected.items():
        assert trial.geometry[name] == pytest.approx(value, rel=2e-5, abs=2e-6), name
    assert abs(expected["train_loss"] - expected["train_loss_balanced"]) > 1e-3, "the two are told apart"
    assert (trial.result.s, trial.result.m) == (s, m) or math.isnan(m)


def test_balanced_and_shown_means_are_one_where_every_sample_is_shown_once(ran: Run) -> None:
    found = ran((", imbalance: 7, label_noise: 0.2", "")).geometry
    assert found["train_loss"] == pytest.approx(found["train_loss_balanced"], rel=1e-12)


def test_a_long_tail_trains_no_longer_than_balanced_data(ran: Run) -> None:
    passes, samples = (", steps_per_epoch: 5", ""), ("batch_size: 16", "batch_size: 7")
    tailed = ran(passes, samples)
    assert len(tailed.data.shown) > len(tailed.data.train_labels) == 30
    plain = ran(passes, samples, (", imbalance: 7, label_noise: 0.2", ""), home="plain")
    for trial in (tailed, plain):
        assert trial.folder.epochs(trial.id)["step"].iloc[-1] == 3 * (30 // 7)


def test_losses_that_are_no_softmax_have_no_floor_to_be_held_against(ran: Run) -> None:
    found = ran(("loss: cosface, s: 9, m: 0.3", "loss: p2sgrad")).geometry
    assert not {"train_loss", "train_loss_balanced"} & set(found)
    assert {"train_accuracy", "max_centre_cosine", "merged_pairs"} <= set(found)


def test_where_a_class_has_no_sample_left_there_is_no_mean_of_all_classes(
    ran: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = ran((", imbalance: 7, label_noise: 0.2", ""), epochs=2)
    labels = trial.data.train_labels
    monkeypatch.setattr(trial.data, "train_labels", torch.where(labels == 2, 3, labels))
    trial.reports.append(trial.run.run_epoch())
    assert trial.result.status == "completed"
    assert math.isnan(trial.geometry["train_loss_balanced"])
    assert math.isfinite(trial.geometry["train_loss"])


def test_nothing_held_out_leaves_no_objective_and_is_no_failure(ran: Run) -> None:
    trial = ran()
    assert trial.result.status == "completed"
    assert math.isnan(trial.result.objective)
    assert [math.isnan(report.objective) for report in trial.reports] == [True] * 3
    assert not [name for name in trial.result.groups if name.startswith(("val/", "test/"))]
    assert not [name for name in trial.folder.epochs(trial.id) if name.startswith("val/")]
    kept = trial.folder.trials()
    assert kept.loc[0, "status"] == "completed"
    assert math.isnan(kept.loc[0, "objective"])


def test_a_divergence_has_no_objective_either(ran: Run) -> None:
    trial = ran(("lr: 0.1", "lr: 1.0e+38"))
    assert trial.result.status == "diverged"
    assert math.isnan(trial.result.objective)


def test_what_was_done_to_the_training_set_is_recorded(ran: Run) -> None:
    assert ran().result.groups.items() >= {("data/label_noise", 0.2), ("data/imbalance", 7.0)}
    plain = ran((", imbalance: 7, label_noise: 0.2", ""), home="plain").result.groups
    assert plain.items() >= {("data/label_noise", 0.0), ("data/imbalance", 1.0)}


def test_every_epoch_has_the_accuracy_of_its_last_batches(ran: Run) -> None:
    trial = ran(("epochs: 3", "epochs: 4"), ("label_noise: 0.2", "label_noise: 0"))
    epochs = trial.folder.epochs(trial.id)
    assert list(epochs["step"]) == [5, 10, 15, 20]
    assert epochs["train_accuracy"].between(0.5, 1.0).all()
    assert (epochs["train_accuracy"] * 4 * 16).round(6).mod(1).eq(0).all(), "a share of four batches of sixteen"
    assert all(sum(counts) == 4 * 16 for counts in epochs["theta_target_histogram"])


def test_accuracy_of_an_epoch_is_that_of_the_batches_before_each_step(ran: Run) -> None:
    """With a learning rate of nothing the points stay, so that the batches' accuracy can be counted afterwards."""
    from hpstudy.data import batches

    trial = ran(("lr: 0.1", "lr: 1.0e-30"), ("epochs: 3", "epochs: 2"))
    cos = unit(trial.points) @ unit(trial.prototypes).T
    labels = trial.data.train_labels.numpy()
    right = cos.argmax(1) == labels
    plan = batches(len(trial.data.shown), 16, 2, 0, steps=5)[-4:]
    rows = trial.data.shown[plan].flatten().numpy()
    assert trial.folder.epochs(trial.id)["train_accuracy"].iloc[1] == pytest.approx(right[rows].mean())


def test_planes_are_kept_of_two_dimensions_only(ran: Run) -> None:
    assert ran().folder.plane(ran().id).empty
    trial = ran(("embedding_dim: 4", "embedding_dim: 2"), home="plane")
    plane = trial.folder.plane(trial.id)
    assert list(plane) == ["x", "y", "label", "prototype"]
    samples, prototypes = plane[~plane["prototype"]], plane[plane["prototype"]]
    assert (len(samples), len(prototypes)) == (30, 6)
    np.testing.assert_allclose(samples[["x", "y"]], trial.points, rtol=1e-6)
    np.testing.assert_allclose(prototypes[["x", "y"]], trial.prototypes, rtol=1e-6)
    assert samples["label"].to_list() == trial.data.train_labels.tolist()
    assert prototypes["label"].to_list() == list(range(6))


def test_of_many_samples_some_are_kept_in_the_plane(ran: Run) -> None:
    trial = ran(("embedding_dim: 4", "embedding_dim: 2"), ("samples: 5", "samples: 2000"), ("epochs: 3", "epochs: 1"))
    samples = trial.folder.plane(trial.id).query("not prototype")
    assert len(samples) == 12_000 / 3
    assert samples["label"].value_counts().between(600, 740).all(), "of every class, but for the wrong labels"


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_trial_continued_from_its_checkpoint_gives_the_same_bits(ran: Run, killed_after: int) -> None:
    whole = ran(home="whole")
    ran(home="cut", epochs=killed_after)
    continued = ran(home="cut")
    assert continued.run.restored is not None
    assert continued.run.restored.epoch == killed_after
    assert continued.result.attempt == 2
    assert np.array_equal(continued.points, whole.points)
    timing = ["samples_per_s"]
    pd.testing.assert_frame_equal(
        whole.folder.trajectory(whole.id).drop(columns=timing),
        continued.folder.trajectory(whole.id).drop(columns=timing),
        check_exact=True,
    )
    pd.testing.assert_frame_equal(whole.folder.epochs(whole.id), continued.folder.epochs(whole.id), check_exact=True)
    assert continued.geometry == whole.geometry


def test_seeds_are_trials_of_their_own_on_the_same_wrong_labels(ran: Run) -> None:
    first, again, other = ran(home="first"), ran(home="again"), ran(home="other", seed=1)
    assert np.array_equal(first.points, again.points)
    assert not np.allclose(first.points, other.points)
    assert torch.equal(first.data.train_labels, other.data.train_labels)


def test_images_of_a_survey_are_judged_on_the_test_identities_alone(ran: Run) -> None:
    old = STUDY[STUDY.index("data:") : STUDY.index("training:")]
    trial = ran((old, DIGITS))
    assert trial.result.groups["test/tar_at_far_1e-2"] > 1e-2
    assert math.isnan(trial.result.objective)
    assert {"geometry/train_loss", "geometry/train_accuracy"} <= set(trial.result.groups)
    assert trial.folder.evaluations(trial.id).empty, "nothing is compared by resampled identities"
    assert not trial.folder.keep_file(trial.id, "weights.pt").exists()
    assert trial.result.steps == 15, "three epochs of five steps, whatever a pass has"
    unjudged = ran((old, DIGITS), home="search", survey=False)
    assert not [name for name in unjudged.result.groups if name.startswith("test/")]
