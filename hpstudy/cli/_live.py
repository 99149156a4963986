"""A running study on the terminal: a live table, or plain lines where there is no terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from hpstudy.execution import ArmProgress, Progress


class Observer(Protocol):
    """Is called with every change of a study."""

    def __call__(self, progress: "Progress") -> None: ...


@contextmanager
def watching(console: Console, title: str) -> Iterator[Observer]:
    """Shows a study for the `with` block."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    view = _View(title)
    with Live(view, console=console, refresh_per_second=4, transient=False):
        yield view.update


class _Lines:
    """One line for each trial that ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._done = -1

    def __call__(self, progress: "Progress") -> None:
        if progress.done == self._done:
            return
        first = self._done < 0
        self._done = progress.done
        if first or progress.last is None:
            text = f"{progress.total} trials, {progress.done} done before"
        else:
            last = progress.last
            text = f"{last.trial_id} {last.status} val {last.objective:.3f}"
            if last.cause and last.status != "pruned":
                text += f" ({last.cause})"
        left = f", about {_clock(progress.eta_s)} left" if progress.eta_s is not None else ""
        line = f"[{progress.done}/{progress.total}] {text}{left}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class _View:
    """The table, redrawn with a running clock."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._progress: Progress | None = None
        self._began = time.monotonic()
        self._at = self._began

    def update(self, progress: "Progress") -> None:
        self._progress = progress
        self._at = time.monotonic()

    def __rich__(self) -> Group | Text:
        elapsed = time.monotonic() - self._began
        if self._progress is None:
            return Text(f"{self._title}: starting Ray and reading the data … {_clock(elapsed)}", style="dim")
        progress = self._progress
        if progress.done == progress.total:
            eta = ", writing the report"
        elif progress.eta_s is None:
            eta = ""
        else:
            eta = f", about {_clock(progress.eta_s - (time.monotonic() - self._at))} left"
        line = Table.grid(padding=(0, 2))
        line.add_row(
            Text(self._title, style="bold"),
            ProgressBar(total=max(1, progress.total), completed=progress.done, width=24),
            Text(f"{progress.done} of {progress.total} trials, {_clock(elapsed)}{eta}"),
        )
        return Group(line, progress_table(progress))


def progress_table(progress: "Progress") -> Table:
    """The arms of a study: trials done, best point, what was stopped, what runs."""
    conditions = len({arm.condition for arm in progress.arms}) > 1
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("arm", no_wrap=True)
    if conditions:
        table.add_column("condition", no_wrap=True)
    table.add_column("search", justify="right")
    table.add_column("best", justify="right")
    table.add_column("at", no_wrap=True)
    table.add_column("confirm", justify="right")
    table.add_column("mean", justify="right")
    table.add_column("stopped", justify="right")
    table.add_column("diverged", justify="right")
    table.add_column("running", no_wrap=True)
    for arm in progress.arms:
        table.add_row(*([arm.arm, arm.condition] if conditions else [arm.arm]), *_cells(arm))
    return table


def _cells(arm: "ArmProgress") -> list[Text | str]:
    search = f"{arm.search_done}/{arm.search_total}" if arm.search_total else "–"
    point = " ".join(f"{name.rsplit('.', 1)[-1]}={value:.3g}" for name, value in arm.best_params.items())
    stopped = str(arm.pruned) if arm.pruned else ""
    broken = arm.diverged + arm.failed
    return [
        search,
        "" if arm.best is None else f"{arm.best:.3f}",
        point,
        f"{arm.confirm_done}/{arm.confirm_total}",
        "" if arm.confirmed is None else f"{arm.confirmed:.3f}",
        stopped,
        Text(f"{arm.diverged}" + (f" +{arm.failed} failed" if arm.failed else "") if broken else "", style="red"),
        Text(", ".join(state or "starting" for state in arm.running), style="dim"),
    ]


def _clock(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole >= 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}"
