"""Optimisers and learning-rate schedules by the words of a study file."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from hpstudy.spec import OptimizerSpec


def make_optimizer(spec: OptimizerSpec, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW with momentum as its β1, over the network and the head alike."""
    if spec.name == "sgd":
        return torch.optim.SGD(parameters, lr=spec.lr, momentum=spec.momentum, weight_decay=spec.weight_decay)
    if spec.name == "adamw":
        return torch.optim.AdamW(parameters, lr=spec.lr, betas=(spec.momentum, 0.999), weight_decay=spec.weight_decay)
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
