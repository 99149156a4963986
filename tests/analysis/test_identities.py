"""Scores with effects of seeds and of identities, and what is said of either."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from hpstudy.analysis import identity_errors, identity_intervals, paired_comparisons, variance_components
from hpstudy.analysis._components import difference_matrix, difference_of
from hpstudy.analysis._identities import identity_variances

METRIC, RATE = "test/score", "test/tar_at_far_1e-3"
IDENTITIES, SAMPLES = 120, 160
WEIGHTS = np.random.default_rng(1).multinomial(IDENTITIES, np.full(IDENTITIES, 1 / IDENTITIES), SAMPLES) / IDENTITIES

MakeTrial = Callable[..., dict[str, Any]]
Record = tuple[pd.DataFrame, dict[str, pd.DataFrame]]


class Arms:
    """Collects trials and their bootstrap samples."""

    def __init__(self, make_trial: MakeTrial) -> None:
        self._make_trial = make_trial
        self.rows: list[dict[str, Any]] = []
        self.samples: dict[str, pd.DataFrame] = {}

    def add(self, arm: str, by_identity: NDArray[np.float64], condition: str = "default", metric: str = METRIC) -> None:
        """Trials from scores shaped searches × seeds × identities."""
        for search, of_search in enumerate(by_identity):
            for i, scores in enumerate(of_search):
                row = self._make_trial(arm, "confirm", 101 + i, float(scores.mean()), condition=condition)
                row |= {"search_seed": search, metric: row["objective"]}
                row["trial_id"] = f"{arm}.{condition}.confirm.s{search}.{101 + i}"
                self.rows.append(row)
                self.samples[row["trial_id"]] = pd.DataFrame({metric: WEIGHTS @ scores})

    @property
    def trials(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)

    def evaluations(self, trial_id: str) -> pd.DataFrame:
        return self.samples.get(trial_id, pd.DataFrame())


@pytest.fixture
def arms(make_trial: MakeTrial) -> Arms:
    return Arms(make_trial)


def scores(
    rng: np.random.Generator, seeds: int, seed: float, shared: float, own: float, searches: int = 1, search: float = 0.0
) -> NDArray[np.float64]:
    """Effects of searches, seeds, identities, and of identities on single models, by their spread in a score."""
    wide = np.sqrt(IDENTITIES)
    return np.asarray(
        rng.normal(0, search, (searches, 1, 1))
        + rng.normal(0, seed, (1, seeds, 1))
        + rng.normal(0, shared * wide, IDENTITIES)
        + rng.normal(0, own * wide, (searches, seeds, IDENTITIES)),
        dtype=float,
    )


@pytest.mark.parametrize("mixture", [(1.0, 1.0, 1.0), (0.2, 1.0, 0.2), (1.0, 0.0, 1.0)])
def test_intervals_cover_new_seeds_and_new_identities(arms: Arms, mixture: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(5)
    for place in range(120):
        arms.add("dynamic", scores(rng, 4, *mixture), condition=f"c{place}")
    found = identity_errors(arms.trials, METRIC, arms.evaluations)
    covered = (found["low"] <= 0.0) & (found["high"] >= 0.0)
    assert 0.90 <= covered.mean() <= 1.0
    half = 3.182 * found["seed_error"]  # Student, 3 degrees of freedom
    by_seeds = (found["mean"].abs() <= half).mean()
    assert by_seeds < 0.85 or mixture[1] == 0.0
    assert (found["high"] - found["low"] >= 2 * half * (1 - 1e-3)).all()


@pytest.mark.parametrize(("searches", "seeds"), [(1, 5), (3, 4)])
def test_what_identities_do_to_all_models_is_told_from_what_they_do_to_one(searches: int, seeds: int) -> None:
    rng = np.random.default_rng(6)
    cubes = [scores(rng, seeds, 1.0, 0.5, 1.0, searches, 1.0) @ WEIGHTS.T for _ in range(60)]
    whole, shared = np.mean([identity_variances(cube) for cube in cubes], axis=0)
    assert shared == pytest.approx(0.25, rel=0.2)
    assert whole == pytest.approx(0.25 + 1.0 / (searches * seeds), rel=0.2)
    alone = np.mean([identity_variances(cube[:1, :1]) for cube in cubes], axis=0)
    assert alone == pytest.approx([1.25, 1.25], rel=0.2)


def test_what_identities_do_to_both_arms_cancels(arms: Arms) -> None:
    rng = np.random.default_rng(7)
    base = scores(rng, 5, 0.01, 0.05, 0.002)
    arms.add("dynamic", base)
    arms.add("cosface", base + 0.03 + scores(rng, 5, 0.001, 0.001, 0.002))
    one = identity_errors(arms.trials, METRIC, arms.evaluations).set_index("arm")
    comparisons = paired_comparisons(arms.trials, METRIC, 0.01)
    row = identity_intervals(comparisons, arms.trials, METRIC, arms.evaluations).iloc[0]
    assert (row["arm"], row["adaptive"], row["samples"]) == ("cosface", "dynamic", SAMPLES)
    assert row["difference"] == pytest.approx(comparisons.loc[0, "difference"])
    assert one["identity_error"].to_list() == pytest.approx([0.05, 0.05], rel=0.25)
    assert row["identity_error"] < 0.004
    assert row["shared_error"] <= row["identity_error"]
    assert row["low"] <= comparisons.loc[0, "low"] < comparisons.loc[0, "high"] <= row["high"]


def test_several_searches_are_taken_as_random_too(arms: Arms) -> None:
    rng = np.random.default_rng(8)
    arms.add("dynamic", scores(rng, 4, 0.01, 0.02, 0.01))
    arms.add("cosface", scores(rng, 4, 0.01, 0.02, 0.01, searches=3, search=0.02))
    comparisons = paired_comparisons(arms.trials, METRIC, 0.01)
    row = identity_intervals(comparisons, arms.trials, METRIC, arms.evaluations).iloc[0]
    assert comparisons.loc[0, "searches"] == 3
    assert row["low"] < comparisons.loc[0, "low"]
    assert row["high"] > comparisons.loc[0, "high"]


def test_rates_stay_rates(arms: Arms) -> None:
    rng = np.random.default_rng(9)
    arms.add("dynamic", 0.97 + scores(rng, 3, 0.005, 0.01, 0.005), metric=RATE)
    row = identity_errors(arms.trials, RATE, arms.evaluations).iloc[0]
    assert 0.8 < row["low"] < row["mean"] < row["high"] < 1.0


@pytest.mark.parametrize("spoil", ["absent", "one absent", "other metric", "another number", "too few whole"])
def test_without_samples_nothing_is_guessed(arms: Arms, spoil: str) -> None:
    rng = np.random.default_rng(10)
    arms.add("dynamic", scores(rng, 3, 1, 1, 1))
    arms.add("cosface", scores(rng, 3, 1, 1, 1))
    first = next(iter(arms.samples))
    match spoil:
        case "absent":
            arms.samples.clear()
        case "one absent":
            del arms.samples[first]
        case "other metric":
            arms.samples[first] = arms.samples[first].rename(columns={METRIC: "test/other"})
        case "another number":
            arms.samples[first] = arms.samples[first].head(100)
        case "too few whole":
            arms.samples[first].loc[:30, METRIC] = np.nan
    found = identity_errors(arms.trials, METRIC, arms.evaluations).set_index("arm")
    assert found.loc["dynamic", ["identity_error", "shared_error", "low", "high"]].isna().all()
    assert found.loc["dynamic", "samples"] == 0
    assert found["seed_error"].notna().all()
    comparisons = paired_comparisons(arms.trials, METRIC, 0.01)
    row = identity_intervals(comparisons, arms.trials, METRIC, arms.evaluations).iloc[0]
    assert np.isnan(row["low"])
    assert row["difference"] == pytest.approx(comparisons.loc[0, "difference"])
    components = variance_components(arms.trials, METRIC, arms.evaluations).set_index("arm")
    assert np.isnan(components.loc["dynamic", "evaluation_std"])


def test_samples_without_a_value_are_left_out_of_both_sides(arms: Arms) -> None:
    rng = np.random.default_rng(11)
    arms.add("dynamic", scores(rng, 3, 1, 1, 1))
    arms.add("cosface", scores(rng, 3, 1, 1, 1))
    names = list(arms.samples)
    arms.samples[names[0]].loc[2, METRIC] = np.nan
    arms.samples[names[-1]].loc[5, METRIC] = np.nan
    found = identity_errors(arms.trials, METRIC, arms.evaluations)
    assert found["samples"].to_list() == [SAMPLES - 1, SAMPLES - 1]
    comparisons = paired_comparisons(arms.trials, METRIC, 0.01)
    row = identity_intervals(comparisons, arms.trials, METRIC, arms.evaluations).iloc[0]
    assert (row["samples"], np.isfinite(row["low"])) == (SAMPLES - 2, True)


def test_diverged_trials_do_not_move_with_identities(arms: Arms) -> None:
    rng = np.random.default_rng(12)
    arms.add("dynamic", 0.8 + scores(rng, 3, 0.01, 0.01, 0.01), metric=RATE)
    arms.add("cosface", 0.8 + scores(rng, 3, 0.01, 0.01, 0.01), metric=RATE)
    trials = arms.trials
    lost = trials["trial_id"] == "cosface.default.confirm.s0.102"
    trials.loc[lost, ["status", RATE]] = "diverged", np.nan
    del arms.samples["cosface.default.confirm.s0.102"]
    found = identity_errors(trials, RATE, arms.evaluations).set_index("arm")
    assert found.loc["cosface", "samples"] == SAMPLES
    assert found.loc["cosface", "identity_error"] < found.loc["dynamic", "identity_error"]
    dead = trials.assign(status=trials["status"].mask(trials["arm"] == "cosface", "diverged"))
    comparisons = paired_comparisons(dead, RATE, 0.01)
    assert comparisons.loc[0, "reason"]
    assert np.isnan(identity_intervals(comparisons, dead, RATE, arms.evaluations).loc[0, "low"])


def test_one_seed_has_an_error_over_identities_and_no_interval(arms: Arms) -> None:
    arms.add("dynamic", scores(np.random.default_rng(13), 1, 1, 1, 1))
    row = identity_errors(arms.trials, METRIC, arms.evaluations).iloc[0]
    assert row["identity_error"] > 0
    assert np.isnan(row["low"])


def test_the_evaluation_component(arms: Arms) -> None:
    rng = np.random.default_rng(14)
    arms.add("dynamic", scores(rng, 5, 1.0, 0.3, 0.4))
    table = variance_components(arms.trials, METRIC, arms.evaluations)
    assert table.loc[0, "evaluation_std"] == pytest.approx(0.5, rel=0.2)
    assert np.isnan(variance_components(arms.trials, METRIC).loc[0, "evaluation_std"])


def test_further_axes_are_treated_as_the_scores_are() -> None:
    """Samples are paired, averaged and dropped with the trial that they are of."""
    rng = np.random.default_rng(15)
    for _ in range(40):
        sides = []
        for _ in range(2):
            table = pd.DataFrame(
                rng.normal(size=(rng.integers(1, 4), 4)),
                columns=rng.choice([101, 102, 103, 104, 105], 4, replace=False),
            )
            sides.append(table.mask(rng.random(table.shape) < 0.2))
        tuned, adaptive = sides
        steps = np.arange(3.0)
        cubes = [side.to_numpy()[:, :, None] + steps * sign for side, sign in zip(sides, (1, -1), strict=True)]
        expected = difference_matrix(tuned, adaptive)[:, :, None] + 2 * steps
        np.testing.assert_allclose(difference_of(tuned, adaptive, *cubes), expected)
