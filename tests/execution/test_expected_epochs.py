"""The model of early stopping, held against the rules that it models."""

import numpy as np
import pytest

from hpstudy.execution._expected_epochs import expect
from hpstudy.search._early_stopping import make_early_stopping
from hpstudy.spec import EarlyStoppingSpec


def simulated(rule: EarlyStoppingSpec, *, trials: int, epochs: int, searches: int = 400) -> tuple[float, float]:
    """Mean epochs and completed fraction by the rules themselves, asked after every epoch."""
    real = make_early_stopping(rule)
    generator = np.random.default_rng(7)
    ends = []
    for _ in range(searches):
        others: list[dict[int, float]] = []
        for value in generator.normal(size=trials).tolist():
            own: dict[int, float] = {}
            for epoch in range(1, epochs + 1):
                own[epoch] = value
                if epoch < epochs and real.stops(epoch, own, others):
                    break
            others.append(own)
            ends.append(len(own))
    return float(np.mean(ends)), float(np.mean(np.equal(ends, epochs)))


@pytest.mark.parametrize(
    ("rule", "trials", "epochs"),
    [
        ({"kind": "asha", "grace_epochs": 3, "reduction_factor": 3}, 8, 12),
        ({"kind": "asha", "grace_epochs": 1, "reduction_factor": 2}, 20, 16),
        ({"kind": "asha", "grace_epochs": 4, "reduction_factor": 3}, 5, 12),
        ({"kind": "median", "grace_epochs": 3}, 10, 9),
    ],
)
def test_the_model_is_the_rule_under_its_assumptions(rule: dict[str, object], trials: int, epochs: int) -> None:
    spec = EarlyStoppingSpec.model_validate(rule)
    found = expect(spec, trials=trials, epochs=epochs)
    mean, completed = simulated(spec, trials=trials, epochs=epochs)
    assert found.epochs == pytest.approx(mean, rel=0.03)
    assert found.completed == pytest.approx(completed, abs=0.03)


def test_the_first_rung_is_that_of_exchangeable_arrivals() -> None:
    spec = EarlyStoppingSpec(kind="asha", grace_epochs=3, reduction_factor=3)
    surviving = np.mean([max(1, seen // 3) / seen for seen in range(1, 9)])
    assert expect(spec, trials=8, epochs=4).epochs == pytest.approx(3 + surviving, rel=0.02)


def test_without_early_stopping_every_trial_trains_to_its_end() -> None:
    for spec in (EarlyStoppingSpec(kind="none"), EarlyStoppingSpec(kind="asha", grace_epochs=12)):
        found = expect(spec, trials=8, epochs=12)
        assert (found.epochs, found.completed) == (12, 1.0)


def test_a_large_search_is_modelled_quickly() -> None:
    spec = EarlyStoppingSpec(kind="median", grace_epochs=1)
    assert 1 < expect(spec, trials=500, epochs=100).epochs < 100
