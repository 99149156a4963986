"""Lanes whose trials are known beforehand: confirm trials of a point, and the listed points of a survey."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from hpstudy.record import TrialRequest
from hpstudy.search._lanes import Lookup, Outcome, SearchLane


class ListedLane(ABC):
    """Hands out a list of trials, those that the record holds already left out; nothing depends on how they end.

    Args:
        arm: The arm's name.
        condition: The condition's id.
        search_seed: Search seed that the trials belong to.
        lookup: Results that the record already holds.
    """

    phase: str

    def __init__(self, arm: str, condition: str, search_seed: int, *, lookup: Lookup) -> None:
        self.arm = arm
        self.condition = condition
        self.search_seed = search_seed
        self._lookup = lookup
        self._todo: list[TrialRequest] | None = None
        self._live: dict[int, TrialRequest] = {}

    @property
    @abstractmethod
    def budget(self) -> int:
        """Trials to run."""

    @property
    def _is_known(self) -> bool:
        """Whether the list can be made: nothing that it depends on is under way."""
        return True

    @abstractmethod
    def _requests(self) -> list[TrialRequest]:
        """The list."""

    @property
    def finished(self) -> bool:
        """Whether every trial has been run."""
        return self._is_open() and not self._todo and not self._live

    def next(self) -> TrialRequest | None:
        """The next trial to run; None while the list is not known, and when all are handed out."""
        if not self._is_open() or not self._todo:
            return None
        request = self._todo.pop(0)
        self._live[request.number] = request
        return request

    def _is_open(self) -> bool:
        """Whether there is nothing left to wait for; what is to be run is settled when it is first seen to be so."""
        if self._todo is None and self._is_known:
            self._todo = [request for request in self._requests() if self._lookup(request.trial_id) is None]
        return self._todo is not None

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Listed trials always run their whole budget."""
        return False

    def hand_back(self, number: int) -> None:
        """Takes back a trial that was not run to its end."""
        assert self._todo is not None
        self._todo.insert(0, self._live.pop(number))

    def finish(self, number: int, outcome: Outcome) -> None:
        """Marks a trial as done, however it ended."""
        self._live.pop(number, None)


class ConfirmLane(ListedLane):
    """The chosen point of one search, or an arm with nothing to choose, on fresh seeds.

    Args:
        arm: The arm's name.
        condition: The condition's id.
        search: The search whose choice is confirmed; None for an arm with nothing to tune.
        seeds: Training seeds, none of them used in any search.
        lookup: Results that the record already holds.
    """

    phase = "confirm"

    def __init__(
        self, arm: str, condition: str, *, search: SearchLane | None, seeds: Sequence[int], lookup: Lookup
    ) -> None:
        super().__init__(arm, condition, search.search_seed if search else 0, lookup=lookup)
        self._search = search
        self._seeds = tuple(seeds)

    @property
    def budget(self) -> int:
        """Confirm trials to run; 0 once it is known that the search left no point to confirm."""
        return 0 if self._search and self._search.finished and self._search.chosen() is None else len(self._seeds)

    @property
    def _is_known(self) -> bool:
        return self._search is None or self._search.finished

    def _requests(self) -> list[TrialRequest]:
        chosen = self._search.chosen() if self._search else None
        if self._search is not None and chosen is None:
            return []
        return [
            TrialRequest(
                arm=self.arm,
                condition=self.condition,
                phase=self.phase,
                search_seed=self.search_seed,
                number=seed,
                seed=seed,
                params=chosen.params if chosen else {},
                origin="chosen" if chosen else "",
            )
            for seed in self._seeds
        ]


class SurveyLane(ListedLane):
    """The listed points of an arm on one training seed; nothing is chosen among them, so each is judged.

    Args:
        arm: The arm's name.
        condition: The condition's id.
        seed: Training seed.
        points: What is listed, in order.
        lookup: Results that the record already holds.
    """

    phase = "grid"

    def __init__(
        self, arm: str, condition: str, seed: int, *, points: Sequence[Mapping[str, float]], lookup: Lookup
    ) -> None:
        super().__init__(arm, condition, seed, lookup=lookup)
        self._points = tuple(points)

    @property
    def budget(self) -> int:
        """As many as there are points."""
        return len(self._points)

    def _requests(self) -> list[TrialRequest]:
        return [
            TrialRequest(
                arm=self.arm,
                condition=self.condition,
                phase=self.phase,
                search_seed=self.search_seed,
                number=number,
                seed=self.search_seed,
                params=point,
                origin="grid",
                of_survey=True,
            )
            for number, point in enumerate(self._points)
        ]
