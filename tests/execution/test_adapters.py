"""What Tune is told to run."""

from types import SimpleNamespace
from typing import Any

from hpstudy.execution._adapters import PlanScheduler


def test_each_trial_is_chosen_once_in_the_order_of_the_planner() -> None:
    """Tune gives a trial that is chosen again the next free worker, and ends the one that is starting for it."""
    scheduler = PlanScheduler(SimpleNamespace(reported=lambda *words: False))  # type: ignore[arg-type]
    controller: Any = SimpleNamespace()
    first, second, third = (SimpleNamespace(status="PENDING") for _ in range(3))
    assert scheduler.choose_trial_to_run(controller) is None
    for trial in (first, second):
        scheduler.on_trial_add(controller, trial)  # type: ignore[arg-type]
    assert [scheduler.choose_trial_to_run(controller) for _ in range(3)] == [first, second, None]
    scheduler.on_trial_add(controller, third)  # type: ignore[arg-type]
    assert scheduler.choose_trial_to_run(controller) is third
    assert scheduler.choose_trial_to_run(controller) is None
