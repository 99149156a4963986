"""What free features come to, against values that were worked out beforehand: whole trials, as a study runs them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pandas as pd
import pytest
import torch

from hpstudy.record import StudyFolder, TrialRequest
from hpstudy.spec import parse_study
from hpstudy.theory import adacos_collapse_limit, margin_upper_bound, normface_loss_bound
from hpstudy.training import Objective, TrialRun, load_trial_data

STUDY = """
version: 1
name: free
question: What does the geometry allow?
data: {{source: free, identities: {{train: {classes}, val: 0, test: 0}}, samples: {samples}, imbalance: {imbalance}}}
model: {{name: free, embedding_dim: {dim}}}
training:
  epochs: 2
  steps_per_epoch: {steps}
  batch_size: {batch}
  optimizer: {{name: adamw, lr: 0.02, weight_decay: 0}}
  schedule: cosine
arms: {{a: {{{loss}}}}}
confirm: {{seeds: 0}}
"""


@dataclass(frozen=True)
class Trained:
    """A trial that ended."""

    geometry: dict[str, float]
    steps: pd.DataFrame


Train = Callable[..., Trained]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Runs a trial, each once: loss, C, K, and how it is shown."""

    @cache
    def run(
        loss: str, classes: int, dim: int, *, steps: int = 400, samples: int = 4, imbalance: float = 1.0
    ) -> Trained:
        text = STUDY.format(
            loss=loss, classes=classes, dim=dim, steps=steps, samples=samples, imbalance=imbalance,
            batch=classes * 4,
        )  # fmt: skip
        study, home = parse_study(text), tmp_path_factory.mktemp("home")
        folder = StudyFolder(home, "free")
        request = TrialRequest(
            arm="a", condition="default", phase="grid", search_seed=0, number=0, seed=0, params={}, of_survey=True
        )
        data = load_trial_data(study.spec.data, home, torch.device("cpu"))
        settings = study.trial_settings("a", "default", {})
        trial = TrialRun(request, settings, folder, data, torch.device("cpu"), Objective(name="val/tar_at_far_1e-3"))
        while not (report := trial.run_epoch()).ended:
            pass
        assert report.result.status == "completed", report.result.cause
        found = {name.removeprefix("geometry/"): value for name, value in report.result.groups.items()}
        return Trained(found, folder.trajectory(request.trial_id))

    return run


# CosFace's bound on m (eq. 7): eight classes in the plane, of which m* = 1 − cos 45° = 0.292893


@pytest.mark.parametrize(
    ("loss", "below", "above"), [("cosface", 0.28, 0.30), ("arcface", 0.75, 0.80)], ids=["cosine", "angle"]
)
def test_the_margin_is_met_up_to_the_bound_and_by_none_beyond(
    train: Train, loss: str, below: float, above: float
) -> None:
    bound = margin_upper_bound(8, 2) if loss == "cosface" else math.pi / 4
    assert below < bound < above
    met, missed = (train(f"loss: {loss}, s: 30, m: {m}", 8, 2, samples=8).geometry for m in (below, above))
    assert (met["margin_satisfied_fraction"], missed["margin_satisfied_fraction"]) == (1.0, 0.0)
    assert (met["train_accuracy"], missed["train_accuracy"]) == (1.0, 1.0)
    for found in (met, missed):
        assert found["max_prototype_cosine"] == pytest.approx(math.sqrt(0.5), abs=2e-3), "the regular octagon"
        assert found["prototype_centre_angle_mean"] < 0.02


def test_prototypes_merge_far_beyond_the_bound_and_not_just_beyond(train: Train) -> None:
    near, far = (train(f"loss: cosface, s: 30, m: {m}", 8, 2, samples=8).geometry for m in (0.35, 0.5))
    assert (near["merged_pairs"], near["margin_satisfied_fraction"], near["train_accuracy"]) == (0.0, 0.0, 1.0)
    assert far["merged_pairs"] >= 1
    assert far["max_prototype_cosine"] > 0.99
    # Those that come together leave room for others.
    assert 0.0 < far["margin_satisfied_fraction"] < 1.0


# NormFace's floor (Proposition 2): ten classes in sixteen dimensions, which form a simplex


@pytest.mark.parametrize(("s", "floor"), [(1, 1.376935), (2, 0.680726), (4, 0.100472)])
def test_balanced_loss_comes_to_the_floor_and_not_below(train: Train, s: int, floor: float) -> None:
    found = train(f"loss: normface, s: {s}", 10, 16).geometry
    assert normface_loss_bound(10, s) == pytest.approx(floor, abs=5e-7)
    assert found["train_loss"] == pytest.approx(floor, abs=1e-6)
    assert found["train_loss_balanced"] == pytest.approx(found["train_loss"], rel=1e-9)
    assert found["train_loss"] >= normface_loss_bound(10, s) - 1e-6
    assert found["max_prototype_cosine"] == pytest.approx(-1 / 9, abs=1e-3)
    assert found["class_centre_log_odds_min"] == pytest.approx(s * 10 / 9 - math.log(9), abs=1e-2)


@pytest.mark.parametrize("s", [1, 4])
def test_a_long_tail_is_below_the_floor_as_shown_but_never_as_a_mean_of_classes(train: Train, s: int) -> None:
    found = train(f"loss: normface, s: {s}", 10, 16, imbalance=50.0).geometry
    floor = normface_loss_bound(10, s)
    assert found["train_loss"] < 0.95 * floor
    assert found["train_loss_balanced"] > 1.05 * floor


# Dynamic AdaCos where every class has collapsed to its prototype: cos θ_med = 1, so that s = log B


@pytest.mark.parametrize(
    ("classes", "dim", "scale"), [(10, 16, 1.977502), (8, 2, 2.856027)], ids=["simplex", "octagon"]
)
def test_dynamic_adacos_rests_where_a_collapsed_class_has_an_even_chance(
    train: Train, classes: int, dim: int, scale: float
) -> None:
    trained = train("loss: adacos", classes, dim)
    found, last = trained.geometry, trained.steps.iloc[-1]
    assert last["theta_med"] < 1e-3
    assert found["final_s"] == pytest.approx(scale, abs=1e-5)
    assert found["train_loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert last["posterior_med"] == pytest.approx(0.5, abs=1e-5)
    assert found["class_centre_posterior_min"] == pytest.approx(0.5, abs=1e-4)
    assert found["train_accuracy"] == 1.0
    assert trained.steps["s"].iloc[0] > scale + 0.1, "it came down"


def test_the_simplex_is_the_collapse_limit_and_the_octagon_is_where_half_the_posterior_is_left() -> None:
    assert adacos_collapse_limit(10) == pytest.approx(1.977502, abs=5e-7)
    s = 2.856027
    rest = sum(math.exp(s * math.cos(2 * math.pi * j / 8)) for j in range(1, 8))
    assert math.exp(s) / (math.exp(s) + rest) == pytest.approx(0.5, abs=1e-7)
