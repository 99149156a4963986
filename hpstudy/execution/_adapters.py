"""The planner in the shapes that Tune calls: a searcher that hands out trials, a scheduler that stops them."""

import json
from collections import Counter, deque
from dataclasses import replace
from typing import Any, Protocol

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from hpstudy.execution._order import TrialOrder
from hpstudy.execution._trainable import failed_result
from hpstudy.execution._watch import Loss, Watch
from hpstudy.record import StudyFolder, TrialRequest, TrialResult
from hpstudy.search import Decision, Planner

LEAST_FREE_BYTES = 64 * 2**20
"""Free space below which a worker's death is taken for a full disk, and the study is halted."""

MOST_LOSSES = {"died": 3, "hung": 3, "node": 10, "overdue": 0}
"""How often a trial is tried again after it lost its worker, by how it did. A node can be taken away at any time, so
that its trials are hardly to blame."""


class Listener(Protocol):
    """Hears what happens to trials, in the driver."""

    def trial_started(self, order: TrialOrder) -> None: ...
    def trial_reported(self, order: TrialOrder, epoch: int, value: float) -> None: ...
    def trial_finished(self, order: TrialOrder, result: TrialResult) -> None: ...


class OrderBook:
    """Connects Tune's trials with the planner's: both adapters share one.

    Args:
        planner: Decides.
        folder: The study's record.
        listener: Hears what happens.
        make_order: Completes a planner's request into what a worker needs.
        watch: Knows how a trial lost its worker.
    """

    def __init__(
        self, planner: Planner, folder: StudyFolder, listener: Listener, make_order: "OrderMaker", watch: Watch
    ) -> None:
        self._planner = planner
        self._folder = folder
        self._listener = listener
        self._make_order = make_order
        self._watch = watch
        self._orders: dict[str, TrialOrder] = {}
        self._last_rows: dict[str, str] = {}
        self._losses: Counter[tuple[str, str]] = Counter()
        self.halted = ""
        """Why no further trial is handed out; empty while all is well."""

    def __reduce__(self) -> tuple[type["_NoBook"], tuple[()]]:
        # Tune pickles its parts for `Tuner.restore`, which is never used: the record is the truth.
        return (_NoBook, ())

    def next(self, tune_id: str) -> TrialOrder | Decision:
        """The next trial, entered under Tune's id."""
        self.halted = self.halted or self._taken_over()
        answer = Decision.FINISHED if self.halted else self._planner.next()
        if isinstance(answer, Decision):
            return answer
        order = replace(self._make_order(answer), pulse=self._watch.name)
        self._orders[tune_id] = order
        self._watch.expect(tune_id, order.request.trial_id)
        return order

    def started(self, tune_id: str) -> None:
        """A worker took the trial."""
        self._listener.trial_started(self._orders[tune_id])

    def reported(self, tune_id: str, result: dict[str, Any]) -> bool:
        """A trial finished an epoch; returns whether it stops here."""
        order = self._orders[tune_id]
        epoch, value = int(result["epoch"]), float(result["objective"])
        self._last_rows[order.request.trial_id] = result["row"]
        self._listener.trial_reported(order, epoch, value)
        if self._folder.lock.lost:
            return True
        if not self._planner.report(order.request.trial_id, epoch, value):
            return False
        # The record first, Optuna's journal second: a driver killed in between finds the result and tells it.
        self._folder.finish_trial(TrialResult.from_row(json.loads(result["row"])))
        return True

    def ended(self, tune_id: str, reply: dict[str, Any] | None) -> None:
        """Tune is done with a trial: it ended, its worker died (no reply), or the study was interrupted."""
        order = self._orders.pop(tune_id)
        trial_id = order.request.trial_id
        self.halted = self.halted or self._taken_over()
        if self._folder.lock.lost:
            return None  # the trial is the other driver's
        result = self._folder.result(trial_id)
        if result is None and reply is not None and reply.get("done"):
            # The worker wrote it; a shared folder may show it here only later.
            result = TrialResult.from_row(json.loads(reply["row"]))
        loss = self._watch.loss(trial_id) if result is None and reply is None else None
        self._watch.forget(tune_id, trial_id)
        if result is None and loss is None:
            return None  # interrupted: the trial stays open and is continued by the next session
        if result is None:
            assert loss is not None
            self.halted = self.halted or self._full_disk()
            self._losses[trial_id, loss.kind] += 1
            if self.halted or self._losses[trial_id, loss.kind] <= MOST_LOSSES[loss.kind]:
                return self._planner.hand_back(trial_id)
            result = self._lost(order, loss)
            self._folder.finish_trial(result)
        self._last_rows.pop(trial_id, None)
        self._planner.finish(trial_id, result)
        return self._listener.trial_finished(order, result)

    def _taken_over(self) -> str:
        """What to say of another driver that holds the study now; empty while this one does."""
        if not self._folder.lock.lost:
            return ""
        return (
            f"another driver has taken study {self._folder.name!r} over, as this one was out of touch with "
            f"{self._folder.home} for too long; that one goes on with it"
        )

    def _full_disk(self) -> str:
        """What to say of a full disk; empty while there is room."""
        free = self._folder.free_bytes()
        if free is None or free >= LEAST_FREE_BYTES:
            return ""
        return (
            f"the disk of {self._folder.home} is full ({free / 2**20:.0f} MiB free, a study needs at least "
            f"{LEAST_FREE_BYTES / 2**20:.0f}); what it holds is intact: free some space, then run "
            f"hpstudy resume {self._folder.name} --home {self._folder.home}"
        )

    def _lost(self, order: TrialOrder, loss: Loss) -> TrialResult:
        """The row of a trial that is given up: what it had come to, at chance level."""
        times = self._losses[order.request.trial_id, loss.kind]
        cause = loss.words if times == 1 else f"{loss.words}, {times} times"
        failed, last = failed_result(order, cause), self._last_rows.get(order.request.trial_id)
        if last is None:
            return failed
        return replace(TrialResult.from_row(json.loads(last)), status="failed", cause=cause, objective=failed.objective)


class _NoBook:
    """What is left of a book in Tune's own snapshot."""


class OrderMaker(Protocol):
    """Completes a request of the planner."""

    def __call__(self, request: TrialRequest) -> TrialOrder: ...


class PlanSearcher(Searcher):
    """Tune asks for trials; the planner answers."""

    def __init__(self, book: OrderBook) -> None:
        super().__init__(metric="objective", mode="max")
        self._book = book

    def suggest(self, trial_id: str) -> Any:
        """The next trial's config, None for wait, or Searcher.FINISHED."""
        answer = self._book.next(trial_id)
        if answer is Decision.WAIT:
            return None
        if answer is Decision.FINISHED:
            return Searcher.FINISHED
        assert isinstance(answer, TrialOrder)
        return answer.to_config()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Hears that a trial ended; `error` where its worker died."""
        self._book.ended(trial_id, None if error else (result or {}))

    def save(self, checkpoint_path: str) -> None:
        """Writes nothing: the journal and the record hold all state."""

    def restore(self, checkpoint_path: str) -> None:
        """Refused: a study is resumed by a new planner."""
        raise NotImplementedError("a study is resumed from its record, not from Tune's")

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Writes nothing: the journal and the record hold all state."""


class PlanScheduler(FIFOScheduler):
    """Runs trials in the planner's order and stops those whose search says so."""

    def __init__(self, book: OrderBook) -> None:
        super().__init__()
        self._book = book
        self._new: deque[Trial] = deque()

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Tune has a new trial."""
        self._new.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Each trial once.

        Tune's own choice is the first of all its trials that waits, for a worker that is starting as well: it gives
        that one a worker that came free and ends the one that starts. Where trials take less time than to start a
        worker, a second one would never get there.
        """
        return self._new.popleft() if self._new else None

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Asks the planner after each epoch."""
        return TrialScheduler.STOP if self._book.reported(trial.trial_id, result) else TrialScheduler.CONTINUE


class StartCallback(Callback):
    """Tells the book when a trial really runs."""

    def __init__(self, book: OrderBook) -> None:
        self._book = book

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Called by Tune."""
        self._book.started(trial.trial_id)


def trial_name(trial: Trial) -> str:
    """Tune's name of a trial: ours."""
    return str(json.loads(trial.config["order"])["request"]["arm"]) + "_" + trial.trial_id
