"""The protocol of a survey: its rules hold for one that kept them, and each is seen broken where it was."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import protocol_checks
from hpstudy.spec import Study, parse_study

TEST_SET = "Test identities are judged once"
SEEDS = "Every point is trained on every seed"
START = "A seed gives every arm the same initial weights and batches"
DISJOINT = "Train, validation and test identities are disjoint"
FARS = "Every FAR is resolved by the impostor pairs"
FILE = "The study file was fixed before the first trial"

METRIC = "test/tar_at_far_1e-3"
BEGAN = 1_700_000_000.0
TEXT = """version: 1
name: demo
question: What does s do?
data: {source: glyphs, identities: {train: 100, val: 0, test: 400}}
training: {epochs: 6, batch_size: 64}
conditions: {model.embedding_dim: [8, 64]}
arms:
  normface: {loss: normface, grid: {s: [4, 16, 64]}}
  dynamic: {loss: adacos}
search: {objective: val/tar_at_far_1e-3, seeds: [0, 1]}
confirm: {seeds: 0}
"""
FREE = TEXT.replace("glyphs", "free").replace("test: 400}}", "test: 0}, samples: 8}\nmodel: {name: free}")
SESSION = {
    "started": "2023-11-14 22:13:20 UTC",
    "data embedding_dim-8": "77ab" * 16,
    "data embedding_dim-64": "77ab" * 16,
}
Trials = pd.DataFrame


def trials_of(study: Study) -> Trials:
    """Every trial of the survey, completed and judged."""
    rng, rows, clock = np.random.default_rng(5), [], BEGAN + 5
    for seed in study.spec.search.seeds:
        for condition in study.conditions():
            for arm in study.arms:
                for number, point in enumerate(study.listed_points(arm)):
                    clock += 60
                    row = {
                        "study": "demo", "trial_id": f"{arm.name}.{condition.id}.grid.s{seed}.{number:03d}",
                        "arm": arm.name, "condition": condition.id, "phase": "grid", "search_seed": seed,
                        "number": number, "seed": seed, "loss": arm.loss, "s": point.get("s", np.nan), "m": np.nan,
                        "status": "completed", "cause": "", "epochs": 6, "steps": 6 * 18, "num_classes": 100,
                        "embedding_dim": condition.model.embedding_dim, "objective": np.nan, "device": "CPU",
                        "started_at": clock, "ended_at": clock + 60, "cost/cpu_s": 60.0, "cost/gpu_s": 0.0,
                        "param/s": point.get("s", np.nan),
                    }  # fmt: skip
                    rows.append(row | ({METRIC: rng.uniform(0.4, 0.9)} if condition.data.identities.test else {}))
    return pd.DataFrame(rows)


def steps_of(trials: Trials) -> dict[str, pd.DataFrame]:
    """First steps, whose angles follow from condition and seed."""
    found = {}
    for row in trials.to_dict("records"):
        rng = np.random.default_rng([row["seed"], row["embedding_dim"]])
        angles = {name: [rng.normal(1.57, 0.01), 1.2] for name in ("theta_med", "theta_target_mean")}
        found[row["trial_id"]] = pd.DataFrame({"step": [1, 2], **angles})
    return found


def checked(trials: Trials, text: str = TEXT, **given: Any) -> pd.DataFrame:
    read: Mapping[str, Any] = {"trajectory": steps_of(trials).__getitem__, "sessions": [SESSION]}
    return protocol_checks(parse_study(text), trials, **{**read, **given}).set_index("rule")


@pytest.fixture(scope="module")
def trials() -> Trials:
    return trials_of(parse_study(TEXT))


def at(trials: Trials, trial_id: str, **values: Any) -> Trials:
    changed = trials.copy()
    rows = changed["trial_id"] == trial_id
    assert rows.sum() == 1
    for name, value in values.items():
        changed.loc[rows, name] = value
    return changed


def test_a_survey_that_kept_every_rule(trials: Trials) -> None:
    found = checked(trials)
    assert found["held"].to_dict() == dict.fromkeys((TEST_SET, SEEDS, START, DISJOINT, FARS, FILE), "yes")
    evidence = found["evidence"]
    assert (
        evidence[TEST_SET] == "16 completed trials of a survey judged on them, each once; it chooses nothing by them."
    )
    assert evidence[SEEDS] == "2 seeds (0 and 1) for each of 8 points."
    assert "agree to the last digit in 16 trials, 2 seeds in 2 conditions" in evidence[START]
    assert "100 train, 0 validation and 400 test identities" in evidence[DISJOINT]


ONE = "normface.embedding_dim-8.grid.s0.001"


@pytest.mark.parametrize(
    ("rule", "spoil", "evidence"),
    [
        (TEST_SET, lambda t: at(t, ONE, **{METRIC: None}), "1 trial completed without being judged on them"),
        (TEST_SET, lambda t: pd.concat([t, t[t["trial_id"] == ONE]]), "1 trial repeated an arm, point and seed"),
        (SEEDS, lambda t: at(t, ONE, seed=1), "1 point without a trial of every seed: normface in embedding_dim-8, po"),
        (SEEDS, lambda t: t.assign(seed=t["seed"].replace({1: 7})), "8 points without a trial of every seed"),
        (SEEDS, lambda t: twice_and_never(t), "1 point without a trial of every seed: normface in embedding_dim-64"),
        (DISJOINT, lambda t: at(t, ONE, num_classes=900), "trials had 900 training identities, not the 100"),
        (FARS, lambda t: t.assign(**{"test/tar_at_far_1e-9": 0.1}), "needs 1,000,000,000 impostor pairs, and 400"),
        (FILE, lambda t: at(t, ONE, started_at=1.6e9), "1 trial began before the study file was fixed"),
        (FILE, lambda t: at(t, ONE, **{"param/s": 17.0}), "1 trial with an arm, a condition or a value not in"),
        (FILE, lambda t: at(t, ONE, arm="other"), "1 trial with an arm, a condition or a value not in the file"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_seen(trials: Trials, rule: str, spoil: Callable[[Trials], Trials], evidence: str) -> None:
    row = checked(spoil(trials)).loc[rule]
    assert row["held"] == "no"
    assert evidence.lower() in row["evidence"].lower()


def twice_and_never(trials: Trials) -> Trials:
    """As many trials as planned, but one point of the second seed stands in the place of another."""
    return at(trials, "normface.embedding_dim-64.grid.s1.002", number=1)


def test_arms_that_start_elsewhere_are_seen(trials: Trials) -> None:
    steps = steps_of(trials)
    steps[ONE].loc[0, "theta_med"] += 0.003
    row = checked(trials, trajectory=steps.__getitem__).loc[START]
    assert (row["held"], row["evidence"]) == (
        "no",
        f"1 trial of 16 began elsewhere than the others of their seed: {ONE}.",
    )


def test_changed_data_are_seen(trials: Trials) -> None:
    other = {**SESSION, "data embedding_dim-64": "0" * 64}
    row = checked(trials, sessions=[SESSION, other]).loc[DISJOINT]
    assert row["held"] == "no"
    assert row["evidence"] == "The data of embedding_dim-64 changed between sessions."


def test_a_trial_that_diverged_need_not_be_judged(trials: Trials) -> None:
    found = checked(at(trials, ONE, status="diverged", **{METRIC: None}))
    assert found.loc[[TEST_SET, SEEDS], "held"].to_list() == ["yes", "yes"]
    assert found.loc[TEST_SET, "evidence"].startswith("15 completed trials of a survey")


def test_a_survey_under_way_is_not_blamed(trials: Trials) -> None:
    found = checked(trials.head(11))
    assert found.loc[SEEDS, "held"] == "not applicable"
    assert found.loc[SEEDS, "evidence"] == "The survey is unfinished (11 of 16 trials)."
    assert set(found["held"]) == {"yes", "not applicable"}


def test_a_survey_that_holds_nothing_out_has_nothing_to_judge() -> None:
    found = checked(trials_of(parse_study(FREE)), FREE)
    assert found["held"].to_dict() == {
        TEST_SET: "not applicable", SEEDS: "yes", START: "yes", DISJOINT: "yes", FARS: "not applicable", FILE: "yes",
    }  # fmt: skip
    assert found.loc[TEST_SET, "evidence"] == "No test identities in this survey."


def test_a_survey_that_judged_none_of_its_test_identities_is_seen(trials: Trials) -> None:
    row = checked(trials.drop(columns=METRIC)).loc[TEST_SET]
    assert row["held"] == "no"
    assert "16 trials completed without being judged on them" in row["evidence"]


def test_only_where_test_identities_are_trials_have_to_be_judged(trials: Trials) -> None:
    """A condition may go without."""
    text = TEXT.replace("model.embedding_dim: [8, 64]", "data.identities.test: [0, 400]")
    survey = parse_study(text)
    found = checked(trials_of(survey), text)
    assert found.loc[TEST_SET, "held"] == "yes"
    assert found.loc[TEST_SET, "evidence"].startswith("8 completed trials of a survey judged on them")
    spoilt = checked(at(trials_of(survey), "dynamic.test-400.grid.s1.000", **{METRIC: None}), text)
    assert spoilt.loc[TEST_SET, "held"] == "no"


def test_a_study_that_chooses_keeps_the_rules_of_choice(trials: Trials) -> None:
    found = checked(trials, TEXT.replace("confirm: {seeds: 0}", "confirm: {seeds: 2}").replace("val: 0", "val: 50"))
    assert len(found) > 6
    row = found.loc["Test identities are judged once, by confirm trials"]
    assert row["held"] == "no"
    assert "16 trials of a search saw the test identities" in row["evidence"]


def test_recorded_pairs_are_believed_and_passes_that_tell_none_are_not_counted(trials: Trials) -> None:
    few = trials.assign(**{"data/test_impostor_pairs": 600.0})
    found = checked(few).loc[FARS]
    assert found["held"] == "no"
    assert "needs 1,000 impostor pairs, and 400 identities make 600" in found["evidence"]
    many = trials.assign(**{"data/test_impostor_pairs": 11_491_200.0})
    assert "about 11,000 of about 11,000,000 impostor pairs" in checked(many).loc[FARS, "evidence"]
    # An epoch of so many steps says nothing of the number of images: one each, 400·399/2 pairs.
    steps = TEXT.replace("batch_size: 64}", "batch_size: 64, steps_per_epoch: 400}")
    assert "of about 80,000 impostor pairs" in checked(trials, steps).loc[FARS, "evidence"]
    tailed = trials.assign(**{"data/imbalance": 50.0})
    assert "of about 80,000 impostor pairs" in checked(tailed).loc[FARS, "evidence"]
