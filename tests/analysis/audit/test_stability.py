"""The stability map: planted divergences, what theory predicts of each cell, and how the two are compared."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import wilson_interval
from hpstudy.analysis.audit import (
    CEILING,
    NOISE_COSINE,
    RESTS,
    RUNS_AWAY,
    dynamic_rule,
    stability_agreement,
    stability_map,
)
from hpstudy.theory import adacos_fixed_points, adacos_fixed_scale, adacos_noisy_fixed_points

LOSS = {
    "dynamic": "adacos",
    "averaged": "adacos_ema",
    "geometric": "adacos_geometric",
    "capped": "adacos_capped",
    "with-margin": "additive_cosine+adacos_dynamic",
}
RUNS = (100, 8)
"""(C, K) without a fixed point at 45°."""
STAYS = (100, 128)
"""(C, K) that rests at 6.75, above s₀ = 6.50."""
Plan = Mapping[tuple[str, int, int, float], tuple[int, int]]


@pytest.fixture
def planted(make_trial: Callable[..., dict[str, Any]]) -> Callable[[Plan], pd.DataFrame]:
    """Trials with planted outcomes: (arm, C, K, noise) → (diverged, trials)."""

    def build(plan: Plan, **changes: Any) -> pd.DataFrame:
        rows = []
        for (arm, classes, dim, noise), (diverged, total) in plan.items():
            for i in range(total):
                gone = i < diverged
                rows.append(
                    make_trial(
                        arm, "grid", i, 0.001 if gone else 0.8, loss=LOSS.get(arm, arm), num_classes=classes,
                        embedding_dim=dim, condition=f"C{classes}-K{dim}-{noise:g}",
                        status="diverged" if gone else "completed", diverged_step=100 + i if gone else -1,
                    )
                    | {"geometry/final_s": math.nan if gone else 7.0 + i, "data/label_noise": noise}
                    | changes
                )  # fmt: skip
        return pd.DataFrame(rows)

    return build


def test_a_cell_counts_what_was_planted(planted: Callable[..., pd.DataFrame]) -> None:
    trials = planted({("dynamic", *RUNS, 0.0): (3, 5)})
    cell = stability_map(trials).iloc[0]
    assert (cell["trials"], cell["independent"], cell["ran_away"], cell["rate"]) == (5, 5, 3, 0.6)
    assert (cell["low"], cell["high"]) == pytest.approx(wilson_interval(3, 5))
    assert (cell["diverged_step"], cell["final_s"], cell["largest_s"]) == (101.0, 10.5, 11.0)
    assert (cell["rule"], cell["conditions"]) == ("adacos_dynamic", "C100-K8-0")
    assert cell["start"] == adacos_fixed_scale(100)
    assert math.isnan(cell["ceiling"])


def test_failed_trials_are_left_out_and_seeds_in_common_count_once(planted: Callable[..., pd.DataFrame]) -> None:
    trials = planted({("dynamic", *RUNS, 0.0): (4, 6)})
    trials.loc[5, "status"] = "failed"
    twice = pd.concat([trials, trials.assign(search_seed=1)])
    cell = stability_map(twice).iloc[0]
    assert (cell["trials"], cell["independent"], cell["ran_away"]) == (10, 5, 8)
    assert (cell["low"], cell["high"]) == pytest.approx(wilson_interval(4, 5))


def test_predictions_are_those_of_the_fixed_points(planted: Callable[..., pd.DataFrame]) -> None:
    sizes = [(10, 2), (10, 16), RUNS, (100, 16), STAYS, (1000, 16), (10_575, 512)]
    found = stability_map(planted({("dynamic", *size, noise): (0, 1) for size in sizes for noise in (0.0, 0.1)}))
    for row in found.to_dict("records"):
        size = row["num_classes"], row["embedding_dim"]
        points = adacos_noisy_fixed_points(*size, math.pi / 2, row["label_noise"], NOISE_COSINE)
        if row["label_noise"] == 0:
            assert points == adacos_fixed_points(*size, math.pi / 2)
        away = points.stable is None or row["start"] > points.unstable
        assert row["predicted"] == (RUNS_AWAY if away else RESTS)
        assert math.isnan(row["stable"]) if points.stable is None else row["stable"] == points.stable
        assert math.isnan(row["unstable"]) if points.unstable is None else row["unstable"] == points.unstable
    clean = found[found["label_noise"] == 0].set_index(["num_classes", "embedding_dim"])["predicted"]
    assert clean.to_dict() == {size: RUNS_AWAY if size in [(10, 2), RUNS, (1000, 16)] else RESTS for size in sizes}
    noisy = found[found["label_noise"] > 0].set_index(["num_classes", "embedding_dim"])["predicted"]
    assert noisy[(10_575, 512)] == RUNS_AWAY


def test_stabilised_rules_are_held_by_their_ceiling(planted: Callable[..., pd.DataFrame]) -> None:
    arms = ("averaged", "geometric", "capped")
    found = stability_map(planted({(arm, *size, 0.0): (0, 2) for arm in arms for size in (RUNS, STAYS)}))
    assert found["arm"].drop_duplicates().to_list() == list(arms)
    assert (found["ceiling"] == 2 * found["start"]).all()
    for _, of_arm in found.groupby("arm"):
        assert of_arm.set_index("embedding_dim")["predicted"].to_dict() == {8: CEILING, 128: RESTS}
    low = stability_map(planted({("capped", *STAYS, 0.0): (0, 2)}), {"capped": 1.01}).iloc[0]
    assert low["ceiling"] == pytest.approx(1.01 * low["start"])
    assert low["predicted"] == CEILING
    recorded = planted({("capped", *STAYS, 0.0): (0, 2)}, **{"param/cap": 1.5})
    assert stability_map(recorded)["ceiling"].iloc[0] == pytest.approx(1.5 * low["start"])


def test_the_geometric_mean_rests_among_noise_that_the_published_rule_can_not_bear(
    planted: Callable[..., pd.DataFrame],
) -> None:
    found = stability_map(planted({(arm, 10_575, 512, 0.1): (0, 1) for arm in LOSS})).set_index("arm")["predicted"]
    assert found.to_dict() == {
        "dynamic": RUNS_AWAY,
        "with-margin": RUNS_AWAY,
        "averaged": CEILING,
        "geometric": RESTS,
        "capped": CEILING,
    }


def test_only_dynamic_rules_are_on_the_map(planted: Callable[..., pd.DataFrame]) -> None:
    assert dynamic_rule("adacos") == "adacos_dynamic"
    assert dynamic_rule("additive_angle+adacos_ema") == "adacos_ema"
    assert dynamic_rule("adacos_fixed") == dynamic_rule("cosface") == dynamic_rule("unknown") == ""
    trials = planted({(arm, *RUNS, 0.0): (1, 2) for arm in ("adacos_fixed", "cosface", "with-margin")})
    assert stability_map(trials)["arm"].to_list() == ["with-margin"]


def test_without_a_dynamic_arm_the_frames_are_empty_and_keep_their_columns(
    planted: Callable[..., pd.DataFrame],
) -> None:
    full = stability_map(planted({("dynamic", *RUNS, 0.0): (1, 2)}))
    trials = planted({("cosface", *RUNS, 0.0): (1, 2)})
    for frame in (trials, trials.iloc[:0], planted({("dynamic", *RUNS, 0.0): (1, 2)}).assign(status="failed")):
        empty = stability_map(frame)
        assert empty.empty
        assert (empty.dtypes == full.dtypes).all()
        agreement = stability_agreement(empty)
        assert agreement.empty
        assert (agreement.dtypes == stability_agreement(full).dtypes).all()


def test_old_records_have_no_noise_and_no_geometry(planted: Callable[..., pd.DataFrame]) -> None:
    trials = planted({("dynamic", *RUNS, 0.0): (1, 2)}).drop(columns=["data/label_noise", "geometry/final_s"])
    cell = stability_map(trials).iloc[0]
    assert cell["label_noise"] == 0.0
    assert math.isnan(cell["final_s"])
    assert math.isnan(cell["largest_s"])


def test_the_order_of_trials_does_not_matter(planted: Callable[..., pd.DataFrame]) -> None:
    rng = np.random.default_rng(0)
    plan = {
        (arm, classes, dim, noise): (int(rng.integers(0, 5)), 4)
        for arm in LOSS for classes in (30, 300) for dim in (8, 64) for noise in (0.0, 0.2)
    }  # fmt: skip
    trials = planted(plan)
    found = stability_map(trials)
    shuffled = stability_map(trials.sample(frac=1, random_state=1).reset_index(drop=True))
    pd.testing.assert_frame_equal(found, shuffled)
    pd.testing.assert_frame_equal(stability_agreement(found), stability_agreement(shuffled))
    assert found["rule"].drop_duplicates().to_list() == [
        "adacos_dynamic", "adacos_ema", "adacos_geometric", "adacos_capped",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("size", "outcome", "p", "contradicts"),
    [
        (RUNS, (0, 5), 1 / 32, True),
        (RUNS, (0, 4), 1 / 16, False),
        (RUNS, (5, 5), 1.0, False),
        (STAYS, (5, 5), 1 / 32, True),
        (STAYS, (7, 8), 9 / 256, True),
        (STAYS, (6, 8), 37 / 256, False),
        (STAYS, (0, 5), 1.0, False),
    ],
)
def test_a_cell_contradicts_only_beyond_doubt(
    planted: Callable[..., pd.DataFrame], size: tuple[int, int], outcome: tuple[int, int], p: float, contradicts: bool
) -> None:
    cell = stability_map(planted({("dynamic", *size, 0.0): outcome})).iloc[0]
    assert cell["p"] == pytest.approx(p)
    assert cell["contradicts"] == contradicts


def test_agreement_counts_trials_and_cells_by_region(planted: Callable[..., pd.DataFrame]) -> None:
    plan = {
        ("dynamic", *RUNS, 0.0): (5, 5), ("dynamic", 300, 8, 0.0): (0, 5), ("dynamic", 1000, 16, 0.0): (2, 5),
        ("dynamic", *STAYS, 0.0): (0, 5), ("dynamic", 300, 128, 0.0): (1, 5), ("dynamic", 10_575, 512, 0.1): (5, 5),
        ("capped", *RUNS, 0.0): (5, 5),
    }  # fmt: skip
    found = stability_agreement(stability_map(planted(plan)))
    assert found[["noisy", "predicted"]].to_numpy().tolist() == [
        [False, RUNS_AWAY], [False, RESTS], [True, RUNS_AWAY], [True, RESTS],
    ]  # fmt: skip
    counts = ["cells", "trials", "ran_away", "all_ran_away", "some_ran_away", "none_ran_away", "testable"]
    assert found[counts].to_numpy().tolist() == [
        [3, 15, 7, 1, 1, 1, 3], [2, 10, 1, 0, 1, 1, 2], [1, 5, 5, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0],
    ]  # fmt: skip
    assert found["contradicts"].to_list() == [1, 0, 0, 0]
    assert found["independent"].to_list() == [3, 2, 1, 0]
    assert found["rate"].to_list()[:3] == pytest.approx([7 / 15, 0.1, 1.0])
    assert found.iloc[3][["rate", "low", "high"]].isna().all()


def test_agreement_reports_a_prediction_that_fails_both_ways(planted: Callable[..., pd.DataFrame]) -> None:
    wrong = {("dynamic", classes, 8, 0.0): (0, 6) for classes in (100, 300, 1000)}
    wrong |= {("dynamic", classes, 512, 0.0): (6, 6) for classes in (100, 300, 1000)}
    found = stability_agreement(stability_map(planted(wrong))).set_index("predicted")
    assert found.loc[RUNS_AWAY, "rate"] == 0.0
    assert found.loc[RESTS, "rate"] == 1.0
    assert found["contradicts"].to_list() == found["testable"].to_list() == [3, 3]


def test_the_interval_covers_a_planted_rate_of_cells_that_agree_within(
    planted: Callable[..., pd.DataFrame],
) -> None:
    """Cells of 3 to 6 trials, each wholly diverged with probability 0.3: a cell is one trial, however many it holds."""
    rng = np.random.default_rng(2)
    base = stability_map(planted({("dynamic", 100 + i, 128, 0.0): (0, 3 + i % 4) for i in range(8)}))
    covered = []
    for _ in range(300):
        gone = rng.random(len(base)) < 0.3
        region = stability_agreement(base.assign(ran_away=np.where(gone, base["trials"], 0))).iloc[1]
        covered.append(region["low"] <= 0.3 <= region["high"])
    assert np.mean(covered) > 0.94
