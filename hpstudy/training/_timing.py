"""How long a trial takes on this machine, from a few of its steps."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import nn

from hpstudy.evaluation import verification
from hpstudy.exceptions import InputError
from hpstudy.models import embed
from hpstudy.record import StudyFolder, TrialRequest
from hpstudy.spec import TrialSettings
from hpstudy.training._devices import peak_memory_mb
from hpstudy.training._heads import build_trial_head
from hpstudy.training._judging import Objective, judge_replicates
from hpstudy.training._run import TrialRun
from hpstudy.training._trial_data import HeldOut, ImageData, TrialData

_HELD_OUT = 4096
_SCHEDULING = Path("/proc/thread-self/schedstat")
_FEWEST_STEPS, _MOST_STEPS = 4, 256
_EPOCHS = 5
_MOST_REPEATS = 20
_BUDGET_OF_HEADS = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialTiming:
    """Seconds and bytes of a trial, measured or scaled up from what was measured."""

    steps_per_epoch: int
    timed_steps: int
    """Steps of the epochs that were timed; fewer than `steps_per_epoch` where a whole one takes too long."""
    setup_s: float
    """From the worker having the data to the first step."""
    step_s: float
    epoch_s: float
    """Steps, validation, record and checkpoint."""
    validation_s: float
    geometry_s: float
    """What a trial that completes measures at its end."""
    test_s: float
    """What a confirm trial measures besides."""
    heads_s: tuple[float, ...]
    """Forward and backward pass of each head that was asked for, alone."""
    weights_bytes: int
    checkpoint_bytes: int
    peak_memory_mb: float
    waited: float
    """Fraction of the time that other processes had the CPU; deducted from all that is above."""


def time_trial(
    settings: TrialSettings,
    heads: list[TrialSettings],
    data: TrialData,
    device: torch.device,
    objective: Objective,
    scratch: Path,
    *,
    budget_s: float,
) -> TrialTiming:
    """Trains short epochs as a trial would, record and checkpoints included, and scales them up.

    An epoch that fits is timed as it is. Of a longer one so many steps are timed as fit; of more held-out images than a
    few thousand, those, with embedding taken as linear and verification as quadratic in their number. The test images
    are not looked at. On Linux, what other processes took of the CPU meanwhile is deducted.

    Args:
        settings: The trial.
        heads: Other trials of the same data, network and batch size, of which the heads alone are timed.
        data: The images of the condition.
        device: Where to train.
        objective: What validation measures.
        scratch: A folder for the record of the short trial, which the caller removes.
        budget_s: Seconds not to go much beyond; a few steps and a validation pass are timed in any case.

    Raises:
        InputError: a part can't be built.
    """
    begun, began_at = time.perf_counter(), _now()
    deadline = begun + budget_s
    batch = settings.training.batch_size
    if batch > len(data.shown):
        raise InputError(f"training.batch_size {batch} is more than the {len(data.shown)} training samples")
    steps_per_epoch = settings.training.steps_per_epoch or len(data.train_labels) // batch
    small = _held_out(data, objective)
    model, head = _build(settings, data, device)
    rates = _Rates.measured(model, small, objective, device)
    heads_s = tuple(_time_head(each, data, device, _BUDGET_OF_HEADS * budget_s / len(heads)) for each in heads)
    trial = _ShortTrial(settings, small, device, objective, scratch)
    steps = min(steps_per_epoch, _FEWEST_STEPS)
    few_s = trial.epoch_s(steps, epochs=2)
    step_s = max(few_s - rates.judging_s(small.val), 1e-6) / steps
    affordable = int((deadline - time.perf_counter()) / 3 / step_s)
    more = min(steps_per_epoch, _MOST_STEPS, max(steps, affordable))
    epoch_s = trial.epoch_s(more, epochs=_EPOCHS, deadline=deadline)
    if more > steps:
        step_s = max(epoch_s - few_s, 1e-9) / (more - steps)
    validation_s = rates.judging_s(data.val)
    epoch_s += (steps_per_epoch - more) * step_s + validation_s - rates.judging_s(small.val)
    return TrialTiming(
        steps_per_epoch=steps_per_epoch,
        timed_steps=more,
        setup_s=trial.setup_s,
        step_s=step_s,
        epoch_s=epoch_s,
        validation_s=validation_s,
        geometry_s=rates.embedding_s * len(data.train_labels) + rates.pair_s * data.num_classes**2,
        test_s=rates.test_s(data.test),
        heads_s=heads_s,
        weights_bytes=sum(_bytes(part) for part in (model, head)),
        checkpoint_bytes=trial.checkpoint_bytes,
        peak_memory_mb=peak_memory_mb(device),
        waited=1 - (_now() - began_at) / (time.perf_counter() - begun),
    )


@dataclass(frozen=True, slots=True)
class _Rates:
    """Seconds an image embedded, a (squared) image verified, and one verified in samples of the identities."""

    embedding_s: float
    pair_s: float
    resampled_s: float

    @classmethod
    def measured(cls, model: nn.Module, data: TrialData, objective: Objective, device: torch.device) -> "_Rates":
        embedding_s = _timed(lambda: data.embed_training(model), device, 2) / len(data.train_labels)
        if data.val is None:
            return cls(embedding_s, 0.0, 0.0)
        images, labels = data.val.images, data.val.labels
        embeddings = embed(model, images)
        fars = objective.fars(labels)
        verification_s = _timed(lambda: verification(embeddings, labels, fars=fars, block_size=512), device, 2)
        resampling_s = _timed(lambda: judge_replicates(embeddings, labels, objective, "val"), device, 1)
        return cls(embedding_s, verification_s / len(labels) ** 2, resampling_s / len(labels) ** 2)

    def judging_s(self, held_out: HeldOut | None) -> float:
        images = 0 if held_out is None else len(held_out.labels)
        return self.embedding_s * images + self.pair_s * images**2

    def test_s(self, held_out: HeldOut | None) -> float:
        images = 0 if held_out is None else len(held_out.labels)
        return self.judging_s(held_out) + self.resampled_s * images**2


class _ShortTrial:
    """Trials of few steps an epoch, each with a record of its own in `scratch`."""

    def __init__(
        self, settings: TrialSettings, data: TrialData, device: torch.device, objective: Objective, scratch: Path
    ) -> None:
        self._settings = settings
        self._data = data
        self._device = device
        self._objective = objective
        self._folder = StudyFolder(scratch, "probe")
        self._number = 0
        self.setup_s = 0.0

    def epoch_s(self, steps: int, *, epochs: int, deadline: float = math.inf) -> float:
        """Median seconds of an epoch after the first, or of the first where the deadline allows no other."""
        self._number += 1
        request = TrialRequest(
            arm="probe", condition="default", phase="search", search_seed=0, number=self._number, seed=0, params={}
        )
        training = self._settings.training.model_copy(update={"epochs": epochs + 1, "steps_per_epoch": steps})
        settings = self._settings.model_copy(update={"training": training})
        begun = _now()
        run = TrialRun(request, settings, self._folder, self._data, self._device, self._objective)
        self.setup_s = _now() - begun
        taken: list[float] = []
        for _ in range(epochs):
            started, begun = time.perf_counter(), _now()
            report = run.run_epoch()
            taken.append(_now() - begun)
            if report.ended or 2 * time.perf_counter() - started > deadline:
                break
        return median(taken[1:] or taken)

    @property
    def checkpoint_bytes(self) -> int:
        """Of the last one kept; 0 where there is none."""
        kept = (self._folder.workplace / self._folder.name / "checkpoints").rglob("epoch-*.pt")
        return max((path.stat().st_size for path in kept), default=0)


def _held_out(data: TrialData, objective: Objective) -> TrialData:
    """The data with fewer validation images, where there are many and fewer resolve the objective."""
    if not isinstance(data, ImageData) or data.val is None or len(data.val.labels) <= _HELD_OUT:
        return data
    few = data.val.first(_HELD_OUT)
    try:
        objective.check(few.labels)
    except InputError:
        return data
    return data.with_validation(few)


def _build(settings: TrialSettings, data: TrialData, device: torch.device) -> tuple[nn.Module, nn.Module]:
    model = data.build_model(settings.model, torch.Generator().manual_seed(0))
    return model, _build_head(settings, data, device)


def _build_head(settings: TrialSettings, data: TrialData, device: torch.device) -> nn.Module:
    return build_trial_head(
        settings.head,
        num_classes=data.num_classes,
        embedding_dim=settings.model.embedding_dim,
        generator=torch.Generator().manual_seed(0),
        classes_at_once=settings.training.classes_at_once,
    ).to(device)


def _time_head(settings: TrialSettings, data: TrialData, device: torch.device, budget_s: float) -> float:
    head = _build_head(settings, data, device)
    count = settings.training.batch_size
    embeddings = torch.randn(count, settings.model.embedding_dim, device=device, requires_grad=True)
    labels = torch.arange(count, device=device) % data.num_classes

    def step() -> None:
        head(embeddings, labels).loss.backward()

    begun = time.perf_counter()
    step()
    once = time.perf_counter() - begun
    return _timed(step, device, max(2, min(_MOST_REPEATS, int(budget_s / max(once, 1e-6)))))


def _timed(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median seconds of the work; it has run once before."""
    taken = []
    for _ in range(repeats):
        begun = _now()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(_now() - begun)
    return median(taken)


def _now() -> float:
    """Seconds, without those that this thread was ready to run and another had the CPU, where the system tells them."""
    now = time.perf_counter()
    try:
        return now - int(_SCHEDULING.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return now


def _bytes(module: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
