"""What margins scored: means over seeds beside the fraction that met them, and the words of the best."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import metric_name
from hpstudy.analysis.audit import margin_points, margin_score_findings, margin_scores

MakeTrial = Callable[..., dict[str, Any]]
METRIC = "test/tar_at_far_1e-3"
MARGINS = (0.0, 0.2, 0.4, 0.8)
MET = dict(zip(MARGINS, (1.0, 0.9, 0.3, 0.0), strict=True))
WORTH = dict(zip(MARGINS, (0.3, 0.4, 0.45, 0.2), strict=True))


@pytest.fixture
def trials(make_trial: MakeTrial) -> pd.DataFrame:
    rows = []
    for seed in range(3):
        for m in MARGINS:
            trial = make_trial("cosface", "grid", seed, 0.5, s=30.0, m=m, num_classes=10, embedding_dim=16)
            rows.append(
                trial
                | {
                    "trial_id": f"cosface.{m}.{seed}", "seed": seed, METRIC: WORTH[m] + 0.01 * (seed - 1),
                    "geometry/margin_satisfied_fraction": MET[m], "geometry/max_prototype_cosine": 0.1,
                    "geometry/train_accuracy": 0.99,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_means_and_intervals_over_seeds(trials: pd.DataFrame) -> None:
    found = margin_scores(trials, margin_points(trials), METRIC)
    assert found["m"].to_list() == list(MARGINS)
    assert found["score"].to_list() == pytest.approx(list(WORTH.values()))
    assert found["satisfied"].to_list() == pytest.approx(list(MET.values()))
    assert (found["scored"] == 3).all()
    half = 4.302653 * 0.01 / np.sqrt(3)  # Student's t of two degrees of freedom
    assert (found["score_high"] - found["score"]).to_list() == pytest.approx([half] * 4)


def test_a_diverged_trial_counts_at_chance(trials: pd.DataFrame) -> None:
    at_most = trials["m"] == 0.8
    gone = trials.assign(status=trials["status"].where(~(at_most & (trials["seed"] == 0)), "diverged"))
    found = margin_scores(gone, margin_points(gone), METRIC).iloc[-1]
    assert (found["trials"], found["diverged"]) == (3, 1)
    assert found["score"] == pytest.approx((0.001 + 0.20 + 0.21) / 3)


def test_free_features_have_no_scores(trials: pd.DataFrame) -> None:
    bare = trials.drop(columns=METRIC)
    found = margin_scores(bare, margin_points(bare), METRIC)
    assert found.empty
    assert margin_score_findings(found, metric_name(METRIC)) == []


def test_the_best_margin_in_words(trials: pd.DataFrame) -> None:
    (sentence,) = margin_score_findings(margin_scores(trials, margin_points(trials), METRIC), metric_name(METRIC))
    assert "of 1 list is at a margin that 30 % of the training samples meet" in sentence
    assert "the largest margin scores 25.0 points less" in sentence
