"""The audit of the bounds: never violated by true prototypes, always by impossible ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import bound_audit
from hpstudy.theory import cosface_scale_bound, implied_posterior

MakeTrial = Callable[..., dict[str, Any]]


def measured(make_trial: MakeTrial, prototypes: np.ndarray, s: float, **changes: Any) -> dict[str, Any]:
    """A trial whose geometry is computed from the prototypes."""
    cosines = prototypes @ prototypes.T
    exponentials = np.exp(s * (cosines - 1))
    posterior = 1 / exponentials.sum(axis=1)
    np.fill_diagonal(cosines, -1)
    classes, dim = prototypes.shape
    return make_trial(
        changes.pop("arm", "cosface"), "search", 0, 0.8, num_classes=classes, embedding_dim=dim, **changes
    ) | {
        "geometry/final_s": s,
        "geometry/class_centre_posterior_min": float(np.float32(posterior.min())),
        "geometry/max_prototype_cosine": float(cosines.max()),
        "geometry/margin_satisfied_fraction": 0.9,
    }


def simplex(classes: int) -> np.ndarray:
    centred = np.eye(classes) - 1 / classes
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)


def test_true_prototypes_never_violate_the_bound(make_trial: MakeTrial) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for classes, dim in ((3, 2), (8, 2), (20, 3), (20, 64), (50, 8)):
        for s in (0.1, 1.0, 4.0, 16.0, 64.0):
            points = rng.normal(size=(classes, dim))
            rows.append(measured(make_trial, points / np.linalg.norm(points, axis=1, keepdims=True), s))
    audit = bound_audit(pd.DataFrame(rows))
    assert not audit["violation"].any()
    assert (audit["tightness"].dropna() >= 1 - 1e-4).all()


def test_simplex_attains_the_bound(make_trial: MakeTrial) -> None:
    audit = bound_audit(pd.DataFrame([measured(make_trial, simplex(10), s) for s in (1.0, 4.0, 8.0)]))
    assert audit["tightness"].to_list() == pytest.approx([1.0] * 3, abs=1e-4)
    assert audit["permitted_margin"].to_list() == pytest.approx([10 / 9] * 3)
    assert audit["sharp_margin_bound"].to_list() == pytest.approx([10 / 9] * 3)
    assert not audit["violation"].any()


def test_impossible_posterior_is_a_violation(make_trial: MakeTrial) -> None:
    row = measured(make_trial, simplex(10), 4.0) | {"geometry/class_centre_posterior_min": 0.95}
    audit = bound_audit(pd.DataFrame([row])).iloc[0]
    assert audit["violation"]
    assert audit["scale_bound"] == pytest.approx(cosface_scale_bound(10, 0.95))


def test_posterior_that_rounds_to_one_can_not_be_evaluated(make_trial: MakeTrial) -> None:
    audit = bound_audit(pd.DataFrame([measured(make_trial, simplex(10), 40.0)])).iloc[0]
    assert np.isnan(audit["tightness"])
    assert not audit["violation"]
    assert audit["implied_posterior"] == pytest.approx(implied_posterior(10, 40.0))


def test_log_odds_tell_what_no_posterior_can(make_trial: MakeTrial) -> None:
    row = measured(make_trial, simplex(10), 40.0)
    row["geometry/class_centre_log_odds_min"] = 40.0 * 10 / 9 - np.log(9)
    audit = bound_audit(pd.DataFrame([row])).iloc[0]
    assert audit["tightness"] == pytest.approx(1.0)
    assert not audit["violation"]


def test_angular_margins_are_held_against_angles(make_trial: MakeTrial) -> None:
    audit = bound_audit(pd.DataFrame([measured(make_trial, simplex(10), 4.0, arm="arcface", m=0.5)])).iloc[0]
    assert audit["permitted_margin"] == pytest.approx(np.arccos(-1 / 9))
    assert audit["margin_ratio"] == pytest.approx(0.5 / np.arccos(-1 / 9))


def test_loss_without_an_additive_margin_has_no_margin_bound(make_trial: MakeTrial) -> None:
    audit = bound_audit(pd.DataFrame([measured(make_trial, simplex(10), 4.0, arm="normface")])).iloc[0]
    assert audit[["sharp_margin_bound", "permitted_margin", "satisfied"]].isna().all()


def test_diverged_and_unmeasured_trials_do_not_crash(make_trial: MakeTrial) -> None:
    rows = [
        make_trial("dynamic", "search", 0, 0.001, status="diverged") | {"geometry/final_s": np.inf},
        make_trial("cosface", "search", 1, 0.5, status="pruned"),
    ]
    audit = bound_audit(pd.DataFrame(rows))
    assert len(audit) == 1
    assert not audit["violation"].any()
    assert bound_audit(pd.DataFrame(rows[1:])).empty
