"""What a tracker is, and the one that keeps nothing."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from hpstudy.exceptions import HpstudyError, InputError
from hpstudy.tracking._pages import Page

if TYPE_CHECKING:
    from hpstudy.tracking._trained import TrainedModel

Row = Mapping[str, Any]
"""One row of the record's `trials` table."""

LoadTrial = Callable[[Row], tuple[pd.DataFrame, pd.DataFrame, Mapping[str, Path]]]
"""Reads the trajectory, the epochs and the artifacts of one finished trial, each by the name that it is to have."""

DrawTrial = Callable[[Row, pd.DataFrame], Mapping[str, bytes]]
"""Draws a trial from its row and its epochs: picture files by their paths below the run's artifacts."""


class TrackingUnavailableError(HpstudyError):
    """The tracking store cannot be reached now; the same call may work later."""


class TrackingRefusedError(TrackingUnavailableError, InputError):
    """The tracking store answers and refuses, until its user or whoever runs it changes something."""


class Tracker(Protocol):
    """Shows a study while it runs and afterwards.

    Contract: one tracker a study and one thread at a time. Every method may be called again with the same arguments,
    also by a later process, and nothing is doubled. Arguments are read, never changed or kept beyond the delivery. A
    method raises `TrackingUnavailableError` when the store is away; those of `BackgroundTracker` wait instead.
    """

    def start(self) -> None:
        """Opens the study and its arms, or reopens them."""

    def trial_started(self, row: Row) -> None:
        """Shows a trial as running; the row holds what is known before it runs."""

    def trial_finished(self, row: Row, load: LoadTrial) -> None:
        """Delivers a trial that ended, whatever its status; marked as delivered last of all."""

    def arm_finished(self, arm: str, page: Page) -> None:
        """Closes an arm with what came of it."""

    def model_finished(self, model: "TrainedModel") -> None:
        """Shows the best network of an arm in a condition, ready to be loaded."""

    def study_finished(self, page: Page) -> None:
        """Closes the study with what came of it."""

    def trials_finished(self) -> None:
        """Closes the study and its arms, what came of them being told later."""

    def interrupted(self) -> None:
        """Shows whatever is running as killed; a later `start` reopens it."""

    def delivered(self) -> set[str]:
        """The ids of the trials whose delivery is complete."""

    def catch_up(self, rows: Iterable[Row], load: LoadTrial) -> None:
        """Delivers those finished trials of the record that are not delivered yet; loads no others."""

    def close(self, timeout: float = 30.0) -> tuple[str, ...]:
        """Delivers what waits, for at most `timeout` seconds; returns what was not delivered."""


class NullTracker(Tracker):
    """Keeps nothing and shows nothing."""

    def start(self) -> None: ...

    def trial_started(self, row: Row) -> None: ...

    def trial_finished(self, row: Row, load: LoadTrial) -> None: ...

    def arm_finished(self, arm: str, page: Page) -> None: ...

    def model_finished(self, model: "TrainedModel") -> None: ...

    def study_finished(self, page: Page) -> None: ...

    def trials_finished(self) -> None: ...

    def interrupted(self) -> None: ...

    def delivered(self) -> set[str]:
        return set()

    def catch_up(self, rows: Iterable[Row], load: LoadTrial) -> None: ...

    def close(self, timeout: float = 30.0) -> tuple[str, ...]:
        return ()
