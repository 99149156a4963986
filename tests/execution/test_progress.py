"""Counting what happens to trials."""

import pytest

from hpstudy.execution import Progress
from hpstudy.execution._progress import ProgressKeeper
from hpstudy.record import TrialResult
from hpstudy.search import LaneState


def lane(phase: str, budget: int, arm: str = "cosface") -> LaneState:
    return LaneState(arm=arm, condition="default", phase=phase, search_seed=0, budget=budget)


def result(trial: str, phase: str = "search", status: str = "completed", objective: float = 0.5, wall: float = 10.0):
    return TrialResult(
        study="toy",
        trial_id=trial,
        arm="cosface",
        condition="default",
        phase=phase,
        search_seed=0,
        number=0,
        seed=0,
        loss="cosface",
        num_classes=10,
        embedding_dim=4,
        s=objective * 10,
        m=0.35,
        status=status,
        objective=objective,
        groups={"param/s": objective * 10, "cost/wall_s": wall},
    )


@pytest.fixture
def keeper() -> ProgressKeeper:
    return ProgressKeeper()


LANES = [lane("search", 4), lane("confirm", 2), lane("confirm", 2, arm="adacos")]


def test_nothing_has_happened_yet(keeper: ProgressKeeper) -> None:
    progress = keeper.snapshot(LANES)
    assert isinstance(progress, Progress)
    assert (progress.done, progress.total, progress.eta_s, progress.last) == (0, 8, None, None)
    assert [(arm.arm, arm.search_total, arm.confirm_total) for arm in progress.arms] == [
        ("cosface", 4, 2),
        ("adacos", 0, 2),
    ]


def test_trials_are_counted_by_how_they_end(keeper: ProgressKeeper) -> None:
    keeper.started("cosface", "default", "a")
    keeper.reported("cosface", "default", "a", 3, 0.25)
    [arm, _] = keeper.snapshot(LANES).arms
    assert arm.running == ("epoch 3: 0.250",)
    for ended in (
        result("a", objective=0.4),
        result("b", objective=0.6),
        result("c", status="diverged", objective=0.9),
        result("d", status="pruned", objective=0.8),
        result("e", phase="confirm", objective=0.5),
    ):
        keeper.finished(ended)
    [arm, _] = keeper.snapshot(LANES).arms
    assert arm.running == ()
    assert (arm.search_done, arm.confirm_done, arm.pruned, arm.diverged, arm.failed) == (4, 1, 1, 1, 0)
    assert (arm.best, dict(arm.best_params), arm.confirmed) == (0.6, {"s": 6.0}, 0.5)


def test_the_time_left_is_the_mean_cost_of_what_is_left_over_the_places_to_run(keeper: ProgressKeeper) -> None:
    keeper.slots = 2
    keeper.finished(result("a", wall=10.0))
    keeper.finished(result("b", wall=20.0))
    # Two searches left at 15 s; four confirm trials, of which none has run, at the mean of all, 15 s.
    assert keeper.snapshot(LANES).eta_s == pytest.approx((2 * 15 + 4 * 15) / 2)
    keeper.finished(result("e", phase="confirm", wall=40.0))
    assert keeper.snapshot(LANES).eta_s == pytest.approx((2 * 15 + 3 * 40) / 2)


def test_trials_of_an_earlier_session_count_but_are_no_news(keeper: ProgressKeeper) -> None:
    keeper.resumed(result("a"))
    progress = keeper.snapshot(LANES)
    assert (progress.done, progress.last) == (1, None)
