"""Whom the watch takes for hung; that such workers are ended and their trials run again is in `test_faults.py`."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from hpstudy.execution import _pulse, _watch
from hpstudy.execution._watch import Watch
from hpstudy.spec import ResourcesSpec

LIMITS = ResourcesSpec(heartbeat_minutes=1, max_trial_minutes=10)


class Beside:
    """The pulse in this process, called as an actor is."""

    def __init__(self) -> None:
        self._pulse = _pulse.Pulse()

    def options(self, **options: Any) -> "Beside":
        return self

    def remote(self) -> "Beside":
        return self

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=getattr(self._pulse, name))


class Stage:
    """A watch, a clock that is set by hand, and what was ended."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now, self.ended, self.told, self.trials, beside = 0.0, [], [], [], Beside()  # type: ignore[var-annotated]
        self.pulse = beside._pulse
        patch.setattr(_watch.time, "monotonic", lambda: self.now)
        patch.setattr(ray, "remote", lambda actor: beside)
        patch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "00" * 28))
        patch.setattr(ray, "nodes", lambda: [{"Alive": True, "NodeID": "here", "Resources": {"CPU": 2}}])
        patch.setattr(ray, "wait", lambda asked, timeout: (asked, []))
        patch.setattr(ray, "get", lambda answer: answer)
        patch.setattr(ray, "kill", self.ended.append)
        self.watch = Watch(LIMITS, self.told.append)

    def hand(self, tune_id: str, trial_id: str, worker: str | None) -> Any:
        """Tune hands a trial to a worker, or has none free for it."""
        self.watch.expect(tune_id, trial_id)
        self.trials.append(SimpleNamespace(trial_id=tune_id, temporary_state=SimpleNamespace(ray_actor=worker)))
        return self.trials[-1].temporary_state

    def begin(self, trial_id: str) -> None:
        """A worker says that it has the trial."""
        self.pulse.began(trial_id, ray.cloudpickle.dumps(f"worker of {trial_id}"), "here")

    def pass_time(self, seconds: float, during: Callable[[], None] = lambda: None) -> None:
        """Tune goes on for so long."""
        for _ in range(int(seconds)):
            self.now += 1
            during()
            self.watch.on_step_end(0, self.trials)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def test_a_worker_that_never_says_that_it_has_a_trial_is_hung(stage: Stage) -> None:
    stage.hand("a", "first", "its worker")
    waiting = stage.hand("b", "second", None)
    stage.pass_time(58)
    assert stage.ended == []
    stage.pass_time(6)
    assert stage.ended == ["its worker"]
    assert stage.watch.loss("first").kind == "hung"
    stage.pass_time(300)
    assert stage.ended == ["its worker"], "once, and a trial that waits for a place is left alone"
    waiting.ray_actor = "another"
    stage.pass_time(66)
    assert stage.ended == ["its worker", "another"]


def test_a_worker_that_makes_no_progress_is_hung(stage: Stage) -> None:
    stage.hand("a", "first", "its worker")
    stage.begin("first")
    stage.pass_time(120, lambda: stage.pulse.beat("first"))
    assert stage.ended == []
    stage.pass_time(66)
    assert stage.ended == ["worker of first"]
    assert "first made no progress for resources.heartbeat_minutes: 1; its worker is ended" in stage.told


def test_a_trial_is_overdue_whatever_it_says(stage: Stage) -> None:
    stage.hand("a", "first", "its worker")
    stage.begin("first")
    stage.pulse.beat("first", 400.0)  # in earlier attempts
    stage.pass_time(198, lambda: stage.pulse.beat("first"))
    assert stage.ended == []
    stage.pass_time(6, lambda: stage.pulse.beat("first"))
    assert stage.ended == ["worker of first"]
    assert stage.watch.loss("first").kind == "overdue"


def test_a_sign_of_an_attempt_that_has_ended_says_nothing_of_the_next(stage: Stage) -> None:
    stage.hand("a", "first", "its worker")
    stage.begin("first")
    stage.pass_time(61)  # it asks every other second: the answer to the last question would end the worker
    assert stage.ended == []
    stage.watch.forget("a", "first")
    stage.hand("b", "first", "another worker")
    stage.pass_time(2)
    assert stage.ended == []
    stage.begin("first")
    stage.pass_time(120, lambda: stage.pulse.beat("first"))
    assert stage.ended == []
