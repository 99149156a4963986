"""The `training` section: how one trial trains."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from hpstudy.spec._fields import Real, Section, Whole


class OptimizerSpec(Section):
    """How weights are updated."""

    name: Literal["sgd", "adamw"] = "sgd"
    """`sgd` or `adamw`. Default sgd."""
    lr: Annotated[Real, Field(gt=0)] = 0.1
    """Peak learning rate. Default 0.1, for sgd; adamw has to give its own, usually near 1e-3."""
    momentum: Annotated[Real, Field(ge=0, lt=1)] = 0.9
    """Momentum of sgd, β1 of adamw; in [0, 1). Default 0.9."""
    weight_decay: Annotated[Real, Field(ge=0)] = 5e-4
    """L2 penalty of sgd, decoupled decay of adamw. Default 5e-4."""

    @model_validator(mode="after")
    def _adamw_gives_its_lr(self) -> Self:
        if self.name == "adamw" and "lr" not in self.model_fields_set:
            raise PydanticCustomError(
                "adamw_lr",
                "adamw needs its own lr (the default 0.1 is for sgd); e.g. lr: 1e-3",
                {"fields": "name lr"},
            )
        return self


class TrainingSpec(Section):
    """How one trial trains; every number here may be searched, e.g. `training.optimizer.lr`."""

    epochs: Annotated[Whole, Field(ge=1)] = 12
    """Passes over the training images (see steps_per_epoch), at least 1. Default 12."""
    batch_size: Annotated[Whole, Field(ge=2)] = 128
    """Images a step, at least 2. Default 128."""
    steps_per_epoch: Annotated[Whole, Field(ge=1)] | None = None
    """Steps after which the trial is judged and kept, be it a part of a pass over the training images or several; null:
    those of one pass. Default null."""
    optimizer: OptimizerSpec = OptimizerSpec()
    """How weights are updated."""
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    """Course of the learning rate: `one_cycle`, `cosine` or `constant`. Default one_cycle."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the network (the head always computes in float32): `float32`, `bfloat16`, or `auto`: bfloat16 on a
    GPU that has it. Default auto."""
    grad_clip: Annotated[Real, Field(gt=0)] | None = None
    """Largest norm of the gradient; null clips nothing. Default null."""
    classes_at_once: Annotated[Whole, Field(ge=1)] | None = None
    """Classes whose cosines the head computes at a time, so that memory does not grow with their number; null keeps the
    cosines of all classes, which is faster. For 100,000 identities and more. Default null."""
