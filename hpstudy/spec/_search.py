"""The `search`, `confirm` and `resources` sections: how points are chosen, judged and paid for."""

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from hpstudy.spec._fields import Real, Section, Whole
from hpstudy.spec._ranges import refuse_doubles

_OBJECTIVE = "val/tar_at_far_"
_EXAMPLE = "val/tar_at_far_1e-3"


def _objective(name: str) -> str:
    if "loss" in name.lower() or "cross_entropy" in name.lower():
        raise PydanticCustomError(
            "loss_objective",
            "a training loss is not comparable across s (s multiplies the logits), but got {name}; use {example}",
            {"example": _EXAMPLE, "name": repr(name)},
        )
    if name.startswith("test/"):
        raise PydanticCustomError(
            "test_objective",
            "the search must not see the test identities; write {name}",
            {"name": f"val/{name.removeprefix('test/')}"},
        )
    match = re.fullmatch(r"val/tar_at_far_(\d+\.?\d*(?:e[+-]?\d{1,3})?)", name)
    if match is None:
        raise PydanticCustomError(
            "objective",
            "no protocol gives {name}; an objective is val/tar_at_far_<far>, e.g. {example}",
            {"name": repr(name), "example": _EXAMPLE},
        )
    far = Decimal(match[1])
    if not 0 < far < 1:
        raise PydanticCustomError(
            "far",
            "a false accept rate lies in (0, 1), but got {far}; e.g. {example}",
            {"far": match[1], "example": _EXAMPLE},
        )
    return _OBJECTIVE + _far_text(far)


def _far_text(far: Decimal) -> str:
    sign, digits, exponent = far.normalize().as_tuple()
    assert not sign
    assert isinstance(exponent, int)
    mantissa = str(digits[0]) + ("." + "".join(map(str, digits[1:])) if len(digits) > 1 else "")
    return f"{mantissa}e{exponent + len(digits) - 1}"


class EarlyStoppingSpec(Section):
    """When a trial of the search ends before its last epoch; trials are compared within one arm and condition only."""

    kind: Literal["asha", "median", "none"] = "asha"
    """`asha` (successive halving), `median` (below the median of the others) or `none`. Default asha."""
    grace_epochs: Annotated[Whole, Field(ge=1)] = 3
    """Epochs that every trial may finish, fewer than `training.epochs`. Default 3."""
    reduction_factor: Annotated[Whole, Field(ge=2)] = 3
    """asha goes on with the best 1/reduction_factor of the trials at each rung, at least 2. Default 3."""


class SearchSpec(Section):
    """How the searched arms choose their points; every searched arm has the same budget."""

    objective: Annotated[str, AfterValidator(_objective)] = _EXAMPLE
    """What is maximised: `val/tar_at_far_<far>`, the true accept rate of the validation identities at a false accept
    rate in (0, 1). Default val/tar_at_far_1e-3."""
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

    @property
    def objective_far(self) -> float:
        """The false accept rate of the objective."""
        return float(self.objective.removeprefix(_OBJECTIVE))


class ConfirmSpec(Section):
    """The chosen point of every arm, trained anew on fresh seeds and judged on the test identities."""

    seeds: Annotated[Whole, Field(ge=1, le=10_000)] = 3
    """How many fresh training seeds, at least 1. Default 3."""
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
    """GPUs a trial: a share below 1, or a whole number. Default 0."""
    max_parallel: Annotated[Whole, Field(ge=1)] | None = None
    """Most trials at the same time; null: as many as fit. Default null."""
