"""The `search`, `confirm` and `resources` sections: how points are chosen, judged and paid for."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from hpstudy.spec._fields import Real, Section, Whole
from hpstudy.spec._objectives import EXAMPLE, Objectives, chance_of
from hpstudy.spec._ranges import refuse_doubles


class EarlyStoppingSpec(Section):
    """When a trial of the search ends before its last epoch; trials are compared within one arm and condition only."""

    kind: Literal["asha", "median", "none"] = "asha"
    """`asha` (successive halving), `median` (below the median of the others) or `none`. Default asha; none with several
    objectives."""
    grace_epochs: Annotated[Whole, Field(ge=1)] = 3
    """Epochs that every trial may finish, fewer than `training.epochs`. Default 3."""
    reduction_factor: Annotated[Whole, Field(ge=2)] = 3
    """asha goes on with the best 1/reduction_factor of the trials at each rung, at least 2. Default 3."""


class SearchSpec(Section):
    """How the searched arms choose their points; every searched arm has the same budget."""

    objective: Objectives = EXAMPLE
    """What is maximised: `val/tar_at_far_<far>`, the true accept rate of the validation identities at a false accept
    rate in (0, 1). Or a list that begins with one: further metrics, and costs of a trial, which are minimised
    (cost/wall_s, cost/cpu_s, cost/gpu_s, cost/peak_memory_mb); the first chooses the point to confirm, the next decide
    among equals. Default val/tar_at_far_1e-3."""
    sampler: Literal["tpe", "random", "qmc", "grid", "gp", "cmaes"] = "tpe"
    """`tpe` (tree-structured Parzen estimator), `random`, `qmc` (quasi-random), `grid` (full factorial of the ranges),
    `gp` (Gaussian process) or `cmaes` (CMA-ES; it draws choices at random). Default tpe."""
    trials: Annotated[Whole, Field(ge=1)] = 8
    """Trials of each searched arm in each condition, for each search seed; with sampler grid at most so many: the
    paper's default and the factorial that the rest affords. Default 8."""
    seeds: Annotated[tuple[Annotated[Whole, Field(ge=0)], ...], Field(min_length=1), AfterValidator(refuse_doubles)] = (
        0,
    )
    """Seeds of the search, each an independent repetition of it. Default [0]."""
    paper_defaults: Annotated[bool, Field(strict=True)] = True
    """Whether the first trial, one of `trials`, is the published default where the ranges hold it. Default true."""
    early_stopping: EarlyStoppingSpec = EarlyStoppingSpec()
    """When a trial ends before its last epoch."""

    @model_validator(mode="before")
    @classmethod
    def _several_stop_none(cls, data: Any) -> Any:
        """A trial that is stopped has no place among several objectives, so by default none is."""
        if isinstance(data, dict) and isinstance(names := data.get("objective"), list | tuple) and len(names) > 1:
            return {"early_stopping": {"kind": "none"}, **data}
        return data

    @property
    def objectives(self) -> tuple[str, ...]:
        """Everything that the search follows, the primary objective first."""
        return (self.objective,) if isinstance(self.objective, str) else self.objective

    @property
    def primary(self) -> str:
        """The metric that chooses the point to confirm, and that the verdict is about."""
        return self.objectives[0]

    @property
    def objective_far(self) -> float:
        """The false accept rate of the primary objective."""
        return chance_of(self.primary)


class ConfirmSpec(Section):
    """The chosen point of every arm, trained anew on fresh seeds and judged on the test identities."""

    seeds: Annotated[Whole, Field(ge=0, le=10_000)] = 3
    """How many fresh training seeds. 0 makes the study a survey: it lists points and chooses none, and every trial is
    judged on the test identities, once for each of search.seeds. Default 3."""
    equivalence_margin: Annotated[Real, Field(gt=0, lt=1)] = 0.01
    """Differences of the objective below this count as none; a rate in (0, 1). Default 0.01."""


def _gpu_share(gpus: float) -> float:
    if gpus > 1 and not gpus.is_integer():
        raise PydanticCustomError(
            "gpu_share", "a trial takes a share of one GPU or whole GPUs, but got {gpus}", {"gpus": f"{gpus:g}"}
        )
    return gpus


class ResourcesSpec(Section):
    """What one trial takes."""

    cpus: Annotated[Real, Field(gt=0)] = 1.0
    """CPU cores a trial. Default 1."""
    gpus: Annotated[Real, Field(ge=0), AfterValidator(_gpu_share)] = 0.0
    """GPUs a trial: a share below 1, which is a share of its memory too, or a whole number: every batch is divided
    among them, on one node. Default 0."""
    gpu_type: Annotated[str, Field(min_length=1)] | None = None
    """Kind of GPU that a trial must have, as Ray names it, e.g. H100 or A100; null: any. Default null."""
    on_oom: Literal["fail", "accumulate"] = "fail"
    """What becomes of a trial that runs out of GPU memory: `fail`, or `accumulate`: it goes on from its checkpoint in 4
    micro-batches a step, with the loss and the statistics of the whole batch (but batch normalisation sees only its
    micro-batch). Default fail."""
    max_trial_minutes: Annotated[Real, Field(gt=0)] | None = None
    """Minutes that a trial may run, all its attempts together; one that takes longer is ended as failed. Null: as long
    as it takes. Default null."""
    heartbeat_minutes: Annotated[Real, Field(gt=0)] | None = 30.0
    """Minutes without progress (steps trained, batches validated) after which a trial's worker is taken for hung and
    ended; the trial goes on elsewhere from its checkpoint. Null: never. Default 30."""
    max_parallel: Annotated[Whole, Field(ge=1)] | None = None
    """Most trials at the same time; null: as many as fit. Default null."""
