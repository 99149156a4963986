"""A trial from first step to result, one epoch at a time."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hpstudy.data import batches
from hpstudy.losses import STATISTICS, CosineHead
from hpstudy.models import embed
from hpstudy.record import AttemptWriter, StudyFolder, TrialRequest, TrialResult
from hpstudy.seeds import derive_seed
from hpstudy.spec import TrialSettings
from hpstudy.theory import implied_posterior
from hpstudy.training._devices import Precision, describe_device, peak_memory_mb
from hpstudy.training._divergence import Divergence, find_divergence
from hpstudy.training._heads import build_trial_head
from hpstudy.training._judging import AngleCounts, Objective, geometry, impostor_pairs, judge, judge_replicates, plane
from hpstudy.training._optimisation import make_optimizer, make_schedule
from hpstudy.training._ranks import OneRank, Ranks
from hpstudy.training._ring import StepRing
from hpstudy.training._stepping import Pass, Stepping, WholeBatch, stepping_from
from hpstudy.training._trial_data import TrialData

_RING_STEPS = {"cpu": 32, "cuda": 256}
_HISTOGRAM_BATCHES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochReport:
    """Where a trial stands after an epoch."""

    epoch: int
    objective: float
    ended: bool
    result: TrialResult
    """How it ended; for a trial that goes on, its result if it were stopped here."""


class TrialRun:
    """Trains one head on one network with one seed, and keeps its record as it goes.

    Initial weights, order of the batches and augmentation follow from the seed and the epoch alone: trials of different
    arms with the same seed start from the same weights and see the same batches, and a trial continued from a
    checkpoint gives the numbers of one that was never interrupted.

    Args:
        request: The trial.
        settings: Data, model, training and head.
        study: Where the record is.
        data: The images of the condition.
        device: Where to train.
        objective: What the search maximises.
        stepping: How a step is done; a checkpoint of a trial that ran out of memory knows better.
        ranks: The processes that train it together, all of them with the same arguments but their own device.
        gpus: GPUs, or the share of one, that the trial occupies: what its time is charged at.
        on_progress: Called at least once in every few hundred steps.
    """

    def __init__(
        self,
        request: TrialRequest,
        settings: TrialSettings,
        study: StudyFolder,
        data: TrialData,
        device: torch.device,
        objective: Objective,
        *,
        stepping: Stepping | None = None,
        ranks: Ranks | None = None,
        gpus: float = 0.0,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_progress = on_progress
        self._stepping = stepping or WholeBatch()
        self._ranks = ranks or OneRank()
        self._gpus = gpus
        self._request = request
        self._settings = settings
        self._study = study
        self._data = data
        self._device = device
        self._objective = objective
        training = settings.training
        self._steps_per_epoch = training.steps_per_epoch or len(data.train_labels) // training.batch_size
        self._model = self._ranks.prepare(data.build_model(settings.model, _generator(request.seed, "model")))
        self._head = build_trial_head(
            settings.head,
            num_classes=data.num_classes,
            embedding_dim=settings.model.embedding_dim,
            generator=_generator(request.seed, "head"),
            classes_at_once=training.classes_at_once,
            parallel=self._ranks.parallel,
        ).to(device)
        if isinstance(self._head, CosineHead):
            data.start(self._model, self._head.weight)
        self._parameters = [*self._model.parameters(), *self._head.parameters()]
        self._optimizer = make_optimizer(training.optimizer, self._parameters)
        self._schedule = make_schedule(
            training.schedule,
            self._optimizer,
            lr=training.optimizer.lr,
            total_steps=training.epochs * self._steps_per_epoch,
        )
        self._precision = Precision.of(training.precision, device)
        self._epoch = 0
        self._spent = {"wall_s": 0.0, "cpu_s": 0.0}
        self._samples = 0
        self._started_at = time.time()
        self._writer: AttemptWriter = self._ranks.of_first(lambda: study.attempt(request.trial_id))
        metrics = self._restore()
        self.restored = None if metrics is None else self._going_on(metrics)
        """The report of the checkpoint's epoch, if this attempt continues an earlier one: whoever runs the trial may
        have been cut off before hearing it, and may want to stop the trial there."""

    def run_epoch(self) -> EpochReport:
        """Trains one epoch, judges it, and keeps both; ends the trial after its last epoch or when it diverges."""
        wall, cpu = time.perf_counter(), time.process_time()
        epoch = self._epoch + 1
        self._model.train()
        self._head.train()
        apart = (self._ranks.rank,) if self._ranks.rank else ()
        with _seeded(derive_seed(self._request.seed, "step", epoch, *apart), self._device):
            rows, angles = self._train(epoch)
        divergence = find_divergence(rows)
        if divergence is not None:
            rows = {name: values[: divergence.row + 1] for name, values in rows.items()}
            metrics = {}
        else:
            metrics = self._ranks.of_first(self._validate)
        self._epoch = epoch
        self._spent["wall_s"] += time.perf_counter() - wall
        of_all = torch.tensor(time.process_time() - cpu, dtype=torch.float64, device=self._device)
        self._spent["cpu_s"] += float(self._ranks.total(of_all))
        done = divergence is not None or epoch == self._settings.training.epochs
        return self._ranks.of_first(lambda: self._keep(rows, angles, metrics, divergence, done))

    def _keep(
        self,
        rows: Mapping[str, NDArray[Any]],
        angles: AngleCounts,
        metrics: Mapping[str, float],
        divergence: Divergence | None,
        done: bool,
    ) -> EpochReport:
        """Writes the epoch down, and the result if it was the last."""
        epoch = self._epoch
        self._writer.write_epoch(
            epoch,
            rows,
            {
                "epoch": epoch,
                "step": int(rows["step"][-1]),
                "train_loss": float(np.mean(rows["loss"])),
                "train_accuracy": angles.accuracy,
                **metrics,
                "theta_target_histogram": angles.target.tolist(),
                "theta_nontarget_histogram": angles.nontarget.tolist(),
            },
            None if done else lambda path: self._save(path, metrics),
        )
        if divergence is not None:
            result = self._result("diverged", metrics, cause=divergence.cause, diverged_step=divergence.step)
        elif done:
            result = self._complete(metrics)
        else:
            return self._going_on(metrics)
        self._study.finish_trial(result)
        return EpochReport(epoch=epoch, objective=result.objective, ended=True, result=result)

    @property
    def spent_s(self) -> float:
        """Seconds of training that the trial's attempts have come to."""
        return self._spent["wall_s"]

    def failed(self, cause: str) -> TrialResult:
        """The trial's result if an error ends it now: chance level, with what it cost so far."""
        return self._result("failed", {}, cause=cause)

    def _going_on(self, metrics: Mapping[str, float]) -> EpochReport:
        return EpochReport(
            epoch=self._epoch,
            objective=metrics.get(self._objective.name, math.nan),
            ended=False,
            result=self._result("pruned", metrics, cause=f"stopped early after epoch {self._epoch}"),
        )

    def _validate(self) -> dict[str, float]:
        """The validation metrics; none where the study holds nothing out."""
        if (held_out := self._data.val) is None:
            return {}
        seen = embed(self._model, held_out.images, self._stepping.embed_at_once)
        return judge(seen, held_out.labels, self._objective, "val")

    def _train(self, epoch: int) -> tuple[dict[str, NDArray[Any]], AngleCounts]:
        """Runs the steps of an epoch, stopping where a drained buffer shows a non-finite value."""
        ring = StepRing(("loss", *STATISTICS, "grad_norm"), _RING_STEPS[self._device.type], self._device)
        noise = _generator(self._request.seed, "augment", epoch)
        training = self._settings.training
        order = batches(
            len(self._data.shown), training.batch_size, epoch, self._request.seed, steps=self._steps_per_epoch
        )
        plan = self._data.shown[order.to(self._device)]
        chunks: list[dict[str, NDArray[Any]]] = []
        rates: list[float] = []
        angles = AngleCounts.none()
        begun = time.perf_counter()
        for position, index in enumerate(plan):
            rates.append(float(self._schedule.get_last_lr()[0]))
            going = self._forward(index, noise)
            output = going.output
            if position >= len(plan) - _HISTOGRAM_BATCHES:  # before the step, which changes the prototypes
                angles.add(output.cosine_blocks(), self._ranks.part(self._data.train_labels[index]))
            grad_norm = self._update(going)
            ring.push({"loss": self._ranks.mean(output.loss), **output.statistics, "grad_norm": grad_norm})
            del going, output  # with its cosines, before the next ones are computed
            if ring.is_full or position == len(plan) - 1:
                chunk: dict[str, NDArray[Any]] = dict(ring.drain())
                count = len(chunk["loss"])
                speed = count * training.batch_size / max(time.perf_counter() - begun, 1e-9)
                first = (epoch - 1) * self._steps_per_epoch + sum(len(other["loss"]) for other in chunks)
                chunk["step"] = np.arange(first + 1, first + count + 1, dtype=np.int32)
                chunk["samples_per_s"] = np.full(count, speed, np.float32)
                chunks.append(chunk)
                self._on_progress()
                begun = time.perf_counter()
                if find_divergence(chunk) is not None:
                    break
        rows = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
        steps = len(rows["step"])
        self._samples += steps * training.batch_size
        rows["epoch"] = np.full(steps, epoch, np.int32)
        rows["lr"] = np.asarray(rates[:steps], np.float32)
        rows["implied_p_w"] = _implied_posterior(self._data.num_classes, rows["s"])
        return rows, angles.over(self._ranks.total, self._device)

    def _forward(self, index: Tensor, noise: torch.Generator) -> Pass:
        inputs, labels = self._data.batch(index, noise), self._data.train_labels[index]
        mine, theirs = self._ranks.part(inputs), self._ranks.part(labels)
        return self._stepping.forward(self._model, self._head, mine, theirs, self._precision)

    def _update(self, going: Pass) -> Tensor:
        """One step of the optimiser; gives the norm of the gradient before it was clipped."""
        self._optimizer.zero_grad(set_to_none=True)
        going.backward()
        self._ranks.average(self._parameters)
        limit = self._settings.training.grad_clip
        grad_norm = nn.utils.clip_grad_norm_(self._parameters, math.inf if limit is None else limit)
        self._optimizer.step()
        self._schedule.step()
        return grad_norm

    def _complete(self, metrics: Mapping[str, float]) -> TrialResult:
        """Measures what is measured once, at the end of a whole trial."""
        begun, cpu = time.perf_counter(), time.process_time()
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self._parameters):
            cause = f"weights became non-finite in the last update, step {self._epoch * self._steps_per_epoch}"
            return self._result("diverged", {}, cause=cause, diverged_step=self._epoch * self._steps_per_epoch)
        at_once = self._stepping.embed_at_once
        embeddings = self._data.embed_training(self._model, at_once)
        groups = {**metrics, **geometry(self._head, embeddings, self._data)}
        self._study.keep_plane(self._request.trial_id, plane(self._head, embeddings, self._data))
        if self._request.judged and (held_out := self._data.test) is not None:
            seen = embed(self._model, held_out.images, at_once)
            groups |= judge(seen, held_out.labels, self._objective, "test")
            groups["data/test_impostor_pairs"] = impostor_pairs(held_out.labels)
            if self._request.phase == "confirm":
                replicates = judge_replicates(seen, held_out.labels, self._objective, "test")
                self._study.keep_evaluations(self._request.trial_id, replicates)
        if self._request.phase == "confirm":
            images = {"channels": self._data.channels, "image_size": self._settings.data.image_size}
            weights = {"images": images, "model": self._model.state_dict(), "head": self._head.state_dict()}
            self._study.keep_weights(self._request.trial_id, lambda path: _save_torch(weights, path))
        self._spent["wall_s"] += time.perf_counter() - begun
        self._spent["cpu_s"] += time.process_time() - cpu
        return self._result("completed", groups)

    def _result(
        self, status: str, groups: Mapping[str, float], *, cause: str = "", diverged_step: int = -1
    ) -> TrialResult:
        head = self._settings.head
        costs = {
            "cost/wall_s": self._spent["wall_s"],
            "cost/cpu_s": self._spent["cpu_s"],
            "cost/gpu_s": self._spent["wall_s"] * self._gpus,
            "cost/peak_memory_mb": peak_memory_mb(self._device),
        }
        return TrialResult(
            study=self._study.name,
            **self._request.identity(),
            loss=head.loss,
            num_classes=self._data.num_classes,
            embedding_dim=self._settings.model.embedding_dim,
            s=head.number("s"),
            m=head.number("m"),
            status=status,
            cause="; ".join(filter(None, (cause, self._stepping.note))),
            diverged_step=diverged_step,
            epochs=self._epoch,
            steps=self._epoch * self._steps_per_epoch if diverged_step < 0 else diverged_step,
            objective=groups.get(self._objective.name, self._objective.chance if self._data.val else math.nan),
            samples_per_s=self._samples / max(self._spent["wall_s"], 1e-9),
            attempt=self._writer.attempt,
            device=describe_device(self._device, self._precision),
            started_at=self._started_at,
            ended_at=time.time(),
            groups={**self._request.values(), **self._data_facts(), **groups, **costs},
        )

    def _data_facts(self) -> dict[str, float]:
        """What was done to the training set on purpose, and how finely validation resolves a FAR."""
        data, held_out = self._settings.data, self._data.val
        pairs = {} if held_out is None else {"data/val_impostor_pairs": float(impostor_pairs(held_out.labels))}
        return {"data/label_noise": data.label_noise, "data/imbalance": data.imbalance, **pairs}

    def _save(self, path: Path, metrics: Mapping[str, float]) -> None:
        _save_torch(
            {
                "epoch": self._epoch,
                "metrics": dict(metrics),
                "stepping": self._stepping.to_state(),
                "model": self._model.state_dict(),
                "head": self._head.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "schedule": self._schedule.state_dict(),
                "spent": self._spent,
                "samples": self._samples,
                "started_at": self._started_at,
            },
            path,
        )

    def _restore(self) -> dict[str, float] | None:
        """Continues from the furthest readable checkpoint of an earlier attempt; returns the metrics of its epoch."""
        state = self._ranks.of_first(lambda: _first_readable(self._writer.latest_checkpoints()))
        if state is None:
            return None
        self._model.load_state_dict(state["model"])
        self._head.load_state_dict(state["head"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._epoch = int(state["epoch"])
        self._spent = {name: float(value) for name, value in state["spent"].items()}
        self._samples = int(state["samples"])
        self._started_at = float(state["started_at"])
        if kept := state.get("stepping"):
            self._stepping = stepping_from(kept)
        metrics: dict[str, float] = state["metrics"]
        return metrics


def _first_readable(paths: Iterable[Path | BinaryIO]) -> dict[str, Any] | None:
    for path in paths:
        with suppress(Exception):  # a checkpoint that can't be read costs the epochs it held, not the trial
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            return state
    return None


def _save_torch(state: Mapping[str, Any], path: Path) -> None:
    try:
        torch.save(dict(state), path)
    except RuntimeError as error:  # what torch makes of a full disk
        raise OSError(f"can't write {path}: {error}") from error


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds what can't be given a generator (a user's dropout) and puts the global state back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _generator(*parts: object) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(*parts))


def _implied_posterior(num_classes: int, scale: NDArray[Any]) -> NDArray[np.float32]:
    usable = np.isfinite(scale) & (scale > 0)
    posterior = np.full(len(scale), np.nan, np.float32)
    posterior[usable] = implied_posterior(num_classes, scale[usable].astype(np.float64))
    return posterior
