"""The study's plan: which trial next, over all arms, conditions and search seeds."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from optuna.storages import JournalStorage

from hpstudy.record import Location, TrialRequest
from hpstudy.search._journal import open_journal
from hpstudy.search._lanes import Lookup, Outcome, SearchLane
from hpstudy.search._lines import StudyJournal
from hpstudy.search._listed_lanes import ConfirmLane, ListedLane, SurveyLane
from hpstudy.spec import Study

FIRST_CONFIRM_SEED = 101


class Decision(Enum):
    """What the planner says where it has no trial to hand out."""

    WAIT = "wait"
    """Trials are running whose outcome the next one depends on."""
    FINISHED = "finished"
    """Every trial has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneState:
    """One lane and the trials that it is to run."""

    arm: str
    condition: str
    phase: str
    search_seed: int
    budget: int


class Planner:
    """Decides, and leaves executing to others: hands out trials, hears of their values, says when to stop one.

    Each search hands out at most `width` trials at a time, spread evenly over the searches; with as many searches as
    there are places to run, that is one, and each search's choices then follow from its seed alone. Confirm trials of a
    search start as soon as it has ended. Continuing a killed study means making a new planner over the same journal and
    record: finished trials are not handed out again, those left running are handed out first, under their own ids. In a
    survey there is nothing to search or to confirm: the listed points run in order.

    Args:
        study: The study.
        journal: Where Optuna's journal is.
        lookup: Results that the record already holds.
    """

    def __init__(self, study: Study, journal: Location, *, lookup: Lookup) -> None:
        self._searches: list[SearchLane] = []
        self._listed: list[ListedLane] = []
        self._journal: StudyJournal | None = None
        if study.is_survey:
            self._survey(study, lookup)
        else:
            self._search_and_confirm(study, journal, lookup)
        self._width = 1
        self._lane_of: dict[str, tuple[SearchLane | ListedLane, int]] = {}

    def _survey(self, study: Study, lookup: Lookup) -> None:
        """Seeds come last in the order, so that a survey that is cut off has all points of all arms once."""
        for seed in study.spec.search.seeds:
            for condition in study.conditions():
                self._listed += [
                    SurveyLane(arm.name, condition.id, seed, points=study.listed_points(arm), lookup=lookup)
                    for arm in study.arms
                ]

    def _search_and_confirm(self, study: Study, journal: Location, lookup: Lookup) -> None:
        spec = study.spec
        self._journal = open_journal(journal)
        storage = JournalStorage(self._journal)
        confirm_seeds = confirm_seeds_of(study)
        for condition in study.conditions():
            for arm in study.arms:
                searches: list[SearchLane | None] = [None]
                if arm.kind != "fixed":
                    searches = [
                        SearchLane(
                            arm.name,
                            condition.id,
                            seed,
                            space=arm.space,
                            grid=arm.grid_points(),
                            known_points=arm.first_points(spec.search),
                            factorial=arm.factorial_points(spec.search),
                            spec=spec.search,
                            storage=storage,
                            lookup=lookup,
                        )
                        for seed in spec.search.seeds
                    ]
                self._searches += [search for search in searches if search]
                self._listed += [
                    ConfirmLane(arm.name, condition.id, search=search, seeds=confirm_seeds, lookup=lookup)
                    for search in searches
                ]
        self._sync()

    def _sync(self) -> None:
        if self._journal is not None:
            self._journal.sync()

    def _flush(self) -> None:
        if self._journal is not None:
            self._journal.flush()

    def spread_over(self, slots: int) -> None:
        """Sets the width to what keeps `slots` trials running at the same time."""
        self._width = max(1, -(-slots // max(1, len(self._searches))))

    def next(self) -> TrialRequest | Decision:
        """The next trial to run, or why there is none."""
        open_searches = [lane for lane in self._searches if lane.outstanding < self._width]
        open_searches.sort(key=lambda lane: lane.started / lane.budget)
        lanes: list[SearchLane | ListedLane] = [*open_searches, *self._listed]
        for lane in lanes:
            request = lane.next()
            if request is not None:
                self._lane_of[request.trial_id] = (lane, request.number)
                self._sync()
                return request
        return Decision.FINISHED if self.finished else Decision.WAIT

    @property
    def finished(self) -> bool:
        """Whether every trial of the study has ended."""
        return all(lane.finished for lane in self._lanes())

    def report(self, trial_id: str, epoch: int, value: float) -> bool:
        """Notes a running trial's validation value; returns whether it should stop early."""
        lane, number = self._lane_of[trial_id]
        stops = lane.report(number, epoch, value)
        self._flush()
        return stops

    def hand_back(self, trial_id: str) -> None:
        """Takes back a trial that did not end; it is handed out again."""
        lane, number = self._lane_of.pop(trial_id)
        lane.hand_back(number)

    def finish(self, trial_id: str, outcome: Outcome) -> None:
        """Takes a trial's outcome."""
        lane, number = self._lane_of.pop(trial_id)
        lane.finish(number, outcome)
        # No more: the record has the outcome, and a journal that a power cut took it from is told again.
        self._flush()

    def states(self) -> list[LaneState]:
        """Every lane, searches first."""
        return [
            LaneState(
                arm=lane.arm,
                condition=lane.condition,
                phase=lane.phase,
                search_seed=lane.search_seed,
                budget=lane.budget,
            )
            for lane in self._lanes()
        ]

    def _lanes(self) -> Iterable[SearchLane | ListedLane]:
        return [*self._searches, *self._listed]


def confirm_seeds_of(study: Study) -> list[int]:
    """Training seeds of the confirm trials: the first ones from 101 on that no search uses, the same for all arms."""
    seeds: list[int] = []
    candidate = FIRST_CONFIRM_SEED
    while len(seeds) < study.spec.confirm.seeds:
        if candidate not in study.spec.search.seeds:
            seeds.append(candidate)
        candidate += 1
    return seeds
