"""NormFace's floor of the loss: never crossed by true features, attained by the simplex, crossed by imbalance."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.audit import floor_at, floor_findings, loss_floor
from hpstudy.analysis.audit._loss_floor import floor_kind
from hpstudy.theory import margin_loss_bound, normface_loss_bound

MakeTrial = Callable[..., dict[str, Any]]
MARGINS = {"normface": ("none", 0.0), "cosface": ("additive_cosine", 0.3), "arcface": ("additive_angle", 0.5),
           "sphereface": ("multiplicative_angle", 1.4)}  # fmt: skip


@pytest.fixture
def at_simplex(make_trial: MakeTrial, true: ModuleType) -> Callable[..., dict[str, Any]]:
    """A trial with every feature at its prototype on a simplex."""

    def build(loss: str, s: float, number: int = 0, classes: int = 10, **changes: Any) -> dict[str, Any]:
        margin, m = MARGINS[loss]
        points, labels = true.simplex(classes), np.arange(classes)
        row = make_trial(loss, "grid", number, 0.5, loss=loss, num_classes=classes, embedding_dim=classes, s=s)
        row["m"] = changes.pop("m", m if loss != "normface" else np.nan)
        measured = true.geometry(points, points, labels, s, margin=margin, m=float(np.nan_to_num(row["m"])))
        return row | measured | changes

    return build


@pytest.mark.parametrize("loss", MARGINS)
def test_simplex_attains_the_floor(loss: str, at_simplex: Callable[..., dict[str, Any]]) -> None:
    frame = loss_floor(pd.DataFrame([at_simplex(loss, s, i) for i, s in enumerate((0.5, 1.0, 4.0, 16.0))]))
    assert frame["ratio"].to_list() == pytest.approx([1.0] * 4, rel=1e-6)
    assert frame["gap"].to_list() == pytest.approx([0.0] * 4, abs=1e-6)
    assert not frame["crossed"].any()
    assert not frame["crossed_as_shown"].any()


def test_floor_is_that_of_the_theory(at_simplex: Callable[..., dict[str, Any]]) -> None:
    rows = [at_simplex(loss, 8.0, i) for i, loss in enumerate(MARGINS)]
    frame = loss_floor(pd.DataFrame(rows)).set_index("loss")
    for loss, (kind, m) in {
        "cosface": ("cosine", 0.3),
        "arcface": ("angle", 0.5),
        "sphereface": ("factor", 1.4),
    }.items():
        assert frame.loc[loss, "floor"] == pytest.approx(margin_loss_bound(10, 8.0, m, kind))
    assert frame.loc["normface", "floor"] == pytest.approx(normface_loss_bound(10, 8.0))
    assert frame.loc["normface", "equivalent_s"] == 8.0
    assert frame.loc["normface", "m"] == 0.0


def test_no_features_cross_the_floor(make_trial: MakeTrial, true: ModuleType) -> None:
    """Wherever features lie, opposite to their prototypes too, and whatever the margin."""
    rng, rows = np.random.default_rng(0), []
    for number in range(600):
        prototypes, features, labels = true.random_case(rng)
        loss = list(MARGINS)[number % 4]
        margin, _ = MARGINS[loss]
        m = {"normface": 0.0, "sphereface": rng.uniform(1, 4)}.get(loss, rng.uniform(0, np.pi / 2))
        s = float(np.exp(rng.uniform(-2, 5)))
        shape = {"num_classes": len(prototypes), "embedding_dim": prototypes.shape[1], "loss": loss, "m": m}
        rows.append(
            make_trial(loss, "grid", number, 0.5, **shape)
            | true.geometry(prototypes, features, labels, s, margin=margin, m=m)
        )
    frame = loss_floor(pd.DataFrame(rows))
    assert len(frame) == 600
    assert (frame["excess"] >= -1e-12).all()
    assert not frame["crossed"].any()


def test_planted_loss_below_the_floor_is_caught(at_simplex: Callable[..., dict[str, Any]]) -> None:
    rows = [at_simplex("cosface", s, i) for i, s in enumerate((1.0, 4.0, 16.0))]
    rows[1]["geometry/train_loss_balanced"] *= 0.999
    frame = loss_floor(pd.DataFrame(rows))
    assert frame["crossed"].to_list() == [False, True, False]
    assert not frame["crossed_as_shown"].any()
    assert floor_findings(frame)[0] == (
        "1 trial of 3 has a class-balanced training loss below the floor, which is impossible: something was measured "
        f"wrongly ({rows[1]['trial_id']})."
    )


def test_what_float32_takes_is_no_crossing(at_simplex: Callable[..., dict[str, Any]]) -> None:
    row = at_simplex("normface", 16.0)
    row["geometry/train_loss_balanced"] *= 1 - 16 * 2.0**-19
    assert not loss_floor(pd.DataFrame([row]))["crossed"].any()


def test_loss_that_is_zero_in_float64_is_neither_crossed_nor_compared(
    at_simplex: Callable[..., dict[str, Any]],
) -> None:
    row = at_simplex("normface", 60.0) | {"geometry/train_loss": 0.0, "geometry/train_loss_balanced": 0.0}
    frame = loss_floor(pd.DataFrame([row]))
    assert not frame["crossed"].any()
    assert not frame["crossed_as_shown"].any()
    assert frame[["ratio", "gap"]].isna().all(axis=None)


def test_imbalance_crosses_as_shown_only(make_trial: MakeTrial, true: ModuleType) -> None:
    """Shown almost only the first of three classes, prototypes do best with the others opposite to it."""
    prototypes = np.array([[1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    labels = np.arange(3)
    shown = np.array([0] * 50 + [1, 2])
    row = make_trial("normface", "grid", 0, 0.5, num_classes=3, embedding_dim=2, s=1.0) | {"data/imbalance": 50.0}
    frame = loss_floor(pd.DataFrame([row | true.geometry(prototypes, prototypes, labels, 1.0, shown=shown)]))
    assert frame["crossed_as_shown"].all()
    assert not frame["crossed"].any()
    found = " ".join(floor_findings(frame))
    assert "as shown is below the floor in 1 of 1 trial (imbalance 50)" in found
    assert "never below the floor (1 trial)" in found


def test_above_a_third_of_pi_no_angular_margin_is_accused(at_simplex: Callable[..., dict[str, Any]]) -> None:
    rows = [at_simplex("arcface", 4.0, i, m=m) for i, m in enumerate((1.0, 1.1))]
    for row in rows:
        row["geometry/train_loss_balanced"] *= 0.9
    assert loss_floor(pd.DataFrame(rows))["crossed"].to_list() == [True, False]


def test_a_rule_that_rises_past_pi_does_cross_it() -> None:
    """Why: with cos(θ + m) as it is, one prototype for all classes and features opposite to it."""
    m, count, s = 1.3, 100, 4.0
    loss = np.log1p((count - 1) * np.exp(s * (-1.0 - np.cos(np.pi + m))))
    assert loss < margin_loss_bound(count, s, m, "angle")


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        ("normface", "cosine"), ("cosface", "cosine"), ("arcface", "angle"), ("sphereface", "factor"),
        ("sphereface_r2", "factor"), ("mv_am_softmax", "cosine"), ("adacos", "cosine"), ("normface_learned", "cosine"),
        ("additive_angle+adacos_dynamic", "angle"), ("softmax", None), ("l2_softmax", None), ("a_softmax", None),
        ("curricularface", None), ("magface", None), ("adaface", None), ("combined", None), ("circle", None),
        ("p2sgrad", None), ("my_package:my_loss", None), ("none+feature_norm", None),
    ],
)  # fmt: skip
def test_losses_that_have_a_floor(loss: str, kind: str | None) -> None:
    assert floor_kind(loss) == kind


def test_findings_tell_where_it_is_tight(at_simplex: Callable[..., dict[str, Any]]) -> None:
    rows = []
    for i, (s, times) in enumerate(((1.0, 1.0), (4.0, 1.02), (16.0, 30.0))):
        row = at_simplex("normface", s, i)
        for name in ("train_loss", "train_loss_balanced"):
            row[f"geometry/{name}"] *= times
        rows.append(row)
        loose = at_simplex("normface", s, i + 10, condition="few dimensions") | {"embedding_dim": 2}
        loose["geometry/train_loss_balanced"] *= 2 * times
        rows.append(loose)
    assert floor_findings(loss_floor(pd.DataFrame(rows)))[:4] == [
        "The class-balanced training loss is never below the floor (6 trials).",
        "Where C ≤ K + 1 the loss of every trial on balanced, rightly labelled data is within 2.0 % of the floor up to "
        "s = 4.00; at s = 16.0 it is 30 times the floor.",
        "Where C > K + 1 the loss on balanced, rightly labelled data is 2 times the floor at s = 1.00, and at s = 16.0 "
        "it is 60 times the floor.",
        "At s = 1 the loss can't fall below 1.38 nats with 10 classes (60 % of ln C, a posterior of 25.2 %) and 8.27 "
        "nats with 10,575 classes (89 % of ln C, a posterior of 0.0257 %), whatever the network.",
    ]


def test_scales_whose_floor_is_found_by_rounding_count_too(at_simplex: Callable[..., dict[str, Any]]) -> None:
    rows = [at_simplex("normface", s, i) for i, s in enumerate((1.1, 3.7, 5.2, 5.7, 7.4))]
    frame = loss_floor(pd.DataFrame(rows))
    assert (frame["equivalent_s"] != frame["s"]).any()
    assert floor_findings(frame)[1].endswith("within 0.1 % of the floor at every scale up to s = 7.40.")
    rows[1]["geometry/train_loss_balanced"] *= 3.0
    rows.append(at_simplex("normface", 3.7, 9))
    told = floor_findings(loss_floor(pd.DataFrame(rows)))[1]
    assert "labelled data is within 0.1 % of the floor up to s = 1.10; at s = 7.40" in told


def test_findings_tell_what_trials_at_one_came_to(at_simplex: Callable[..., dict[str, Any]]) -> None:
    found = floor_findings(loss_floor(pd.DataFrame([at_simplex("normface", 1.0)])))
    assert found[-1] == (
        "With 10 classes 1 trial at s = 1 ended at 1.38 nats with 100 % of the training samples nearest to their own "
        "prototype: the loss is high, the classes are apart."
    )


def test_the_floor_at_one() -> None:
    assert floor_at(10_575) == pytest.approx((8.266316, 0.892089, 0.000257), abs=1e-6)


def test_older_records_and_trials_that_did_not_complete(make_trial: MakeTrial) -> None:
    rows = [make_trial("cosface", "grid", 0, 0.5), make_trial("dynamic", "grid", 1, 0.001, status="diverged")]
    frame = loss_floor(pd.DataFrame(rows))
    assert frame.empty
    assert {"floor", "ratio", "gap", "crossed", "crossed_as_shown", "excess"} <= set(frame)
    assert floor_findings(frame) == []


def test_a_class_without_samples_is_no_evidence(at_simplex: Callable[..., dict[str, Any]]) -> None:
    row = at_simplex("normface", 4.0) | {"data/label_noise": 0.3, "geometry/train_loss_balanced": np.nan}
    frame = loss_floor(pd.DataFrame([row]))
    assert not frame["crossed"].any()
    assert floor_findings(frame)[0] == "No trial recorded its class-balanced training loss."
