"""Every rule of the protocol holds for a study that kept it, and is seen broken where it was."""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from hpstudy.analysis import protocol_checks

TEST_SET = "Test identities are judged once, by confirm trials"
CHOICE = "The confirmed point is the best of its search by the validation objective"
SEEDS = "Confirm seeds are fresh and the same for all arms"
START = "A seed gives every arm the same initial weights and batches"
BUDGETS = "Searched arms have equal budgets"
REPEATED = "Searches are repeated with independent seeds"
STOPPING = "Early stopping compares trials of one search only"
CHARGED = "Adaptive arms are charged for any search they get"
FIELDS = "Training fields are searched by all arms or by none"
DISJOINT = "Train, validation and test identities are disjoint"
FARS = "Every FAR is resolved by the impostor pairs"
FILE = "The study file was fixed before the first trial"

LR = "training.optimizer.lr"
DYNAMIC = "dynamic: {loss: adacos}"
Trials = pd.DataFrame
METRIC = "test/tar_at_far_1e-3"


def checked(kept: ModuleType, trials: Trials, *changes: tuple[str, str], **given: Any) -> pd.DataFrame:
    read: Mapping[str, Any] = {
        "epochs": kept.epochs_of(trials).__getitem__,
        "trajectory": kept.steps_of(trials).__getitem__,
        "sessions": [kept.SESSION],
    }
    return protocol_checks(kept.study(*changes), trials, **{**read, **given}).set_index("rule")


def at(trials: Trials, trial_id: str, **values: Any) -> Trials:
    """The trials with other values in one."""
    changed = trials.copy()
    rows = changed["trial_id"] == trial_id
    assert rows.sum() == 1
    for name, value in values.items():
        changed.loc[rows, name] = value
    return changed


def test_a_study_that_kept_every_rule(kept: ModuleType) -> None:
    found = checked(kept, kept.kept_trials())
    assert found["held"].to_dict() == {
        TEST_SET: "yes",
        CHOICE: "yes",
        SEEDS: "yes",
        START: "yes",
        BUDGETS: "yes",
        REPEATED: "yes",
        STOPPING: "yes",
        CHARGED: "not applicable",
        FIELDS: "not applicable",
        DISJOINT: "yes",
        FARS: "yes",
        FILE: "yes",
    }
    evidence = found["evidence"]
    assert evidence[TEST_SET] == ("15 completed confirm trials judged on them, each once; none of 24 search trials.")
    assert (
        evidence[SEEDS] == "3 seeds (101, 102 and 103) for each of 5 confirmed points; searches trained with 0 and 1."
    )
    assert evidence[BUDGETS] == "6 trials a search, 4 searches of 2 arms. Epochs spent: arcface 108 and cosface 108."
    assert "agree to the last digit in 15 trials, 3 seeds in 1 condition" in evidence[START]
    assert "300 train, 200 validation and 400 test identities; content hash 77ab77ab77ab" in evidence[DISJOINT]
    assert "each of 8 stopped trials was below another of its own search" in evidence[STOPPING].lower()
    assert "5 s before the first trial" in evidence[FILE]
    assert all(text[0].isupper() or text[0].isdigit() for text in evidence)


SEARCHED, FIRST = "cosface.default.search.s0.000", "cosface.default.confirm.s0.101"
STOPPED = "cosface.default.search.s0.003"


@pytest.mark.parametrize(
    ("rule", "spoil", "evidence"),
    [
        (TEST_SET, lambda t: at(t, SEARCHED, **{METRIC: 0.5}), "1 trial of a search saw the test identities"),
        (TEST_SET, lambda t: at(t, FIRST, **{METRIC: None}), "1 confirm trial completed without being judged on them"),
        (TEST_SET, lambda t: pd.concat([t, t[t["trial_id"] == FIRST]]), "1 confirm trial repeated an arm, point"),
        (CHOICE, lambda t: at(t, FIRST, **{"param/s": 5.0}), "1 of 4 confirmed points are not the best"),
        (CHOICE, lambda t: best_by_test(t), "are not the best of their search: cosface in default, search seed 0"),
        (CHOICE, lambda t: at(t, FIRST, started_at=1.7e9), "1 point confirmed before the search had ended"),
        (
            CHOICE,
            lambda t: at(t, SEARCHED, **{"val/tar_at_far_1e-3": 0.1}),
            "1 search trial told another value than val/tar_at_far_1e-3",
        ),
        (SEEDS, lambda t: t.replace({"seed": {103: 1}}), "1 confirm seed trained a search as well: 1"),
        (
            SEEDS,
            lambda t: at(t, FIRST, seed=104),
            "confirmed on other seeds than the rest of the condition: arcface in default",
        ),
        (BUDGETS, lambda t: t[t["trial_id"] != "arcface.default.search.s1.005"], "had 5"),
        (REPEATED, lambda t: same_seed(t), "2 arms whose searches share a training seed or all points"),
        (REPEATED, lambda t: same_points(t), "1 arm whose searches share a training seed or all points"),
        (STOPPING, lambda t: at(t, STOPPED, objective=0.6), "1 trial stopped without a better one in the same search"),
        (STOPPING, lambda t: at(t, STOPPED, epochs=4), "1 trial stopped where asha may not: cosface"),
        (STOPPING, lambda t: at(t, FIRST, status="pruned"), "1 confirm trial stopped early"),
        (DISJOINT, lambda t: at(t, SEARCHED, num_classes=900), "trials had 900 training identities, not the 300"),
        (FARS, lambda t: t.assign(**{"test/tar_at_far_1e-9": 0.1}), "needs 1,000,000,000 impostor pairs, and 400"),
        (FILE, lambda t: at(t, SEARCHED, started_at=1.6e9), "1 trial began before the study file was fixed"),
        (FILE, lambda t: at(t, SEARCHED, **{"param/s": 200.0}), "1 trial with an arm, a condition or a value not in"),
        (FILE, lambda t: at(t, SEARCHED, arm="other"), "1 trial with an arm, a condition or a value not in the file"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_seen(kept: ModuleType, rule: str, spoil: Callable[[Trials], Trials], evidence: str) -> None:
    row = checked(kept, spoil(kept.kept_trials())).loc[rule]
    assert row["held"] == "no"
    assert evidence.lower() in row["evidence"].lower()


def best_by_test(trials: Trials) -> Trials:
    """The second best of a search was confirmed, as if it had been picked by another score."""
    lane = trials[(trials["arm"] == "cosface") & (trials["search_seed"] == 0)]
    search = lane[(lane["phase"] == "search") & (lane["status"] == "completed")].sort_values("objective")
    second = search.iloc[-2]
    names = ["param/s", "param/m"]
    changed = trials.copy()
    changed.loc[lane.index[lane["phase"] == "confirm"], names] = second[names].to_list()
    return changed


def without(trials: Trials, arm: str, search_seed: int) -> Trials:
    return trials[~((trials["arm"] == arm) & (trials["search_seed"] == search_seed))]


def same_seed(trials: Trials) -> Trials:
    return trials.assign(seed=trials["seed"].replace({1: 0}))


def same_points(trials: Trials) -> Trials:
    changed = trials.copy()
    search = (trials["arm"] == "cosface") & (trials["phase"] == "search")
    first, second = (search & (trials["search_seed"] == seed) for seed in (0, 1))
    for name in ("param/s", "param/m"):
        changed.loc[second, name] = trials.loc[first, name].to_numpy()
    return changed


def test_arms_that_start_elsewhere_are_seen(kept: ModuleType) -> None:
    trials = kept.kept_trials()
    steps = kept.steps_of(trials)
    steps["dynamic.default.confirm.s0.102"].loc[0, "theta_med"] += 0.003
    row = checked(kept, trials, trajectory=steps.__getitem__).loc[START]
    assert (row["held"], row["evidence"]) == (
        "no",
        "1 trial of 15 began elsewhere than the others of their seed: dynamic.default.confirm.s0.102.",
    )


def test_stopping_by_trials_of_another_search_is_seen(kept: ModuleType) -> None:
    """The only better one at the epoch began after this one had ended."""
    trials = kept.kept_trials()
    lane = (trials["arm"] == "cosface") & (trials["search_seed"] == 0) & (trials["phase"] == "search")
    late = trials.copy()
    late.loc[lane & (trials["trial_id"] != STOPPED), "started_at"] += 1e6
    assert checked(kept, late).loc[STOPPING, "held"] == "no"
    unread = checked(kept, trials, epochs=lambda trial_id: pd.DataFrame()).loc[STOPPING]
    assert unread["held"] == "not applicable"
    assert "are not kept" in unread["evidence"]


def test_a_study_of_one_search_says_so(kept: ModuleType) -> None:
    trials = kept.kept_trials()
    row = checked(kept, trials[trials["search_seed"] == 0], ("seeds: [0, 1]", "seeds: [0]")).loc[REPEATED]
    assert row["held"] == "no"
    assert row["evidence"].startswith("One search of each arm in each condition: every interval is given the points")


def test_budgets_of_the_file_are_compared(kept: ModuleType) -> None:
    grid = "arcface: {loss: arcface, grid: {s: [16, 32], m: [0.2, 0.4]}}"
    old = "arcface: {loss: arcface, search: {s: {log: [2, 64]}, m: {linear: [0.0, 0.8]}}}"
    row = checked(kept, without(kept.kept_trials(), "arcface", 1), (old, grid)).loc[BUDGETS]
    assert row["held"] == "no"
    assert "the study file asks for 6 trials of cosface and 4 trials of arcface" in row["evidence"].lower()


def test_an_adaptive_arm_with_a_search_is_charged(kept: ModuleType) -> None:
    searched = f"dynamic: {{loss: adacos, search: {{{LR}: {{log: [0.01, 0.3]}}}}}}"
    trials = kept.kept_trials()
    missing = checked(kept, trials, (DYNAMIC, searched))
    assert missing.loc[CHARGED, "held"] == "no"
    assert "confirmed without all trials of its search" in missing.loc[CHARGED, "evidence"]
    assert missing.loc[FIELDS, "held"] == "no"
    assert missing.loc[FIELDS, "evidence"] == (
        "The field training.optimizer.lr is searched by dynamic, but not by cosface and arcface."
    )
    confirm = trials[(trials["arm"] == "dynamic")].iloc[0].to_dict()
    own = [
        confirm | {"phase": "search", "number": i, "seed": 0, "trial_id": f"dynamic.default.search.s0.{i:03d}"}
        | {f"param/{LR}": 0.1}
        for i in range(6)
    ]  # fmt: skip
    charged = pd.concat([trials, pd.DataFrame(own)], ignore_index=True)
    row = checked(kept, charged, (DYNAMIC, searched)).loc[CHARGED]
    assert row["held"] == "yes"
    assert "The arm dynamic searched training.optimizer.lr in 6 trials (6.0 CPU-minutes)" in row["evidence"]
    free = charged.assign(**{"cost/cpu_s": charged["cost/cpu_s"].where(charged["phase"] == "confirm", 0.0)})
    row = checked(kept, free, (DYNAMIC, searched)).loc[CHARGED]
    assert (row["held"], "6 trials of dynamic without a cost" in row["evidence"]) == ("no", True)


def test_fields_that_all_arms_search_are_fair(kept: ModuleType) -> None:
    lr = f"{LR}: {{log: [0.01, 0.3]}}"
    changes = [("0.6]}}}", f"0.6]}}, {lr}}}}}"), ("0.8]}}}", f"0.8]}}, {lr}}}}}"),
               (DYNAMIC, f"dynamic: {{loss: adacos, search: {{{lr}}}}}")]  # fmt: skip
    assert checked(kept, kept.kept_trials(), *changes).loc[FIELDS, "held"] == "yes"
    changes[1] = ("0.8]}}}", f"0.8]}}, {LR}: {{log: [0.01, 1.0]}}}}}}")
    row = checked(kept, kept.kept_trials(), *changes).loc[FIELDS]
    assert (row["held"], "has another range in some arm" in row["evidence"]) == ("no", True)


def test_changed_or_unhashed_data(kept: ModuleType) -> None:
    trials = kept.kept_trials()
    other = {**kept.SESSION, "data default": "0" * 64}
    assert checked(kept, trials, sessions=[kept.SESSION, other]).loc[DISJOINT, "held"] == "no"
    bare = {key: value for key, value in kept.SESSION.items() if not key.startswith("data")}
    assert checked(kept, trials, sessions=[bare]).loc[DISJOINT, "held"] == "not applicable"
    assert checked(kept, trials, sessions=[]).loc[FILE, "held"] == "not applicable"


def test_a_study_under_way_is_not_blamed(kept: ModuleType) -> None:
    trials = kept.kept_trials()
    found = checked(kept, trials[trials["ended_at"] <= trials["ended_at"].iloc[8]])
    assert found.loc[REPEATED, "evidence"] == "No arm has begun a second search."
    assert set(found["held"]) == {"yes", "not applicable"}
    assert "so far" in found.loc[BUDGETS, "evidence"]
    only = checked(kept, trials.head(2))
    assert only.loc[[TEST_SET, CHOICE, SEEDS, START], "held"].unique().tolist() == ["not applicable"]
