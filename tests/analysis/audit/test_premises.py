"""AdaCos' premises against planted trajectories."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.audit import adacos_premises, premise_courses
from hpstudy.theory import adacos_exact_scale

CLASSES = 100


def trial(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "trial_id": f"t{number}", "condition": "default", "arm": "adacos", "phase": "confirm", "status": "completed",
        "num_classes": CLASSES,
    }  # fmt: skip
    return row | changes


def steps(count: int = 200, *, excess: float = 0.3, s: float = 8.0, theta: float = 0.6, **changes: Any) -> pd.DataFrame:
    """A course that starts as an untrained network does and then stays where it is."""
    started = np.arange(count) > 0
    frame = pd.DataFrame(
        {
            "step": np.arange(count),
            "cos_nontarget_mean": np.where(started, 0.1, 0.0),
            "cos_nontarget_std": np.where(started, 0.3, 0.05),
            "log_b_avg": math.log(CLASSES - 1) + np.where(started, excess, 0.01),
            "s": s,
            "theta_med": np.where(started, theta, math.pi / 2),
        }
    )
    return frame.assign(**changes)


def test_what_was_planted_is_found() -> None:
    found = adacos_premises(pd.DataFrame([trial(0)]), lambda _: steps())
    assert found[["condition", "arm", "phase", "trials"]].to_numpy().tolist() == [["default", "adacos", "confirm", 1]]
    row = found.iloc[0]
    assert row["nontarget_start"] == pytest.approx(math.pi / 2)
    assert row["nontarget_end"] == pytest.approx(math.acos(0.1))
    assert row["nontarget_spread_start"] == pytest.approx(math.asin(0.05))
    assert row["nontarget_spread_end"] == pytest.approx((math.acos(-0.2) - math.acos(0.4)) / 2)
    assert row["log_b_excess_start"] == pytest.approx(0.01)
    assert row["log_b_excess_course"] == row["log_b_excess_end"] == pytest.approx(0.3)
    assert (row["s_end"], row["theta_med_end"]) == pytest.approx((8.0, 0.6))
    odds = math.exp(8 * math.cos(0.6)) / (99 * math.exp(0.3))
    assert row["posterior_end"] == pytest.approx(odds / (1 + odds))
    assert row["steepest_gap"] == pytest.approx(row["steepest_end"] - 0.6)
    assert row["s_end_low"] == row["s_end_high"] == 8.0


def test_adacos_rule_gives_one_half_and_its_exact_form_the_steepest_point() -> None:
    theta, log_b = 0.7, math.log(CLASSES - 1)
    rule = steps(excess=0.0, s=log_b / math.cos(theta), theta=theta)
    exact = steps(excess=0.0, s=float(adacos_exact_scale(CLASSES, theta)), theta=theta)
    trials = pd.DataFrame([trial(0, arm="rule"), trial(1, arm="exact")])
    found = adacos_premises(trials, {"t0": rule, "t1": exact}.__getitem__).set_index("arm")
    assert found.loc["rule", "posterior_end"] == pytest.approx(0.5)
    assert found.loc["rule", "steepest_gap"] > 0.02
    assert found.loc["exact", "posterior_end"] < 0.5
    assert found.loc["exact", "steepest_gap"] == pytest.approx(0.0, abs=1e-9)


def test_median_and_quartiles_are_over_trials() -> None:
    scales = [4.0, 8.0, 16.0, 32.0, 64.0]
    trials = pd.DataFrame([trial(i) for i in range(5)])
    found = adacos_premises(trials, lambda name: steps(s=scales[int(name[1:])])).iloc[0]
    assert (found["s_end_low"], found["s_end"], found["s_end_high"], found["trials"]) == (8.0, 16.0, 32.0, 5)


def test_the_end_is_the_last_twentieth() -> None:
    scale = np.where(np.arange(200) < 190, 5.0, 9.0)
    scale[-1] = 1000.0
    assert adacos_premises(pd.DataFrame([trial(0)]), lambda _: steps(s=scale))["s_end"].item() == 9.0


def test_confirm_trials_stand_for_an_arm_that_has_some() -> None:
    trials = pd.DataFrame(
        [
            trial(0, phase="search"),
            trial(1, phase="confirm"),
            trial(2, phase="confirm", status="diverged"),
            trial(3, arm="cosface", phase="grid"),
            trial(4, arm="cosface", phase="search", status="pruned"),
            trial(5, arm="lost", phase="confirm", status="diverged"),
        ]
    )
    read: list[str] = []

    def reader(name: str) -> pd.DataFrame:
        read.append(name)
        return steps()

    found = adacos_premises(trials, reader)
    assert read == ["t1", "t3"]
    assert found[["arm", "phase", "trials"]].to_numpy().tolist() == [["adacos", "confirm", 1], ["cosface", "grid", 1]]


def test_conditions_keep_their_order() -> None:
    trials = pd.DataFrame([trial(0, condition="z"), trial(1, condition="a")])
    assert adacos_premises(trials, lambda _: steps())["condition"].to_list() == ["z", "a"]


@pytest.mark.parametrize("error", [KeyError("t0"), FileNotFoundError("t0")])
def test_trials_without_steps_are_left_out(error: Exception) -> None:
    def reader(name: str) -> pd.DataFrame:
        if name == "t0":
            raise error
        return pd.DataFrame() if name == "t1" else steps()

    trials = pd.DataFrame([trial(i) for i in range(3)])
    assert adacos_premises(trials, reader)["trials"].to_list() == [1]
    for nothing in (adacos_premises(trials.head(2), reader), premise_courses(trials.head(0), reader)):
        assert nothing.empty
        assert {"condition", "arm", "log_b_excess_low" if "share" in nothing else "posterior_end"} <= {*nothing.columns}


def test_what_was_not_recorded_is_unknown() -> None:
    bare = steps()[["step", "s", "theta_med"]]
    infinite = steps(log_b_avg=np.inf)
    for course in (bare, infinite):
        found = adacos_premises(pd.DataFrame([trial(0)]), lambda _, course=course: course).iloc[0]
        assert found["s_end"] == 8.0
        unknown = ["log_b_excess_end", "steepest_end", "steepest_gap", "posterior_end", "posterior_end_low"]
        assert found[unknown].isna().all()
    assert np.isnan(adacos_premises(pd.DataFrame([trial(0)]), lambda _: bare)["nontarget_end"].item())


def test_courses_have_a_common_grid() -> None:
    """Trials of 51 and of 201 steps whose excess grows with the share of their steps."""
    lengths = {"t0": 51, "t1": 201}
    trials = pd.DataFrame([trial(0), trial(1)])

    def reader(name: str) -> pd.DataFrame:
        share = np.linspace(0, 1, lengths[name])
        return steps(lengths[name], log_b_avg=math.log(CLASSES - 1) + 2 * share)

    found = premise_courses(trials, reader)
    assert found["share"].to_list() == pytest.approx(np.linspace(0, 1, 101))
    assert found["log_b_excess"].to_numpy() == pytest.approx(2 * found["share"].to_numpy())
    assert found["log_b_excess_high"].to_numpy() == pytest.approx(found["log_b_excess_low"].to_numpy())
    assert found["nontarget"].iloc[0] == pytest.approx(math.pi / 2)
    assert found["nontarget"].iloc[-1] == pytest.approx(math.acos(0.1))
    assert (found["trials"] == 2).all()


def test_courses_of_one_step_and_of_gaps() -> None:
    one = premise_courses(pd.DataFrame([trial(0)]), lambda _: steps(1))
    assert np.isfinite(one["nontarget"]).sum() == 1
    gap = steps(101)
    gap.loc[gap["step"] > 50, "log_b_avg"] = np.nan
    found = premise_courses(pd.DataFrame([trial(0)]), lambda _: gap)
    assert np.isfinite(found["log_b_excess"]).sum() == 51
    assert np.isfinite(found["nontarget"]).all()
