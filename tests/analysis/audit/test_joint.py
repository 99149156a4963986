"""The joint bound of s and m: never below it, attained by the simplex, and what it tells apart from eq. 6."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.audit import joint_audit, joint_findings, joint_reach
from hpstudy.theory import cosface_scale_bound, joint_scale_bound

MakeTrial = Callable[..., dict[str, Any]]


@pytest.fixture
def at_prototypes(make_trial: MakeTrial, true: ModuleType) -> Callable[..., dict[str, Any]]:
    """A trial with given prototypes and every feature at its own."""

    def build(prototypes: np.ndarray, s: float, m: float, number: int = 0, **changes: Any) -> dict[str, Any]:
        count, dim = prototypes.shape
        row = make_trial(changes.pop("arm", "cosface"), "grid", number, 0.5, num_classes=count, embedding_dim=dim)
        measured = true.geometry(prototypes, prototypes, np.arange(count), s)
        return row | measured | {"s": s, "m": m} | changes

    return build


@pytest.mark.parametrize(("arm", "kind", "m"), [("cosface", "cosine", 0.35), ("arcface", "angle", 0.5)])
def test_simplex_attains_the_joint_bound(
    arm: str, kind: Any, m: float, at_prototypes: Callable[..., dict[str, Any]], true: ModuleType
) -> None:
    rows = [at_prototypes(true.simplex(10), s, m, i, arm=arm) for i, s in enumerate((4.0, 8.0, 64.0))]
    frame = joint_audit(pd.DataFrame(rows))
    assert frame["joint_tightness"].to_list() == pytest.approx([1.0] * 3)
    assert frame["log_odds"].to_list() == pytest.approx(frame["joint_log_odds"].to_list())
    assert not frame["violation"].any()
    told = frame[frame["posterior"] < 1 - 1e-9]
    assert len(told) == 2
    for row in told.to_dict("records"):
        assert row["joint_scale"] == pytest.approx(joint_scale_bound(10, row["posterior"], m, kind))
        assert row["paper_scale"] == pytest.approx(cosface_scale_bound(10, row["posterior"]))


def test_oracles() -> None:
    """A simplex at the joint bound's own scale reaches the posterior that was asked for."""
    row = {
        "trial_id": "a", "condition": "c", "arm": "cosface", "loss": "cosface", "num_classes": 10, "embedding_dim": 64,
        "status": "completed", "m": 0.35, "geometry/final_s": 5.773729,
        "geometry/class_centre_log_odds_min": 5.773729 * 10 / 9 - np.log(9),
    }  # fmt: skip
    found = joint_audit(pd.DataFrame([row])).iloc[0]
    assert found["posterior"] == pytest.approx(0.9, abs=1e-6)
    assert found["joint_posterior"] == pytest.approx(0.9, abs=1e-6)
    assert found["paper_scale"] == pytest.approx(3.955004, abs=1e-5)


def test_no_prototypes_lie_below_it(at_prototypes: Callable[..., dict[str, Any]], true: ModuleType) -> None:
    rng, rows = np.random.default_rng(1), []
    for number in range(300):
        prototypes, _, _ = true.random_case(rng)
        s, m = float(np.exp(rng.uniform(-2, 5))), float(rng.uniform(0.01, 1.5))
        rows.append(at_prototypes(prototypes, s, m, number, arm=("cosface", "arcface")[number % 2]))
    frame = joint_audit(pd.DataFrame(rows))
    assert len(frame) == 300
    assert not frame["violation"].any()
    for name in ("joint_tightness", "paper_tightness"):
        assert (frame[name].dropna() >= 1 - 1e-9).all()
    assert (frame["joint_tightness"] <= frame["paper_tightness"] + 1e-12)[frame["joint_tightness"].notna()].all()
    reach = joint_reach(frame)
    assert reach[["paper_only_reached", "neither_reached"]].to_numpy().sum() == 0


def test_planted_violation(at_prototypes: Callable[..., dict[str, Any]], true: ModuleType) -> None:
    rows = [at_prototypes(true.simplex(10), 8.0, 0.3, i) for i in range(3)]
    rows[2]["geometry/class_centre_log_odds_min"] += 0.01
    frame = joint_audit(pd.DataFrame(rows))
    assert frame["violation"].to_list() == [False, False, True]
    assert joint_findings(frame)[0] == (
        "1 trial of 3 lies below the joint bound, which is impossible: something was measured wrongly "
        f"({rows[2]['trial_id']})."
    )


def test_margin_beyond_what_a_simplex_has(at_prototypes: Callable[..., dict[str, Any]], true: ModuleType) -> None:
    frame = joint_audit(pd.DataFrame([at_prototypes(true.simplex(10), 8.0, 1.2)]))
    row = frame.iloc[0]
    assert row["joint_log_odds"] < -np.log(9)
    assert row["joint_scale"] == 0.0
    assert np.isnan(row["joint_tightness"])
    assert not row["violation"]
    assert "neither bound says anything" in " ".join(joint_findings(frame))


def test_cells_between_the_bounds(at_prototypes: Callable[..., dict[str, Any]], true: ModuleType) -> None:
    """On a simplex of ten classes at s = 6: eq. 6 allows 0.9 for every m, the joint bound up to m = 0.378."""
    rows = [
        at_prototypes(true.simplex(10), 6.0, m, number)
        for number, m in enumerate((0.1, 0.3, 0.3, 0.5, 0.7, 0.9))
    ]  # fmt: skip
    rows[2]["geometry/class_centre_log_odds_min"] -= 3.0
    frame = joint_audit(pd.DataFrame(rows))
    reach = joint_reach(frame).set_index("posterior")
    counts = ["cells", "both", "both_reached", "paper_only", "paper_only_reached", "neither"]
    assert reach.loc[0.9, counts].to_list() == [5, 2, 2, 3, 0, 0]
    assert reach.loc[0.5, ["both", "paper_only"]].to_list() == [4, 1]
    found = joint_findings(frame)
    assert found[:3] == [
        "No trial has a scale below the joint bound at its own P_m (6 trials).",
        "For P_m ≥ 0.5, of the 1 that the paper’s bound allows and the joint one does not, none reached it; of the 4 "
        "that both allow, 4 did (5 points (s, m)).",
        "For P_m ≥ 0.9, of the 3 that the paper’s bound allows and the joint one does not, none reached it; of the 2 "
        "that both allow, 2 did (5 points (s, m)).",
    ]
    assert found[-1].startswith("They differ most at s = 6.00, m = 0.9 with 10 classes: the paper’s allows P_m = 0.989")


def test_who_is_left_out(make_trial: MakeTrial, at_prototypes: Callable[..., dict[str, Any]], true: ModuleType) -> None:
    rows = [
        at_prototypes(true.simplex(10), 8.0, 0.3, 0),
        at_prototypes(true.simplex(10), 8.0, 0.0, 1),
        at_prototypes(true.simplex(10), 8.0, np.nan, 2, arm="normface"),
        at_prototypes(true.simplex(10), 8.0, 1.3, 3, loss="sphereface"),
        at_prototypes(true.simplex(10), 8.0, 0.3, 4, loss="additive_angle+adacos_dynamic"),
        at_prototypes(true.simplex(10), 8.0, 0.3, 5, loss="additive_angle+adacos_fixed"),
        at_prototypes(true.simplex(10), 8.0, 0.3, 6, status="pruned"),
        make_trial("cosface", "grid", 7, 0.5),
    ]
    frame = joint_audit(pd.DataFrame(rows))
    assert frame["trial_id"].to_list() == [rows[0]["trial_id"], rows[5]["trial_id"]]
    empty = joint_audit(pd.DataFrame(rows[-1:]))
    assert empty.empty
    assert joint_findings(empty) == []
    assert joint_reach(empty).empty
