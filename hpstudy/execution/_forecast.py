"""From the time of a trial to the time, the cost and the disk space of a study."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hpstudy.execution._expected_epochs import Expected, expect
from hpstudy.execution._probe import Probe, TrialCost, typical_points
from hpstudy.spec import Arm, Choice, Condition, EarlyStoppingSpec, IntRange, ResourcesSpec, Study

AROUND_S = 20.0
"""Ray's start, MLflow's and the report: what a study takes beside its trials and its workers' own start."""

_LENGTHS = 16
_BYTES_A_TRIAL, _BYTES_AN_EPOCH, _BYTES_A_STEP = 20_000, 500, 56
_MLFLOW_BYTES_A_TRIAL = 350_000
_WEIGHTS_FILE_BYTES = 12_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmPlan:
    """What an arm runs in a condition; seconds and steps are None where nothing was timed."""

    condition: str
    arm: str
    kind: str
    search: int
    """Trials whose points a search chooses."""
    grid: int
    """Trials of listed points."""
    confirm: int
    epochs: int
    """All epochs of all trials: the most that can be."""
    expected_epochs: float
    """With early stopping as `hpstudy.execution._expected_epochs.MODEL` has it."""
    steps: int | None
    """Steps of `epochs`."""
    expected_steps: float | None
    step_s: float | None
    trial_s: float | None
    """A confirm trial."""
    search_trial_s: float | None
    """A trial of the search or the grid, on average; None if there is none."""
    expected_s: float | None
    """All trials, one after the other."""
    most_s: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """Time, cost and space."""

    device: str
    """What hours are counted of: `CPU` or `GPU`."""
    expected_hours: float
    most_hours: float
    expected_wall_s: float | None
    """None where it is not known how many trials run at a time."""
    most_wall_s: float | None
    disk_bytes: int
    """What the finished study keeps, and the checkpoints of the trials that run."""
    weights_bytes: int
    """The part of it that the weights of the confirm trials take."""
    peak_memory_mb: float
    """The largest of one trial."""


def plan_arm(study: Study, condition: Condition, arm: Arm, cost: TrialCost | None) -> ArmPlan:
    """Trials, epochs and seconds of an arm in a condition.

    Args:
        study: The study.
        condition: The condition.
        arm: The arm.
        cost: What one of its trials costs, if that was timed.
    """
    spec = study.spec
    seeds = len(spec.search.seeds)
    points = [study.trial_settings(arm.name, condition.id, point).training.epochs for point in typical_points(arm)]
    lengths = _lengths(arm) or points
    usual, longest = sum(lengths) / len(lengths), max(lengths)
    search = seeds * arm.search_trials(spec.search) if arm.kind == "searched" else 0
    grid = seeds * len(study.listed_points(arm))
    confirm = spec.confirm.seeds * (1 if arm.kind == "fixed" else seeds)
    model = Expected(epochs=usual, completed=1.0)
    if search:
        model = _expected(spec.search.early_stopping, search // seeds, _lengths(arm) or [round(usual)])
    most = round((search + confirm) * longest + grid * usual)
    likely = (search + grid) * model.epochs + confirm * usual
    trials = (search, grid, confirm)
    timed = {} if cost is None else _seconds(cost, model, trials, usual, longest, judged=study.is_survey)
    return ArmPlan(
        condition=condition.id,
        arm=arm.name,
        kind=arm.kind,
        search=search,
        grid=grid,
        confirm=confirm,
        epochs=most,
        expected_epochs=likely,
        steps=None if cost is None else most * cost.steps_per_epoch,
        expected_steps=None if cost is None else likely * cost.steps_per_epoch,
        step_s=None if cost is None else cost.step_s,
        **{name: timed.get(name) for name in ("trial_s", "search_trial_s", "expected_s", "most_s")},
    )


def _lengths(arm: Arm) -> list[int]:
    """The epochs that a search of the arm draws from; empty where it does not search them."""
    match arm.space.get("training.epochs"):
        case Choice(choice=values):
            return [int(value) for value in values]
        case IntRange(low=low, high=high):
            return list(range(low, high + 1))
    return []


def _expected(rule: EarlyStoppingSpec, trials: int, lengths: Sequence[int]) -> Expected:
    """The mean over trials of all lengths, of which each is compared with its like only."""
    alike = max(1, round(trials / len(lengths)))
    if alike == 1 < trials:
        return Expected(epochs=sum(lengths) / len(lengths), completed=1.0)
    shown = lengths[:: -(-len(lengths) // _LENGTHS)]
    models = [expect(rule, trials=alike, epochs=length) for length in shown]
    return Expected(
        epochs=sum(model.epochs for model in models) / len(models),
        completed=sum(model.completed for model in models) / len(models),
    )


def _seconds(
    cost: TrialCost, model: Expected, trials: tuple[int, int, int], usual: float, longest: float, *, judged: bool
) -> dict[str, float | None]:
    search, grid, confirm = trials
    search_trial_s = cost.setup_s + model.epochs * cost.epoch_s + model.completed * cost.geometry_s
    search_trial_s += cost.test_s if judged else 0.0
    around_s = cost.setup_s + cost.geometry_s
    trial_s = around_s + usual * cost.epoch_s + cost.test_s
    longest_s = around_s + longest * cost.epoch_s
    return {
        "trial_s": trial_s,
        "search_trial_s": search_trial_s if search + grid else None,
        "expected_s": (search + grid) * search_trial_s + confirm * trial_s,
        "most_s": search * longest_s + grid * search_trial_s + confirm * (longest_s + cost.test_s),
    }


def forecast(study: Study, arms: Sequence[ArmPlan], probe: Probe, slots: int | None) -> Forecast:
    """Adds up the arms.

    Args:
        study: The study.
        arms: Every arm in every condition, timed.
        probe: What they were timed by.
        slots: Trials that run at the same time, if that is known.
    """
    resources = study.spec.resources
    total, most = sum(arm.expected_s or 0.0 for arm in arms), sum(arm.most_s or 0.0 for arm in arms)
    share = _share(resources) / 3600
    weights = sum(
        arm.confirm * (probe.costs[arm.condition, arm.arm].weights_bytes + _WEIGHTS_FILE_BYTES) for arm in arms
    )
    # A checkpoint is replaced by the next one after that is whole.
    running = 2 * (slots or probe.workers) * max(cost.checkpoint_bytes for cost in probe.costs.values())
    trials = sum(arm.search + arm.grid + arm.confirm for arm in arms)
    epochs, steps = sum(arm.epochs for arm in arms), sum(arm.steps or 0 for arm in arms)
    records = trials * _BYTES_A_TRIAL + epochs * _BYTES_AN_EPOCH + steps * _BYTES_A_STEP
    return Forecast(
        device="GPU" if resources.gpus else "CPU",
        expected_hours=total * share,
        most_hours=most * share,
        expected_wall_s=None if slots is None else _wall_s(study, arms, probe, slots, most=False),
        most_wall_s=None if slots is None else _wall_s(study, arms, probe, slots, most=True),
        # MLflow keeps the trajectories once more.
        disk_bytes=probe.data_bytes + weights + running + 2 * records + trials * _MLFLOW_BYTES_A_TRIAL,
        weights_bytes=weights,
        peak_memory_mb=max(cost.peak_memory_mb for cost in probe.costs.values()),
    )


def _share(resources: ResourcesSpec) -> float:
    return resources.gpus or resources.cpus


def _wall_s(study: Study, arms: Sequence[ArmPlan], probe: Probe, slots: int, *, most: bool) -> float:
    """All trials over all slots or, if that is more, the longest search with what it confirms, which waits for it."""
    seeds = len(study.spec.search.seeds)
    searches = sum(seeds for arm in arms if arm.search + arm.grid)
    width = max(1, math.ceil(slots / max(1, searches)))
    total = longest = 0.0
    for arm in arms:
        whole_s = arm.trial_s or 0.0
        rounds = math.ceil((arm.search + arm.grid) / seeds / width)
        confirms = math.ceil(arm.confirm / (seeds if rounds else 1) / slots)
        longest = max(longest, rounds * (whole_s if most else arm.search_trial_s or 0.0) + confirms * whole_s)
        total += (arm.most_s if most else arm.expected_s) or 0.0
    return AROUND_S + probe.start_s + max(total / slots, longest)
