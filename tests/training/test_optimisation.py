"""Optimisers by the words of a study file are torch's."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from hpstudy.spec import OptimizerSpec
from hpstudy.training._optimisation import make_optimizer

SPECS = [
    OptimizerSpec(name="sgd", lr=1e-3, momentum=0.9, weight_decay=5e-4),
    OptimizerSpec(name="adamw", lr=1e-2, momentum=0.9, weight_decay=0.05),
]


def trained(make: Any, steps: int, *, stop: int) -> tuple[list[torch.Tensor], list[Any]]:
    """The parameters after so many steps, the optimiser replaced by one of its state at a step; and all that it had."""
    generator = torch.Generator().manual_seed(3)
    network = nn.Linear(6, 4, dtype=torch.float64)
    with torch.no_grad():
        network.weight.copy_(torch.randn(4, 6, generator=generator, dtype=torch.float64))
        network.bias.zero_()
    scale = nn.Parameter(torch.tensor(8.0, dtype=torch.float64))
    optimizer = make([*network.parameters(), scale])
    for step in range(steps):
        if step == stop:
            state = optimizer.state_dict()
            optimizer = make([*network.parameters(), scale])
            optimizer.load_state_dict(state)
        optimizer.zero_grad(set_to_none=True)
        inputs = torch.randn(5, 6, generator=generator, dtype=torch.float64)
        (scale * network(inputs)).square().mean().backward()
        optimizer.step()
    return [*network.parameters(), scale], list(optimizer.state_dict()["state"].values())


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_an_optimizer_steps_as_that_of_torch(spec: OptimizerSpec) -> None:
    def of_torch(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        groups = [
            {"params": parameters[:2], "weight_decay": spec.weight_decay},
            {"params": parameters[2:], "weight_decay": 0.0},
        ]
        if spec.name == "sgd":
            return torch.optim.SGD(groups, lr=spec.lr, momentum=spec.momentum)
        return torch.optim.AdamW(groups, lr=spec.lr, betas=(spec.momentum, 0.999))

    parameters, state = trained(lambda given: make_optimizer(spec, given), 8, stop=5)
    expected, expected_state = trained(of_torch, 8, stop=20)
    assert all(torch.equal(*pair) for pair in zip(parameters, expected, strict=True))
    for entry, other in zip(state, expected_state, strict=True):
        assert entry.keys() == other.keys()
        assert all(torch.equal(entry[name], other[name]) for name in entry)


def test_a_worker_does_not_wait_for_the_compiler_that_it_does_not_use() -> None:
    code = """
import sys, torch
from hpstudy.spec import OptimizerSpec
from hpstudy.training._optimisation import make_optimizer, make_schedule
for name in ("sgd", "adamw"):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = make_optimizer(OptimizerSpec(name=name, lr=0.1), [weight])
    schedule = make_schedule("one_cycle", optimizer, lr=0.1, total_steps=4)
    weight.sum().backward()
    optimizer.step()
    schedule.step()
    optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules, float(weight.detach().max()) < 1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100)
    assert not done.returncode, done.stderr
    assert done.stdout.split() == ["False", "True"]
