"""One Tune experiment runs what the planner hands out."""

import contextlib
import logging
import sys
import tempfile
from collections.abc import Iterator

from ray import tune
from ray.air._internal import usage

from hpstudy.exceptions import StudyFailedError
from hpstudy.execution._adapters import (
    Listener,
    OrderBook,
    OrderMaker,
    PlanScheduler,
    PlanSearcher,
    StartCallback,
    trial_name,
)
from hpstudy.execution._capacity import placement
from hpstudy.execution._trainable import TrialWorker
from hpstudy.execution._watch import Watch
from hpstudy.record import StudyFolder
from hpstudy.search import Planner
from hpstudy.spec import ResourcesSpec

_log = logging.getLogger(__name__)


def run_trials(
    planner: Planner,
    folder: StudyFolder,
    listener: Listener,
    make_order: OrderMaker,
    resources: ResourcesSpec,
    slots: int,
) -> None:
    """Runs trials, at most `slots` at a time, until the planner has finished or the driver is interrupted.

    SIGINT and SIGTERM end it early and in order: the record is whole, and the study can be resumed.

    Raises:
        StudyFailedError: the disk is full, or Ray ended the session.
    """
    watch = Watch(resources, _log.warning)
    book = OrderBook(planner, folder, listener, make_order, watch)
    with tempfile.TemporaryDirectory(prefix="hpstudy-tune-") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(TrialWorker, placement(resources)),
            tune_config=tune.TuneConfig(
                search_alg=PlanSearcher(book),
                scheduler=PlanScheduler(book),
                num_samples=-1,
                max_concurrent_trials=slots,
                reuse_actors=True,
                trial_name_creator=trial_name,
                trial_dirname_creator=trial_name,
            ),
            run_config=tune.RunConfig(
                name=folder.name,
                storage_path=scratch,
                verbose=0,
                # Each trial keeps its own checkpoints, and finds them by itself.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False, checkpoint_frequency=0),
                # The book hands a dead worker's trial out again: Tune would not if the worker was idle when it died.
                failure_config=tune.FailureConfig(max_failures=0),
                callbacks=[StartCallback(book), watch],
            ),
        )
        try:
            # A SystemExit is what a signal makes of a driver that has not said otherwise.
            with _responsive(), _uncounted(), contextlib.suppress(SystemExit):
                tuner.fit()
        except Exception as error:
            raise _explained(error, folder) from error
        finally:
            watch.close()
    if book.halted:
        raise StudyFailedError(book.halted)


@contextlib.contextmanager
def _responsive() -> Iterator[None]:
    """Lets this thread in between the tracker's every half millisecond.

    It gives way at each write to the journal, and would wait 5 ms to go on, a dozen times a trial.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-4)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


@contextlib.contextmanager
def _uncounted() -> Iterator[None]:
    """Keeps Tune from counting its callbacks for a telemetry that is off: trials would wait while it imports MLflow."""
    usual = usage.tag_callbacks
    usage.tag_callbacks = lambda callbacks: False
    try:
        yield
    finally:
        usage.tag_callbacks = usual


def _explained(error: BaseException, folder: StudyFolder) -> Exception:
    """What Tune wraps, taken out: a full disk as it is, anything else with how to go on."""
    root = error
    while True:
        if isinstance(root, OSError) and root.errno is not None:
            return root
        if (below := root.__cause__ or root.__context__) is None:
            break
        root = below
    return StudyFailedError(
        f"the session was ended by {type(root).__name__}: {root}; what it has finished is kept: go on with "
        f"hpstudy resume {folder.name} --home {folder.home}"
    )
