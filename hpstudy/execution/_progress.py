"""How a running study stands, for whoever shows it."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from hpstudy.record import TrialResult
from hpstudy.search import LaneState


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmProgress:
    """One arm in one condition."""

    arm: str
    condition: str
    search_done: int
    search_total: int
    confirm_done: int
    confirm_total: int
    running: tuple[str, ...]
    """Trials running now, each with its epoch and last value."""
    best: float | None
    """Highest validation objective among completed search or grid trials."""
    best_params: Mapping[str, float]
    confirmed: float | None
    """Mean validation objective of the confirm trials so far."""
    pruned: int
    diverged: int
    failed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """The whole study."""

    arms: tuple[ArmProgress, ...]
    done: int
    total: int
    elapsed_s: float
    eta_s: float | None
    """Expected seconds to the end, from the mean cost of the trials so far; None while there is none."""
    last: TrialResult | None
    """The trial that ended last in this session."""


@dataclass
class _Costs:
    """Wall seconds of the trials of a kind."""

    trials: int = 0
    seconds: float = 0.0

    def add(self, result: TrialResult) -> None:
        self.trials += 1
        self.seconds += result.groups.get("cost/wall_s", 0.0)


@dataclass
class _Tally:
    """The trials of one arm in one condition, counted as they end: thousands may have."""

    running: dict[str, str] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    searched: int = 0
    confirmed: int = 0
    confirm_sum: float = 0.0
    best: TrialResult | None = None

    def add(self, result: TrialResult) -> None:
        self.running.pop(result.trial_id, None)
        self.statuses[result.status] += 1
        if result.phase == "confirm":
            self.confirmed += 1
            self.confirm_sum += result.objective
            return
        self.searched += 1
        usable = result.status == "completed" and math.isfinite(result.objective)
        if usable and (self.best is None or result.objective > self.best.objective):
            self.best = result


class ProgressKeeper:
    """Counts what happens to trials; made anew at each start from the record.

    Attributes:
        slots: Trials that run at the same time.
    """

    def __init__(self) -> None:
        self.slots = 1
        self._tallies: dict[tuple[str, str], _Tally] = defaultdict(_Tally)
        self._costs = {confirm: _Costs() for confirm in (True, False)}
        self._began = time.monotonic()
        self._last: TrialResult | None = None

    def resumed(self, result: TrialResult) -> None:
        """A trial had ended before this session began."""
        self._tallies[result.arm, result.condition].add(result)
        self._costs[result.phase == "confirm"].add(result)

    def started(self, arm: str, condition: str, trial_id: str) -> None:
        """A trial began to run."""
        self._tallies[arm, condition].running[trial_id] = ""

    def reported(self, arm: str, condition: str, trial_id: str, epoch: int, value: float) -> None:
        """A trial finished an epoch."""
        told = f": {value:.3f}" if math.isfinite(value) else ""
        self._tallies[arm, condition].running[trial_id] = f"epoch {epoch}{told}"

    def finished(self, result: TrialResult) -> None:
        """A trial ended."""
        self.resumed(result)
        self._last = result

    def snapshot(self, lanes: list[LaneState]) -> Progress:
        """The state of all arms, in the order of the study."""
        totals: dict[tuple[str, str], dict[bool, int]] = {}
        for lane in sorted(lanes, key=lambda lane: lane.phase == "confirm"):
            counts = totals.setdefault((lane.arm, lane.condition), {True: 0, False: 0})
            counts[lane.phase == "confirm"] += lane.budget
        arms = tuple(self._arm(*key, totals[key]) for key in totals)
        done = sum(arm.search_done + arm.confirm_done for arm in arms)
        total = sum(arm.search_total + arm.confirm_total for arm in arms)
        return Progress(
            arms=arms,
            done=done,
            total=total,
            elapsed_s=time.monotonic() - self._began,
            eta_s=self._eta(arms),
            last=self._last,
        )

    def _arm(self, arm: str, condition: str, totals: Mapping[bool, int]) -> ArmProgress:
        tally = self._tallies[arm, condition]
        best = tally.best
        return ArmProgress(
            arm=arm,
            condition=condition,
            search_done=tally.searched,
            search_total=totals[False],
            confirm_done=tally.confirmed,
            confirm_total=totals[True],
            running=tuple(tally.running.values()),
            best=best.objective if best else None,
            best_params=_params(best) if best else {},
            confirmed=tally.confirm_sum / tally.confirmed if tally.confirmed else None,
            pruned=tally.statuses["pruned"],
            diverged=tally.statuses["diverged"],
            failed=tally.statuses["failed"],
        )

    def _eta(self, arms: tuple[ArmProgress, ...]) -> float | None:
        trials = sum(costs.trials for costs in self._costs.values())
        if not trials:
            return None
        overall = sum(costs.seconds for costs in self._costs.values()) / trials
        remaining = 0.0
        for confirm, left in (
            (False, sum(arm.search_total - arm.search_done for arm in arms)),
            (True, sum(arm.confirm_total - arm.confirm_done for arm in arms)),
        ):
            costs = self._costs[confirm]
            remaining += left * (costs.seconds / costs.trials if costs.trials else overall)
        return remaining / max(1, self.slots)


def _params(result: TrialResult) -> dict[str, float]:
    prefix = "param/"
    return {name[len(prefix) :]: value for name, value in result.groups.items() if name.startswith(prefix)}
