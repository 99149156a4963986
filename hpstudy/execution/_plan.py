"""What a study will run, take and be able to show, found out without starting it."""

import os
from dataclasses import dataclass

from hpstudy.execution._capacity import trials_on
from hpstudy.execution._expected_epochs import MODEL
from hpstudy.execution._forecast import ArmPlan, Forecast, forecast, plan_arm
from hpstudy.execution._power_note import PowerNote, power_note
from hpstudy.execution._probe import probe_study
from hpstudy.record import Location, StudyFolder, workplace
from hpstudy.spec import Arm, ResourcesSpec, Study, is_cost

_BUSY = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A study before it is run."""

    study: str
    question: str
    sha256: str
    trials: dict[str, int]
    """By phase."""
    finished: int
    """Trials that the record of this study has already; the forecast is of the whole study."""
    arms: tuple[ArmPlan, ...]
    """Every arm in every condition."""
    expectation: str
    """What `expected_epochs` supposes."""
    slots: int | None
    """Trials that will run at the same time; None where that is the cluster's affair, 0 where no trial fits."""
    probe_workers: int
    """Trials that were timed at the same time; 0 without a probe."""
    timed: int
    """Networks (with their data and batch size) that were trained for a few steps; heads were timed one by one."""
    forecast: Forecast | None
    """None without a probe."""
    power: PowerNote | None
    """None for a survey, which tests no difference."""
    notes: tuple[str, ...]
    """What limits the forecast."""


def plan_study(study: Study, home: Location, *, probe: bool, budget_s: float) -> Plan:
    """Counts, times and weighs up a study. Nothing is written to `home`, and neither Ray nor MLflow is started.

    Args:
        study: The study.
        home: Holds studies; need not exist.
        probe: Whether to time trials.
        budget_s: Seconds that the probe may take for each condition, roughly.

    Raises:
        InputError: data are missing or too few, or a part can't be built.
        StudyConflictError: the stored file of a study of this name was changed.
        StudyFailedError: the probe failed.
    """
    resources = study.spec.resources
    notes = [*_limits(study), *_idle_costs(study)] if probe else _idle_costs(study)
    slots = None if resources.gpus else _slots(resources, gpus=0)
    timed = probe_study(study, workplace(home) / "datasets", workers=slots or 1, budget_s=budget_s) if probe else None
    if probe and timed is None:
        notes.append("nothing was timed: a trial asks for a GPU, and torch sees none here; plan on a node that has one")
    if timed is not None and resources.gpus:
        slots = _slots(resources, gpus=timed.gpus)
    if timed is not None and timed.waited > _BUSY:
        notes.append(
            f"other processes had the CPU for {timed.waited:.0%} of the probe's time, which is deducted: while they go "
            f"on, trials take about {1 / (1 - timed.waited):.1f} times as long"
        )
    if slots == 0:
        notes.append(
            f"a trial asks for {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, more than this machine has: "
            "hpstudy run would refuse"
        )
    arms = tuple(
        plan_arm(study, condition, arm, timed.costs[condition.id, arm.name] if timed else None)
        for condition in study.conditions()
        for arm in study.arms
    )
    folder = StudyFolder(home, study.name)
    trials = folder.trials()
    same = not folder.exists() or folder.resolved_yaml() == study.resolved_yaml
    if not same:
        notes.append(f"{folder.path} holds a study of this name with another file: hpstudy run would refuse")
    return Plan(
        study=study.name,
        question=study.spec.question,
        sha256=study.sha256,
        trials=study.planned_trials(),
        finished=len(trials) if same else 0,
        arms=arms,
        expectation=_expectation(study),
        slots=slots,
        probe_workers=timed.workers if timed else 0,
        timed=timed.timed if timed else 0,
        forecast=forecast(study, arms, timed, slots or None) if timed else None,
        power=None if study.is_survey else power_note(study, trials),
        notes=tuple(notes),
    )


def _slots(resources: ResourcesSpec, *, gpus: int) -> int | None:
    """Trials at a time on this machine; of a cluster what the study file says, if it does."""
    if "RAY_ADDRESS" in os.environ:
        return resources.max_parallel
    whatever_kind = resources.model_copy(update={"gpu_type": None})
    here = trials_on({"CPU": os.cpu_count() or 1, "GPU": gpus}, whatever_kind)
    return min(here, resources.max_parallel or here)


def _limits(study: Study) -> list[str]:
    """Why the probe's times may not be those of the study."""
    limits = []
    if "RAY_ADDRESS" in os.environ:
        limits.append("timed on this machine; the nodes of the cluster that RAY_ADDRESS names may be faster or slower")
    costly = sorted({name for arm in study.arms for name in _costly(arm)})
    if costly:
        limits.append(f"timed with {', '.join(costly)} in the middle of what is searched")
    return limits


def _costly(arm: Arm) -> list[str]:
    """What an arm searches or lists that changes what a trial costs."""
    tried = [*arm.space, *(arm.spec.grid or {})]
    cheap = "training.optimizer."
    return [name for name in tried if name.startswith(("model.", "training.")) and not name.startswith(cheap)]


def _idle_costs(study: Study) -> list[str]:
    """Costs that are objectives although no arm tries anything that changes them."""
    costs = [name for name in study.spec.search.objectives if is_cost(name)]
    if not costs or any(_costly(arm) for arm in study.arms):
        return []
    return [
        f"no arm searches anything that changes {', '.join(costs)} by much (training.epochs, training.batch_size, "
        "model.width, …): what is minimised there is mostly noise of the measurement"
    ]


def _expectation(study: Study) -> str:
    rule = study.spec.search.early_stopping
    if rule.kind == "none" or not any(arm.kind == "searched" for arm in study.arms):
        return "every trial trains all of its epochs"
    return f"{rule.kind}, if {MODEL}"
