import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import hpstudy.tracking as tracking

EMPTY = pd.DataFrame()


class Scripted(tracking.NullTracker):
    """Meets the given errors in turn, then works."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def _meet(self, call: str) -> None:
        assert threading.current_thread().name == "hpstudy-tracking"
        self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.calls.append(call)

    def start(self) -> None:
        self._meet("start")

    def trial_finished(self, row: tracking.Row, *_: Any) -> None:
        self._meet(row["trial_id"])

    def delivered(self) -> set[str]:
        self._meet("delivered")
        return {"a"}


def away() -> tracking.TrackingUnavailableError:
    return tracking.TrackingUnavailableError("connection refused")


def test_an_outage_is_waited_out_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    inner = Scripted(away(), away(), away())
    background = tracking.BackgroundTracker(lambda: inner, first_delay=0.01)
    with caplog.at_level(logging.INFO, "hpstudy.tracking"):
        background.start()
        background.trial_finished({"trial_id": "a"}, lambda row: (EMPTY, EMPTY, {}))
        background.trial_finished({"trial_id": "b"}, lambda row: (EMPTY, EMPTY, {}))
        assert background.close(5.0) == ()
    assert inner.calls == ["start", "a", "b"]
    assert [record.message.partition(";")[0] for record in caplog.records] == ["MLflow is away", "MLflow is back"]


def test_a_broken_delivery_does_not_block_the_next(caplog: pytest.LogCaptureFixture) -> None:
    inner = Scripted(*[KeyError("bug")] * 3)
    background = tracking.BackgroundTracker(lambda: inner, first_delay=0.001)
    background.trial_finished({"trial_id": "a"}, lambda row: (EMPTY, EMPTY, {}))
    background.trial_finished({"trial_id": "b"}, lambda row: (EMPTY, EMPTY, {}))
    assert background.close(5.0) == ("a",)
    assert inner.calls == ["b"]
    assert "a could not be delivered" in caplog.text


def test_the_caller_never_waits_and_close_says_what_is_left() -> None:
    inner = Scripted()
    inner.gate.clear()
    background = tracking.BackgroundTracker(lambda: inner, max_waiting=3)
    began = time.perf_counter()
    background.start()
    for trial_id in "abcd":
        background.trial_finished({"trial_id": trial_id}, lambda row: (EMPTY, EMPTY, {}))
    assert background.close(0.05) == ("c", "d", "start", "a", "b")
    assert time.perf_counter() - began < 1.0
    inner.gate.set()


def test_closing_wakes_a_long_wait() -> None:
    inner = Scripted(away())
    background = tracking.BackgroundTracker(lambda: inner, first_delay=600.0)
    background.start()
    while inner.errors:
        time.sleep(0.001)
    assert background.close(5.0) == ()
    assert inner.calls == ["start"]


def test_questions_are_answered_from_the_thread() -> None:
    background = tracking.BackgroundTracker(lambda: Scripted(away()), first_delay=0.001)
    assert background.delivered() == {"a"}
    background.close()
    inner = Scripted(KeyError("bug"))
    background = tracking.BackgroundTracker(lambda: inner)
    with pytest.raises(KeyError, match="bug"):
        background.delivered()
    inner.gate.clear()
    with pytest.raises(tracking.TrackingUnavailableError, match=r"within 0\.01 s"):
        background.delivered(timeout=0.01)
    inner.gate.set()
    background.close()


def test_a_real_study_in_the_background(
    make_tracker: Callable[..., tracking.MlflowTracker], row: dict[str, Any], frames: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    background = tracking.BackgroundTracker(make_tracker)
    background.start()
    background.trial_started(row)
    background.trial_finished(row, lambda row: (*frames, {}))
    other = {**row, "trial_id": "cosface.default.search.s0.008", "number": 8}

    def load(missing: tracking.Row) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Path]]:
        assert missing["number"] == 8
        return *frames, {}

    background.catch_up(iter([row, other]), load)
    background.interrupted()
    assert background.close(60.0) == ()
    assert make_tracker().delivered() == {row["trial_id"], other["trial_id"]}
