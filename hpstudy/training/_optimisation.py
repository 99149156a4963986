"""Optimisers and learning-rate schedules by the words of a study file."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from hpstudy.spec import OptimizerSpec


def make_optimizer(spec: OptimizerSpec, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW with momentum as its β1, over the network and the head alike.

    A single number that a head learns (a scale, a threshold) is not decayed: towards 0 is nowhere for it.
    """
    every = list(parameters)
    groups: list[dict[str, Any]] = [
        {"params": [each for each in every if each.ndim], "weight_decay": spec.weight_decay},
        {"params": [each for each in every if not each.ndim], "weight_decay": 0.0},
    ]
    if spec.name == "sgd":
        return torch.optim.SGD(groups, lr=spec.lr, momentum=spec.momentum)
    if spec.name == "adamw":
        return torch.optim.AdamW(groups, lr=spec.lr, betas=(spec.momentum, 0.999))
    raise AssertionError(f"the study file admits no optimizer {spec.name!r}")


def make_schedule(name: str, optimizer: torch.optim.Optimizer, *, lr: float, total_steps: int) -> LRScheduler:
    """The learning rate of every step.

    `one_cycle` rises from lr/25 to lr over the first 30 % of the steps and falls to nearly nothing (momentum stays as
    configured); `cosine` falls from lr to 0; `constant` stays.
    """
    if name == "one_cycle":
        return OneCycleLR(optimizer, max_lr=lr, total_steps=total_steps, cycle_momentum=False)
    if name == "cosine":
        return CosineAnnealingLR(optimizer, T_max=total_steps)
    if name == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
    raise AssertionError(f"the study file admits no schedule {name!r}")
