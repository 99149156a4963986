"""Surveys as the planner runs them: every listed point, on every seed, in an order that can be cut off."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest

from hpstudy.record import TrialRequest
from hpstudy.search import Decision, LaneState, Planner
from hpstudy.spec import Study, parse_study

STUDY = """
version: 1
name: toy
question: What happens?
training: {epochs: 4}
conditions: {model.embedding_dim: [8, 16]}
arms:
  normface: {loss: normface, grid: {s: [4, 16, 40]}}
  adacos: {loss: adacos}
  cosface: {loss: cosface, grid: {s: [16, 32], m: [0, 0.2]}}
search: {seeds: [3, 0]}
confirm: {seeds: 0}
"""
ORDER = [
    f"{arm}.embedding_dim-{dim}.grid.s{seed}.{number:03d}"
    for seed in (3, 0)
    for dim in (8, 16)
    for arm, points in (("normface", 3), ("adacos", 1), ("cosface", 4))
    for number in range(points)
]


@dataclass(frozen=True)
class Outcome:
    status: str = "completed"
    objective: float = float("nan")


class Bench:
    """A planner over a record; runs trials in the order handed out."""

    def __init__(self, journal: Path, record: dict[str, Outcome] | None = None, text: str = STUDY) -> None:
        self.study: Study = parse_study(text)
        self.record = {} if record is None else record
        self.planner = Planner(self.study, journal, lookup=self.record.get)
        self.planner.spread_over(2)
        self.handed_out: list[TrialRequest] = []

    def take(self) -> TrialRequest:
        request = self.planner.next()
        assert isinstance(request, TrialRequest)
        self.handed_out.append(request)
        return request

    def end(self, request: TrialRequest, outcome: Outcome | None = None) -> None:
        self.record[request.trial_id] = outcome or Outcome()
        self.planner.finish(request.trial_id, self.record[request.trial_id])

    def run_all(self) -> list[str]:
        while not self.planner.finished:
            self.end(self.take())
        return [request.trial_id for request in self.handed_out]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_every_point_runs_once_on_every_seed_and_seeds_come_last(journal: Path) -> None:
    bench = Bench(journal)
    assert bench.run_all() == ORDER
    assert len(ORDER) == sum(bench.study.planned_trials().values()) == 32
    assert bench.planner.next() is Decision.FINISHED
    # Cut off in the middle of the seeds, it has all points of all arms in all conditions once.
    first = bench.handed_out[:16]
    assert {request.seed for request in first} == {3}
    assert len({(r.arm, r.condition, tuple(r.params.items())) for r in first}) == 16
    assert not journal.exists(), "nothing is searched, so there is nothing to remember"


def test_requests_say_what_they_are(journal: Path) -> None:
    bench = Bench(journal)
    bench.run_all()
    assert all(r.judged and r.of_survey and r.phase == "grid" and r.origin == "grid" for r in bench.handed_out)
    assert all(r.seed == r.search_seed for r in bench.handed_out)
    lanes = itertools.groupby(bench.handed_out, key=lambda r: (r.arm, r.condition, r.seed))
    points = {key: [(r.number, dict(r.params)) for r in lane] for key, lane in lanes}
    assert points["adacos", "embedding_dim-8", 0] == [(0, {})]
    assert points["normface", "embedding_dim-16", 3] == [(0, {"s": 4}), (1, {"s": 16}), (2, {"s": 40})]
    assert points["cosface", "embedding_dim-8", 0] == points["cosface", "embedding_dim-16", 3] == [
        (0, {"s": 16, "m": 0}), (1, {"s": 16, "m": 0.2}), (2, {"s": 32, "m": 0}), (3, {"s": 32, "m": 0.2}),
    ]  # fmt: skip


def test_only_surveys_judge_trials_that_confirm_nothing() -> None:
    request = TrialRequest(arm="a", condition="c", phase="grid", search_seed=0, number=0, seed=0, params={})
    assert not request.judged
    assert TrialRequest(**{**asdict(request), "of_survey": True}).judged
    assert TrialRequest(**{**asdict(request), "phase": "confirm"}).judged


def asdict(request: TrialRequest) -> dict[str, object]:
    return {name: getattr(request, name) for name in request.__slots__}


def test_all_trials_can_run_at_the_same_time(journal: Path) -> None:
    bench = Bench(journal)
    assert [bench.take().trial_id for _ in ORDER] == ORDER
    assert bench.planner.next() is Decision.WAIT
    assert not bench.planner.finished
    for request in reversed(bench.handed_out):
        bench.end(request)
    assert bench.planner.next() is Decision.FINISHED


@pytest.mark.parametrize("ended", [0, 1, 5, 16, 31, 32])
def test_a_new_planner_hands_out_what_is_missing_under_the_same_ids(journal: Path, ended: int) -> None:
    first = Bench(journal)
    for _ in range(ended):
        first.end(first.take())
    if ended < len(ORDER):
        first.take()  # under way when the driver was killed
    second = Bench(journal, first.record)
    assert second.run_all() == ORDER[ended:]
    assert list(second.record) == ORDER
    assert Bench(journal, second.record).planner.next() is Decision.FINISHED


def test_gaps_are_filled_whatever_order_trials_ended_in(journal: Path) -> None:
    kept = {trial_id: Outcome() for trial_id in ORDER[1::3]}
    assert Bench(journal, dict(kept)).run_all() == [trial_id for trial_id in ORDER if trial_id not in kept]


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_trial_that_came_to_nothing_is_not_run_again(journal: Path, status: str) -> None:
    first = Bench(journal)
    first.end(first.take(), Outcome(status))
    assert Bench(journal, first.record).run_all() == ORDER[1:]


def test_a_trial_that_is_handed_back_is_handed_out_again_first(journal: Path) -> None:
    bench = Bench(journal)
    taken = [bench.take() for _ in range(5)]
    bench.planner.hand_back(taken[1].trial_id)
    bench.planner.hand_back(taken[4].trial_id)
    again = [bench.take() for _ in range(2)]
    assert again == [taken[1], taken[4]]
    assert bench.take().trial_id == ORDER[5]


def test_no_trial_of_a_survey_is_stopped_early(journal: Path) -> None:
    bench = Bench(journal)
    taken = [bench.take() for _ in range(3)]
    assert not any(
        bench.planner.report(request.trial_id, epoch, value)
        for epoch in range(1, 5)
        for request, value in zip(taken, (0.9, 0.0, float("nan")), strict=True)
    )


def test_lanes_tell_their_budgets(journal: Path) -> None:
    states = Bench(journal).planner.states()
    assert states[:3] == [
        LaneState(arm=arm, condition="embedding_dim-8", phase="grid", search_seed=3, budget=budget)
        for arm, budget in (("normface", 3), ("adacos", 1), ("cosface", 4))
    ]
    assert sum(state.budget for state in states) == len(ORDER)


def test_the_same_grid_is_searched_and_confirmed_where_points_are_chosen(journal: Path) -> None:
    bench = Bench(journal, text=STUDY.replace("confirm: {seeds: 0}", "confirm: {seeds: 1}"))
    for _ in range(200):
        if bench.planner.finished:
            break
        request = bench.take()
        bench.end(request, Outcome(objective=float(request.params.get("s", 0.0))))
    assert not any(request.of_survey for request in bench.handed_out)
    assert {r.judged for r in bench.handed_out if r.phase == "grid"} == {False}
    confirm = [r for r in bench.handed_out if r.phase == "confirm"]
    assert len(confirm) == 2 * (2 * 2 + 1)
    assert all(r.judged for r in confirm)
    assert {r.params["s"] for r in confirm if r.arm == "normface"} == {40}
