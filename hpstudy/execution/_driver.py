"""From a study to its finished record."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpstudy.exceptions import StudyConflictError
from hpstudy.execution._order import TrialOrder
from hpstudy.execution._progress import Progress, ProgressKeeper
from hpstudy.execution._ray import joining_ray, prepare_environment
from hpstudy.record import Location, StudyFolder, TrialRequest, TrialResult
from hpstudy.search import Planner
from hpstudy.spec import Study, diff_studies
from hpstudy.tracking import Tracker, record_loader

if TYPE_CHECKING:
    from hpstudy.execution._preflight import Capacity

LEAST_S_BETWEEN_EPOCHS = 0.2
"""Seconds within which not every epoch of every trial is shown; that a trial begins or ends always is."""

GATHERED_AT_ONCE = 250
"""Trials, at least, after which their results are gathered into one table, from which a large study is read again in a
moment."""
GATHERED_SHARE = 0.2
"""The same as a share of those gathered before, so that writing the table anew costs each trial alike."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """How a session of a study ended."""

    finished: bool
    """False if it was interrupted; `hpstudy resume` continues it."""
    ran: bool
    """False if all trials had ended before; the tracker was told of nothing then."""
    progress: Progress


def run_study(
    study: Study,
    home: Location | str,
    tracker: Tracker,
    *,
    observe: Callable[[Progress], None] = lambda progress: None,
) -> RunOutcome:
    """Runs a study to its end, or continues one that was begun.

    Trials that the record holds are not run again; those that a killed driver left are continued from their own
    checkpoints. Nothing is written before the study file, the data and the cluster were found fit.

    Args:
        study: The study.
        home: Holds studies: a folder, or the address of an object store.
        tracker: Is started with the first trial and told of every one; the caller tells it of the study's end and
            closes it.
        observe: Called with every change, in this thread.

    Raises:
        InputError: data are missing or too few, or no node fits a trial.
        StudyConflictError: the name belongs to another study file, or another driver runs the study.
    """
    prepare_environment()
    folder = StudyFolder(home, study.name)
    with contextlib.ExitStack() as held, contextlib.ExitStack() as cluster:  # Ray is left before the lock is
        begun = folder.exists()
        joined: Callable[[], None] | None = None
        if begun:
            held.enter_context(folder.lock)  # a second driver is told at once
            _refuse_other_file(study, folder)
            if len(folder.finished_trials()) < sum(study.planned_trials().values()):
                # Its data and parts were found fit when it began: there is little left to refuse.
                joined = cluster.enter_context(joining_ray())
            session = _Session(study, folder, tracker, observe)
            if session.planner.finished:
                session.gather()
                return session.outcome()
        # Here, as torch takes seconds to import, in which Ray may come.
        from hpstudy.execution._inputs import check_arms, check_data

        datasets = folder.datasets
        looks = check_data(study, datasets)
        hashes = {name: look.content_hash for name, look in looks.items()}
        data_facts = {f"data {name}": digest for name, digest in hashes.items()}
        check_arms(study, datasets)
        if begun:
            _refuse_other_data(data_facts, folder)
        joined = joined or cluster.enter_context(joining_ray())
        joined()
        from hpstudy.execution._preflight import check_cluster, check_nodes
        from hpstudy.execution._provenance import provenance

        capacity = check_cluster(study.spec.resources)
        check_nodes(study, folder, hashes, capacity)
        if not begun:
            held.enter_context(folder.lock)
            _refuse_other_file(study, folder)
            folder.begin(study.resolved_yaml)
        facts = provenance(slots=capacity.slots, nodes=capacity.nodes)
        folder.add_session({**facts, **data_facts, **{f"images {name}": look.images for name, look in looks.items()}})
        if not begun:
            session = _Session(study, folder, tracker, observe)
        session.execute(capacity)
        cluster.close()
        session.gather()
        return session.outcome()


class _Session:
    """One driver's time with a study whose lock it holds.

    Making one opens Optuna's journal and brings it up to the record; the tracker follows with the first trial.
    """

    def __init__(
        self, study: Study, folder: StudyFolder, tracker: Tracker, observe: Callable[[Progress], None]
    ) -> None:
        before = folder.results()
        known = {result.trial_id: result for result in before}
        self.planner = Planner(study, folder.journal, lookup=lambda trial_id: known.get(trial_id))
        self._study = study
        self._folder = folder
        self._tracker = tracker
        self._observe = observe
        self._keeper = ProgressKeeper()
        self._shown = 0.0
        self._ungathered: list[TrialResult] = []
        self._gathered = len(before)
        folder.sweep()
        for result in before:
            self._keeper.resumed(result)
        self._load = record_loader(folder)
        self._before = before
        self._told = False
        self._show()

    def outcome(self) -> RunOutcome:
        """How the session leaves the study."""
        progress = self._keeper.snapshot(self.planner.states())
        return RunOutcome(finished=self.planner.finished, ran=self._told, progress=progress)

    def execute(self, capacity: "Capacity") -> None:
        """Runs trials until there is none left, or the driver is interrupted."""
        from hpstudy.execution import _tune

        self.planner.spread_over(capacity.slots)
        self._keeper.slots = capacity.slots
        self._show()
        resources = self._study.spec.resources
        try:
            _tune.run_trials(self.planner, self._folder, self, self._make_order, resources, capacity.slots)
        except BaseException:
            self._tracker.interrupted()
            raise
        self._begin_telling()  # of a session that was interrupted before its first trial
        self._show()

    def gather(self) -> None:
        """Brings the table of all trials up to the record."""
        self._folder.write_trials(self._ungathered)
        self._gathered += len(self._ungathered)
        self._ungathered.clear()

    def trial_started(self, order: TrialOrder) -> None:
        """Called when a worker takes a trial."""
        self._begin_telling()
        request = order.request
        self._keeper.started(request.arm, request.condition, request.trial_id)
        self._tracker.trial_started(_opening_row(order))
        self._show()

    def trial_reported(self, order: TrialOrder, epoch: int, value: float) -> None:
        """Called after each epoch of a trial."""
        request = order.request
        self._keeper.reported(request.arm, request.condition, request.trial_id, epoch, value)
        if time.monotonic() - self._shown > LEAST_S_BETWEEN_EPOCHS:
            self._show()

    def trial_finished(self, order: TrialOrder, result: TrialResult) -> None:
        """Called when a trial's result is in the record."""
        self._keeper.finished(result)
        self._ungathered.append(result)
        if len(self._ungathered) >= max(GATHERED_AT_ONCE, GATHERED_SHARE * self._gathered):
            self.gather()
        self._tracker.trial_finished(result.as_row(), self._load)
        self._show()

    def _begin_telling(self) -> None:
        """Opens the study in the tracker, with what earlier sessions left.

        Not before a trial runs: its start would wait for all that the tracker's thread imports and delivers.
        """
        if not self._told:
            self._told = True
            self._tracker.start()
            self._tracker.catch_up([result.as_row() for result in self._before], self._load)
            self._before.clear()

    def _show(self) -> None:
        self._shown = time.monotonic()
        self._observe(self._keeper.snapshot(self.planner.states()))

    def _make_order(self, request: TrialRequest) -> TrialOrder:
        resources = self._study.spec.resources
        return TrialOrder(
            request=request,
            settings=self._study.trial_settings(request.arm, request.condition, request.params),
            home=str(self._folder.home),
            study=self._study.name,
            objective=self._study.spec.search.primary,
            further=self._study.spec.search.objectives[1:],
            cpus=resources.cpus,
            gpus=resources.gpus,
            on_oom=resources.on_oom,
        )


def _refuse_other_file(study: Study, folder: StudyFolder) -> None:
    if not folder.exists():
        return
    kept = folder.resolved_yaml()
    if kept != study.resolved_yaml:
        raise StudyConflictError(
            f"study {study.name!r} was begun in {folder.path} with another file; give this one another name, or "
            f"delete that folder\n{diff_studies(kept, study.resolved_yaml)}"
        )


def _refuse_other_data(hashes: dict[str, str], folder: StudyFolder) -> None:
    sessions = folder.sessions()
    changed = [name for name in hashes if sessions and sessions[0].get(name, hashes[name]) != hashes[name]]
    if changed:
        raise StudyConflictError(
            f"study {folder.name!r} was begun on other data ({', '.join(changed)} changed since): restore the data, or "
            "start a study under another name"
        )


def _opening_row(order: TrialOrder) -> dict[str, Any]:
    request, head = order.request, order.settings.head
    return {
        "study": order.study,
        **request.identity(),
        "loss": head.loss,
        "s": float(head.scale.get("s", "nan")),
        "m": float(head.margin.get("m", "nan")),
        "num_classes": order.settings.data.identities.train,
        "embedding_dim": order.settings.model.embedding_dim,
        "started_at": time.time(),
        **request.values(),
    }
