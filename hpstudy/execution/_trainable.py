"""A Ray worker that runs trials one after the other: imports, data and CUDA contexts are paid for once."""

import json
import math
import time
import traceback
from typing import Any

import torch
from ray import tune

from hpstudy.execution._crew import Crew
from hpstudy.execution._host import Host, OutOfMemory, OwnProcess
from hpstudy.execution._order import TrialOrder
from hpstudy.execution._pulse import Heart
from hpstudy.record import TrialResult
from hpstudy.training import EpochReport, MicroBatches, Objective, Stepping, WholeBatch

_PARTS = 4
"""Micro-batches of a step after a trial ran out of memory."""


class TrialWorker(tune.Trainable):
    """One epoch a step; every error of a trial ends that trial, with its cause in the record."""

    def setup(self, config: dict[str, Any]) -> None:
        """Takes a new worker's first trial."""
        self._host: Host = Crew() if TrialOrder.from_config(config).gpus > 1 else OwnProcess()
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial in the same process."""
        self._order = TrialOrder.from_config(new_config)
        self._stepping: Stepping = WholeBatch()
        self._begun = False
        self._host.drop()
        self._heart = Heart(self._order.pulse, self._order.request.trial_id)
        return True

    def cleanup(self) -> None:
        """The worker is no longer needed."""
        self._host.close()

    def step(self) -> dict[str, Any]:
        """Runs one epoch of the trial."""
        try:
            return self._advance()
        except OutOfMemory as error:
            hint = "lower training.batch_size or give the trial a larger GPU share (resources.gpus)"
            return self._fail(f"out of memory at a peak of {error.peak_mb:.0f} MiB: {hint} ({error.told})")
        except (OSError, torch.AcceleratorError):
            # Storage may do better in another attempt; after a device error this process can't go on.
            raise
        except Exception as error:
            self._order.folder.keep_error(self._order.request.trial_id, traceback.format_exc())
            return self._fail(f"{type(error).__name__}: {error}")

    def _advance(self) -> dict[str, Any]:
        order = self._order
        finished = order.folder.result(order.request.trial_id)
        if finished is not None:  # an attempt that was cut off got there first
            return _reply(EpochReport(epoch=finished.epochs, objective=finished.objective, ended=True, result=finished))
        if not self._begun:
            self._heart.begin()
        try:
            return _reply(self._next())
        except OutOfMemory as error:
            if order.on_oom == "fail" or isinstance(self._stepping, MicroBatches):
                raise
            self._stepping = MicroBatches(parts=_PARTS, peak_mb=error.peak_mb)
        self._host.drop()
        self._begun = False
        return _reply(self._next())

    def _next(self) -> EpochReport:
        """The report of the checkpoint that the trial goes on from, or else of its next epoch."""
        if not self._begun:
            restored = self._host.begin(self._order, self._stepping, self._heart.beat)
            self._begun = True
            self._heart.spent(self._host.spent_s)
            if restored is not None:
                return restored
        return self._host.run_epoch()

    def _fail(self, cause: str) -> dict[str, Any]:
        result = self._host.failed(cause) or failed_result(self._order, cause)
        self._order.folder.finish_trial(result)
        return _reply(EpochReport(epoch=result.epochs, objective=result.objective, ended=True, result=result))


def failed_result(order: TrialOrder, cause: str) -> TrialResult:
    """The row of a trial that an error ended before it began: chance level, no epochs."""
    request, settings = order.request, order.settings
    now = time.time()
    return TrialResult(
        study=order.study,
        **request.identity(),
        loss=settings.head.loss,
        num_classes=settings.data.identities.train,
        embedding_dim=settings.model.embedding_dim,
        s=float(settings.head.scale.get("s", math.nan)),
        m=float(settings.head.margin.get("m", math.nan)),
        status="failed",
        cause=cause,
        objective=Objective.of(order.objectives).chance,
        started_at=now,
        ended_at=now,
        groups=request.values(),
    )


def _reply(report: EpochReport) -> dict[str, Any]:
    return {
        "epoch": report.epoch,
        "objective": report.objective,
        "done": report.ended,
        # As text: Tune flattens nested results by their slashes.
        "row": json.dumps(report.result.as_row()),
    }
