"""The self-check: silent for every geometry that exists, and each planted fault is caught by the law it breaks."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.audit import self_checks

MakeTrial = Callable[..., dict[str, Any]]
EQ_6 = "No class centre has a smallest posterior above what eq. 6 grants the scale"
DIMENSION = "Nor one above what the embedding dimension leaves of it"
FEATURES = "No mean feature of a class has one above what eq. 6 grants the scale"
PAIR = "The smallest posterior fits the nearest two prototypes"
FLOOR = "The class-balanced training loss, its margin included, is not below its floor"
PACKING = "No prototypes are packed better than C directions in K dimensions can be"
CENTRES = "Nor are the mean features of the classes"
ROOM = "A margin that every sample meets is one that the prototypes leave room for"
NEAREST = "A sample that meets its margin is nearest to its own prototype"
RANGES = "Shares, posteriors and cosines lie in their ranges and agree"
LAWS = [EQ_6, DIMENSION, FEATURES, PAIR, FLOOR, PACKING, CENTRES, ROOM, NEAREST, RANGES]
PARTS = {"normface": "none", "cosface": "additive_cosine", "arcface": "additive_angle"}


@pytest.fixture
def trial_of(make_trial: MakeTrial, true: ModuleType) -> Callable[..., dict[str, Any]]:
    """A trial with the geometry that its prototypes and features have."""

    def build(
        prototypes: np.ndarray, s: float, loss: str = "cosface", m: float = 0.2, number: int = 0, **given: Any
    ) -> dict[str, Any]:
        count, dim = prototypes.shape
        features, labels = given.get("features", prototypes), given.get("labels", np.arange(count))
        row = make_trial(loss, "grid", number, 0.5, num_classes=count, embedding_dim=dim, s=s)
        row["m"] = np.nan if loss == "normface" else m
        return row | true.geometry(
            prototypes, features, labels, s, margin=PARTS[loss], m=0.0 if loss == "normface" else m
        )

    return build


def held(rows: list[dict[str, Any]]) -> dict[str, str]:
    found = self_checks(pd.DataFrame(rows))
    assert found["rule"].to_list() == LAWS
    return dict(zip(found["rule"], found["held"], strict=True))


def broken(row: dict[str, Any], trial_of: Callable[..., dict[str, Any]], true: ModuleType) -> set[str]:
    """The laws that the row breaks, among sound trials that break none; each names it alone."""
    sound = [trial_of(true.simplex(6), s, number=50 + i) for i, s in enumerate((1.0, 16.0))]
    found = self_checks(pd.DataFrame([*sound, row]))
    wrong = found[found["held"] == "no"]
    assert (wrong["trials"] == row["trial_id"]).all()
    assert wrong["evidence"].str.contains(row["trial_id"], regex=False).all()
    return set(wrong["rule"])


def test_what_exists_breaks_nothing(trial_of: Callable[..., dict[str, Any]], true: ModuleType) -> None:
    rng, rows = np.random.default_rng(2), []
    for number in range(600):
        prototypes, features, labels = true.random_case(rng)
        loss = list(PARTS)[number % 3]
        s, m = float(np.exp(rng.uniform(-3, 7))), float(rng.uniform(0.01, 1.5))
        rows.append(trial_of(prototypes, s, loss, m, number, features=features, labels=labels))
    assert set(held(rows).values()) == {"yes"}


def test_in_float32_nothing_breaks_either(trial_of: Callable[..., dict[str, Any]], true: ModuleType) -> None:
    """Every value rounded as a record of float32 holds it, at codes that leave the laws no room."""
    rows, number = [], 0
    for prototypes, most in ((true.simplex(10), 10 / 9), (true.polygon(8), 1 - np.cos(np.pi / 4)), (CROSS, 1.0)):
        for s in (0.1, 1.0, 8.0, 64.0, 1000.0):
            for loss in PARTS:
                m = most if loss == "cosface" else np.arccos(1 - most)
                row = trial_of(prototypes, s, loss, m * (1 - 1e-7), number)
                rows.append({k: float(np.float32(v)) if k.startswith("geometry/") else v for k, v in row.items()})
                number += 1
    assert set(held(rows).values()) == {"yes"}


CROSS = np.vstack([np.eye(4), -np.eye(4)])


def test_every_margin_met_on_exact_codes_is_judged(trial_of: Callable[..., dict[str, Any]], true: ModuleType) -> None:
    found = self_checks(pd.DataFrame([trial_of(true.polygon(8), 8.0, "cosface", 0.29)])).set_index("rule")
    assert found.loc[ROOM, "evidence"].startswith("True of 1 trial; the least room is 0.0029")
    assert found.loc[EQ_6, "trials"] == ""


@pytest.mark.parametrize(
    ("law", "plant"),
    [
        ({EQ_6, RANGES}, {"geometry/class_centre_log_odds_min": 4.7}),
        ({FEATURES, RANGES}, {"geometry/feature_centre_log_odds_min": 4.7}),
        ({FLOOR}, {"geometry/train_loss_balanced": 0.01}),
        ({PACKING, PAIR}, {"geometry/max_prototype_cosine": -0.3}),
        ({CENTRES}, {"geometry/max_centre_cosine": -0.3}),
        ({NEAREST}, {"geometry/train_accuracy": 0.9}),
        ({RANGES}, {"geometry/class_centre_posterior_mean": 0.9}),
        ({RANGES}, {"geometry/feature_centre_posterior_mean": 1.1}),
        ({RANGES}, {"geometry/margin_satisfied_fraction": 1.1, "geometry/train_accuracy": 1.1}),
        ({ROOM, FLOOR}, {"m": 1.3}),
        ({ROOM}, {"m": 1.3, "geometry/train_loss": np.nan, "geometry/train_loss_balanced": np.nan}),
        ({PAIR}, {"geometry/max_prototype_cosine": 0.5}),
    ],
)  # fmt: skip
def test_each_planted_fault_is_caught_by_its_law(
    law: set[str], plant: dict[str, float], trial_of: Callable[..., dict[str, Any]], true: ModuleType
) -> None:
    """On a simplex of six classes in six dimensions at s = 5: log odds at most 4.39, floor 0.0337 nats with m = 0.2."""
    row = trial_of(true.simplex(6), 5.0, number=7)
    assert broken(row, trial_of, true) == set()
    assert broken(row | plant, trial_of, true) == law


def test_dimension_alone(trial_of: Callable[..., dict[str, Any]], true: ModuleType) -> None:
    """Eight classes in the plane at s = 8.5 can't have a posterior of 0.91, which eq. 6 grants them."""
    row = trial_of(true.polygon(8), 8.5, m=0.2, number=7)
    assert broken(row, trial_of, true) == set()
    odds = np.log(0.91 / 0.09)
    plant = {"geometry/class_centre_log_odds_min": odds, "geometry/class_centre_posterior_min": 0.91,
             "geometry/class_centre_posterior_mean": 0.91, "geometry/max_prototype_cosine": 0.71}  # fmt: skip
    assert broken(row | plant, trial_of, true) == {DIMENSION}


def test_older_records_are_held_by_their_posterior(trial_of: Callable[..., dict[str, Any]], true: ModuleType) -> None:
    row = trial_of(true.simplex(6), 5.0, number=7)
    for name in ("class_centre", "feature_centre"):
        del row[f"geometry/{name}_log_odds_min"]
    assert held([row])[EQ_6] == "yes"
    plant = {"geometry/class_centre_posterior_min": 0.991, "geometry/class_centre_posterior_mean": 0.991}
    assert held([row | plant])[EQ_6] == "no"
    saturated = {"geometry/class_centre_posterior_min": 1.0, "geometry/class_centre_posterior_mean": 1.0}
    assert held([row | saturated])[EQ_6] == "not applicable"


def test_margin_met_beside_the_prototypes_may_exceed_eq_7(
    trial_of: Callable[..., dict[str, Any]], true: ModuleType
) -> None:
    """Three prototypes within a right angle: samples that turn away from the others meet more than 1 − W_i·W_j."""
    prototypes = true.unit(np.array([[3.0, 1, 1], [1, 3, 1], [1, 1, 3]]))
    features = true.unit(prototypes - prototypes.mean(axis=0))
    gained = float((features @ prototypes.T)[0, 0] - (features @ prototypes.T)[0, 1])
    permitted = 1 - float(prototypes[0] @ prototypes[1])
    assert gained > permitted + 0.1
    row = trial_of(prototypes, 8.0, "cosface", gained - 1e-9, features=features)
    assert row["geometry/margin_satisfied_fraction"] == 1
    assert held([row])[ROOM] == "yes"


def test_angular_margin_met_by_all_is_at_most_the_least_angle(
    trial_of: Callable[..., dict[str, Any]], true: ModuleType
) -> None:
    row = trial_of(true.polygon(8), 8.0, "arcface", np.pi / 4 - 1e-6, number=7)
    assert held([row])[ROOM] == "yes"
    assert broken(row | {"m": np.pi / 4 + 1e-3}, trial_of, true) == {ROOM}


def test_samples_that_meet_all_they_can_keep_to_the_room(
    trial_of: Callable[..., dict[str, Any]], true: ModuleType
) -> None:
    """Each class's sample where its margin is widest of some hundred directions, and m the least of these margins."""
    rng, rows = np.random.default_rng(3), []
    for number in range(300):
        code = (true.simplex(5), true.polygon(4), true.polygon(9), CROSS, rng.normal(size=(12, 3)))[number % 5]
        prototypes = true.unit(code + rng.choice([1e-3, 0.1, 0.5]) * rng.normal(size=code.shape))
        features, m = widest(prototypes, rng)
        if m > 1e-3:
            rows.append(trial_of(prototypes, 4.0, "cosface", m - 1e-9, number, features=features))
    found = self_checks(pd.DataFrame(rows)).set_index("rule")
    assert len(rows) > 200
    assert set(found["held"]) == {"yes"}
    assert found.loc[ROOM, "evidence"].startswith(f"True of {len(rows)} trials; the least room is ")


def widest(prototypes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """A direction for each class that keeps it far ahead of all others, and the least lead of a class."""
    chosen, leads = [], []
    for own, row in enumerate(prototypes):
        others = np.delete(prototypes, own, axis=0)
        weights = np.exp(np.outer(np.geomspace(0.1, 300, 40), others @ row - (others @ row).max()))
        away = row - weights @ others / weights.sum(axis=1, keepdims=True)
        near = row + 0.2 * rng.normal(size=(60, row.size))
        candidates = np.vstack([row, away, near])
        candidates /= np.maximum(np.linalg.norm(candidates, axis=1, keepdims=True), 1e-12)
        lead = candidates @ row - (candidates @ others.T).max(axis=1)
        chosen.append(candidates[lead.argmax()])
        leads.append(float(lead.max()))
    return np.stack(chosen), min(leads)


def test_classes_lost_to_label_noise_are_not_held_against_a_trial(
    trial_of: Callable[..., dict[str, Any]], true: ModuleType
) -> None:
    row = trial_of(true.simplex(6), 5.0) | {"data/label_noise": 0.4, "geometry/train_loss_balanced": np.nan}
    found = held([row])
    assert {found[law] for law in (FEATURES, FLOOR, CENTRES)} == {"not applicable"}
    assert found[EQ_6] == "yes"
    known = trial_of(true.simplex(6), 5.0) | {"data/label_noise": 0.4}
    assert held([known])[FEATURES] == "yes"


def test_nothing_measured(make_trial: MakeTrial) -> None:
    rows = [
        make_trial("dynamic", "search", 0, 0.001, status="diverged") | {"geometry/final_s": np.inf},
        make_trial("cosface", "search", 1, 0.5, status="failed"),
    ]
    found = self_checks(pd.DataFrame(rows))
    assert (found["held"] == "not applicable").all()
    assert found["evidence"].str.startswith("No trial").all()
    assert (found["trials"] == "").all()
