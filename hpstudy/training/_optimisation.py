"""Optimisers and learning-rate schedules by the words of a study file."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from hpstudy.spec import OptimizerSpec


def _plain(method: Any) -> Any:
    """A method of torch's as it is below the wrapper that knows of torch.compile."""
    return getattr(method, "__wrapped__", method)


class _Plain(Optimizer):
    """torch's optimiser without torch.compile, whose import would cost each worker as much as all else of torch."""

    add_param_group = _plain(Optimizer.add_param_group)
    load_state_dict = _plain(Optimizer.load_state_dict)
    state_dict = _plain(Optimizer.state_dict)
    zero_grad = _plain(Optimizer.zero_grad)


class _PlainSGD(_Plain, SGD):
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        return _plain(SGD.step)(self, closure)


class _PlainAdamW(_Plain, AdamW):
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        return _plain(AdamW.step)(self, closure)


def make_optimizer(spec: OptimizerSpec, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """SGD with momentum, or AdamW with momentum as its β1, over the network and the head alike.

    A single number that a head learns (a scale, a threshold) is not decayed: towards 0 is nowhere for it.
    """
    every = list(parameters)
    groups: list[dict[str, Any]] = [
        {"params": [each for each in every if each.ndim], "weight_decay": spec.weight_decay},
        {"params": [each for each in every if not each.ndim], "weight_decay": 0.0},
    ]
    if spec.name == "sgd":
        return _PlainSGD(groups, lr=spec.lr, momentum=spec.momentum)
    if spec.name == "adamw":
        return _PlainAdamW(groups, lr=spec.lr, betas=(spec.momentum, 0.999))
    raise AssertionError(f"the study file admits no optimizer {spec.name!r}")


def make_schedule(name: str, optimizer: Optimizer, *, lr: float, total_steps: int) -> LRScheduler:
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
