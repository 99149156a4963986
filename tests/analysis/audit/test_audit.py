"""A topic of the audit is there exactly when the trials can inform it, whatever the record lacks."""

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from hpstudy.analysis import Audit
from hpstudy.record import StudyFolder

METRIC = "test/tar_at_far_1e-3"
OLD_RECORD = Path(__file__).parents[3] / "reports" / "tuned_vs_adaptive" / "tables" / "trials.csv"


def audit(survey: Any) -> Audit:
    return Audit(survey.trials, METRIC, **survey.readers())


def topics(found: Audit) -> list[str]:
    return [finding.topic for finding in found.findings]


def missing(trial_id: str) -> pd.DataFrame:
    raise KeyError(trial_id)


def not_kept(trial_id: str) -> pd.DataFrame:
    raise FileNotFoundError(trial_id)


@pytest.fixture(scope="module")
def of_everything(audited: ModuleType, planted: ModuleType) -> Any:
    """A survey that informs every topic but the plane, which takes one of a single condition."""
    scales = planted.survey(scales=[2.0, 8.0, 32.0], adaptive=())
    parts = [
        audited.margins(),
        audited.margins(((4, 3),), arms={"joint": "cosface"}, s=(4.0, 16.0), listed=(0.0, 0.4, 0.8)),
        audited.stability(seeds=1),
    ]
    plain = [audited.trial("plain", "normface", i, 0, (8, 2), s=s) for i, s in enumerate((1.0, 4.0, 8.0))]
    found = audited.joined(*parts)
    trials = pd.concat([found.trials, scales.trials, pd.DataFrame(plain)], ignore_index=True)
    return audited.Survey(trials, found.trajectories)


# Each topic


@pytest.mark.parametrize(("scales", "there"), [([4.0], 0), ([4.0, 8.0], 0), ([4.0, 8.0, 16.0], 1)])
def test_three_listed_scales_make_a_sweep(planted: ModuleType, scales: list[float], there: int) -> None:
    survey = planted.survey(scales=scales, adaptive=("adacos_fixed",))
    found = Audit(survey.trials, METRIC, epochs=survey.epochs)
    assert (len(found.scales) > 0) == there
    assert ("scale" in topics(found)) == there
    assert (len(found.best) > 0) == there


def test_trials_that_convergence_leaves_out_are_counted(planted: ModuleType) -> None:
    survey = planted.survey(scales=(4.0, 8.0, 16.0), seeds=2, adaptive=())
    sentences = " ".join(said(Audit(survey.trials, METRIC, epochs=survey.epochs), "scale"))
    assert "wrong labels" not in sentences
    noisy = survey.trials.assign(**{"data/label_noise": [0.2, 0.0, 0.2, None, 0.0, 0.0]})
    last = said(Audit(noisy, METRIC, epochs=survey.epochs), "scale")[-1]
    assert last.startswith("2 trials with wrong labels are left out where convergence is counted:")


def said(found: Audit, topic: str) -> tuple[str, ...]:
    return next(finding.sentences for finding in found.findings if finding.topic == topic)


def test_chance_alone_is_no_score(planted: ModuleType) -> None:
    """Free features have nothing to be judged on, and trials of theirs that diverge are not at chance of anything."""
    survey = planted.survey(scales=[2.0, 8.0, 32.0], seeds=1, diverging=[2.0, 8.0], with_scores=False)
    found = Audit(survey.trials, METRIC, epochs=survey.epochs)
    assert found.scales["score"].isna().all()
    assert found.best.empty
    assert "No listed scales were scored" in " ".join(found.findings[0].sentences)
    scored = planted.survey(scales=[2.0, 8.0, 32.0], seeds=1, diverging=[2.0])
    assert Audit(scored.trials, METRIC, epochs=scored.epochs).scales["score"].notna().all()


def test_scales_of_several_conditions_are_not_one_sweep(planted: ModuleType) -> None:
    first, second = (
        planted.survey(scales=scales, adaptive=()).trials.assign(condition=name)
        for name, scales in (("a", [2.0, 4.0]), ("b", [8.0, 16.0]))
    )
    assert Audit(pd.concat([first, second], ignore_index=True), METRIC).scales.empty


def test_drops_are_of_margins_that_varied_alone(audited: ModuleType) -> None:
    alone = audited.margins(((8, 2),), arms={"cosface": "cosface"}, s=(30.0,))
    both = audited.margins(((8, 2),), arms={"cosface": "cosface"}, s=(15.0, 30.0))
    few = audited.margins(((8, 2),), arms={"cosface": "cosface"}, listed=(0.0, 0.4))
    assert audit(alone).drops["arm"].to_list() == ["cosface"]
    assert (topics(audit(alone)), audit(alone).has_joint_grid) == (["margin"], False)
    assert audit(both).drops.empty
    assert (topics(audit(both))[0], audit(both).has_joint_grid) == ("joint", True)
    assert (topics(audit(few)), audit(few).has_joint_grid) == ([], False)
    renamed = both.trials.assign(arm=both.trials["arm"].where(both.trials["s"] == 30, "narrow"))
    assert sorted(Audit(renamed, METRIC).drops["arm"]) == ["cosface", "narrow"]


def test_a_search_over_margins_is_no_sweep(audited: ModuleType) -> None:
    trials = audited.margins(((8, 2),)).trials.assign(phase="search")
    found = Audit(trials, METRIC)
    assert found.drops.empty
    assert not found.has_joint_grid
    assert topics(found) == []


def test_a_joint_grid_needs_measured_prototypes(audited: ModuleType) -> None:
    trials = audited.margins(((8, 2),), s=(15.0, 30.0)).trials
    found = Audit(trials.drop(columns="geometry/class_centre_log_odds_min"), METRIC)
    assert not found.has_joint_grid
    assert "joint" not in topics(found)


@pytest.mark.parametrize(
    ("sizes", "there"),
    [
        ([(100, 8)], False),
        ([(100, 8), (100, 128)], False),
        ([(100, 8), (300, 8)], False),
        ([(100, 8), (300, 128)], True),
    ],
)
def test_a_region_needs_several_classes_and_dimensions(
    audited: ModuleType, sizes: list[tuple[int, int]], there: bool
) -> None:
    found = audit(audited.stability(sizes, noise=(0.0,), seeds=1, gone=()))
    assert (len(found.stability) > 0) is there
    assert (len(found.agreement) > 0) is there
    assert ("stability" in topics(found)) is there


def test_fixed_scales_have_no_region(audited: ModuleType) -> None:
    assert audit(audited.stability(arms={"fixed": "adacos_fixed"}, noise=(0.0,))).stability.empty


def test_premises_are_adacos_own_and_of_losses_of_cosines(audited: ModuleType) -> None:
    found = audit(audited.planes())
    assert set(found.premises["arm"]) == {"normface", "cosface", "adacos_fixed"}
    assert set(found.courses["arm"]) == {"normface", "cosface", "adacos_fixed"}
    without = audit(audited.planes(("softmax", "normface", "cosface")))
    assert without.premises.empty
    assert without.courses.empty
    assert "premises" not in topics(without)


def test_premises_need_trajectories_that_tell_of_non_targets(audited: ModuleType) -> None:
    survey = audited.planes()
    for reader in (missing, not_kept, lambda trial_id: pd.DataFrame()):
        assert Audit(survey.trials, METRIC, trajectory=reader).premises.empty
    older = Audit(
        survey.trials, METRIC, trajectory=lambda name: survey.trajectory(name).drop(columns="cos_nontarget_mean")
    )
    assert older.premises.empty
    assert "premises" not in topics(older)


def test_planes_are_shown_of_several_arms_with_a_point_each(audited: ModuleType) -> None:
    survey = audited.planes()
    found = audit(survey)
    assert topics(found)[0] == "planes"
    assert [plane.arm for plane in found.planes] == [
        "softmax",
        "modified_softmax",
        "normface",
        "cosface",
        "adacos_fixed",
    ]
    assert found.spread["merged"].to_list() == [0, 0, 0, 1, 0]
    cosface = found.planes[3]
    assert (cosface.s, cosface.m, cosface.num_classes, len(cosface.samples)) == (16.0, 0.1, 6, 24)
    assert not audit(audited.planes(("softmax", "normface"))).shows_planes
    second = survey.trials.assign(number=1, trial_id=survey.trials["trial_id"] + "-b", s=8.0)
    assert not Audit(pd.concat([survey.trials, second]), METRIC, **survey.readers()).shows_planes
    elsewhere = survey.trials.assign(condition=["a", "a", "b", "b", "b"])
    assert not Audit(elsewhere, METRIC, **survey.readers()).shows_planes
    assert not Audit(survey.trials, METRIC).shows_planes


def test_a_plane_is_of_the_confirmed_trial_where_there_is_one(audited: ModuleType) -> None:
    survey = audited.planes()
    confirmed = survey.trials.assign(phase="confirm", trial_id="confirmed-" + survey.trials["arm"], seed=101)
    lost = confirmed["arm"] == "cosface"
    confirmed.loc[lost, "status"] = "diverged"
    asked: list[str] = []

    def plane(trial_id: str) -> pd.DataFrame:
        asked.append(trial_id)
        return audited.plane(6, long=False)

    found = Audit(pd.concat([survey.trials, confirmed], ignore_index=True), METRIC, plane=plane)
    assert len(found.planes) == 5
    assert [name for name in asked if not name.startswith("confirmed-")] == ["cosface.default.grid.s0.000"]


def floor_survey(audited: ModuleType, scales: tuple[float, ...], **changes: Any) -> Any:
    """Without a margin at each scale, dynamic AdaCos beside it with a scale of its own at each seed."""
    rows = [audited.trial("normface", "normface", i, 0, (8, 2), s=s, **changes) for i, s in enumerate(scales)]
    rows += [audited.trial("rule", "adacos", 0, seed, (8, 2), final_s=3.0 + seed, **changes) for seed in range(4)]
    return Audit(pd.DataFrame(rows), METRIC)


def test_the_floor_is_shown_over_three_given_scales(audited: ModuleType) -> None:
    assert floor_survey(audited, (1.0, 4.0, 8.0)).has_floor
    assert "floor" in topics(floor_survey(audited, (1.0, 4.0, 8.0)))
    assert not floor_survey(audited, (1.0, 4.0)).has_floor
    assert not floor_survey(audited, (1.0, 4.0, 4.001)).has_floor
    assert not audit(audited.margins(((8, 2),), listed=(0.2, 0.3), s=(1.0, 4.0, 8.0))).has_floor
    assert audit(audited.margins(((8, 2),), listed=(0.0,), s=(1.0, 4.0, 8.0))).has_floor


def test_the_floor_is_shown_under_a_long_tail(audited: ModuleType) -> None:
    assert floor_survey(audited, (4.0,), **{"data/imbalance": 50.0}).has_floor
    assert not floor_survey(audited, (4.0,), **{"data/imbalance": 1.0}).has_floor


def test_a_floor_needs_a_recorded_loss_that_has_one(audited: ModuleType) -> None:
    trials = floor_survey(audited, (1.0, 4.0, 8.0)).trials
    assert not Audit(trials.drop(columns="geometry/train_loss"), METRIC).has_floor
    assert not Audit(trials.assign(loss="curricularface"), METRIC).has_floor


# Their order


def test_the_most_particular_topic_comes_first(of_everything: Any) -> None:
    assert topics(audit(of_everything)) == ["joint", "margin", "scale", "stability", "premises", "floor"]


def test_long_tails_put_the_floor_before_the_scales(of_everything: Any) -> None:
    trials = of_everything.trials
    tails = trials.assign(**{"data/imbalance": [50.0 if place % 2 else 1.0 for place in range(len(trials))]})
    found = Audit(tails, METRIC, **of_everything.readers())
    assert topics(found) == ["joint", "margin", "floor", "scale", "stability", "premises"]
    even = Audit(trials.assign(**{"data/imbalance": 50.0}), METRIC, **of_everything.readers())
    assert topics(even)[-1] == "floor"


# What a record may lack


@pytest.mark.parametrize("reader", [missing, not_kept, lambda trial_id: pd.DataFrame()])
def test_readers_without_anything_leave_what_the_trials_tell(
    of_everything: Any, reader: Callable[[str], pd.DataFrame]
) -> None:
    found = Audit(of_everything.trials, METRIC, epochs=reader, trajectory=reader, plane=reader)
    assert topics(found) == ["joint", "margin", "scale", "stability", "floor"]
    assert found.broken == []


def all_frames(found: Audit) -> dict[str, pd.DataFrame]:
    names = (
        "scales", "fits", "shares", "below", "best", "margins", "curve", "drops", "joint", "reach", "floor",
        "stability", "agreement", "premises", "courses", "spread",
    )  # fmt: skip
    return {name: getattr(found, name) for name in names}


def shown(found: Audit) -> tuple[bool, bool, bool]:
    return found.has_joint_grid, found.has_floor, found.shows_planes


@pytest.mark.parametrize("status", ["diverged", "failed", "pruned"])
def test_without_a_completed_trial_nothing_is_judged(of_everything: Any, status: str) -> None:
    found = Audit(of_everything.trials.assign(status=status), METRIC, **of_everything.readers())
    told, gone = {name for name, frame in all_frames(found).items() if len(frame)}, status == "diverged"
    assert told == ({"scales", "fits", "shares", "below", "stability", "agreement"} if gone else set())
    assert shown(found) == (False, False, False)
    assert topics(found) == (["scale", "stability"] if gone else [])


def test_a_study_that_has_not_begun(tmp_path: Path) -> None:
    trials = StudyFolder(tmp_path, "begun").trials()
    assert trials.empty
    found = Audit(trials, METRIC)
    assert all(frame.empty for frame in all_frames(found).values())
    assert shown(found) == (False, False, False)
    assert (found.findings, found.broken, found.planes) == ((), [], [])
    assert set(found.checks["held"]) == {"not applicable"}


def test_an_older_record_is_read(of_everything: Any) -> None:
    """`tuned_vs_adaptive` was recorded before log odds, losses and accuracies of the training samples were."""
    found = Audit(pd.read_csv(OLD_RECORD), METRIC)
    assert topics(found) == ["stability"]
    frames = all_frames(found)
    assert len(frames["stability"]) == 4
    assert shown(found) == (False, False, False)
    assert found.broken == []
    held = found.checks.set_index("rule")["held"]
    assert held["No class centre has a smallest posterior above what eq. 6 grants the scale"] == "yes"
    assert (held == "not applicable").sum() == 5


def test_columns_that_older_trials_lack_may_be_null_in_part(of_everything: Any) -> None:
    trials = of_everything.trials
    new = [name for name in trials if name.startswith("geometry/")]
    half = trials.copy()
    half.loc[half.index % 2 == 0, new] = math.nan
    found = Audit(half, METRIC, **of_everything.readers())
    assert topics(found) == ["joint", "margin", "scale", "stability", "premises", "floor"]
    assert found.broken == []


def test_a_planted_violation_is_named(of_everything: Any) -> None:
    trials = of_everything.trials.copy()
    first = trials.index[trials["geometry/max_prototype_cosine"].notna()][0]
    trials.loc[first, "geometry/max_prototype_cosine"] = -0.999
    found = Audit(trials, METRIC)
    assert "No prototypes are packed better than C directions in K dimensions can be" in found.broken
    assert trials.loc[first, "trial_id"] in set(found.checks["trials"])
