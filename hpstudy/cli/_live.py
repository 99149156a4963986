"""A running study on the terminal: a live table, or plain lines where there is no terminal."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from hpstudy.execution import ArmProgress, Progress

WIDE = 100
"""Columns of a terminal from which on there is room for more than names and numbers."""
NAME_WIDTH = 10
"""Cells that a name keeps, if it has as many, before a number is left out."""
RUNNING_WIDTH = 20


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
            text = f"{last.trial_id} {last.status}"
            # The search is told chance level where a trial found nothing; that is no score to show.
            if last.status in ("completed", "pruned") and math.isfinite(last.objective):
                text += f" val {last.objective:.3f}"
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

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._content(options.max_width)

    def _content(self, width: int) -> Group | Text:
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
            ProgressBar(total=max(1, progress.total), completed=progress.done, width=24 if width >= WIDE else 12),
            Text(f"{progress.done} of {progress.total} trials, {_clock(elapsed)}{eta}"),
        )
        return Group(line, progress_table(progress, width))


def progress_table(progress: "Progress", width: int) -> Table:
    """The arms of a study: trials done, best point, what was pruned, what runs.

    Args:
        progress: The study.
        width: Columns of the terminal. Names are shortened and columns left out to keep every number whole.
    """
    arms = progress.arms
    names = {"arm": [arm.arm for arm in arms]}
    if len({arm.condition for arm in arms}) > 1:
        names["condition"] = [arm.condition for arm in arms]
    numbers = _numbers(arms)
    gap = 2 if width >= WIDE else 1
    kept = sum(min(NAME_WIDTH, _width(*column)) + gap for column in names.items())
    for header in ("pruned", "search", "confirm"):
        if kept + _total(numbers, gap) > width:
            del numbers[header]
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, gap, 0, 0))
    for header in names:
        table.add_column(header)
    for header in numbers:
        style = "red" if header in ("diverged", "failed") else ""
        table.add_column(header, justify="right", no_wrap=True, style=style, min_width=_width(header, numbers[header]))
    columns = [[Text(name, no_wrap=True, overflow="ellipsis") for name in column] for column in names.values()]
    columns += [[Text(number) for number in column] for column in numbers.values()]
    room = width - _total(names, gap) - _total(numbers, gap)
    points = [_point(arm) for arm in arms]
    if width >= WIDE and any(points) and _width("at", points) <= room:
        table.add_column("at", no_wrap=True)
        columns.append([Text(point) for point in points])
        room -= _width("at", points) + gap
    if width >= WIDE and room >= RUNNING_WIDTH:
        table.add_column("running", no_wrap=True, style="dim")
        columns.append([Text(_fitting(arm.running, room)) for arm in arms])
    for cells in zip(*columns, strict=True):
        table.add_row(*cells)
    return table


def _numbers(arms: Sequence["ArmProgress"]) -> dict[str, list[str]]:
    columns = {
        "search": [f"{arm.search_done}/{arm.search_total}" if arm.search_total else "–" for arm in arms],
        "best val": [_score(arm.best) for arm in arms],
        "confirm": [f"{arm.confirm_done}/{arm.confirm_total}" for arm in arms],
        "val mean": [_score(arm.confirmed) for arm in arms],
        "pruned": [str(arm.pruned or "") for arm in arms],
        "diverged": [str(arm.diverged or "") for arm in arms],
    }
    if any(arm.failed for arm in arms):
        columns["failed"] = [str(arm.failed or "") for arm in arms]
    return columns


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _point(arm: "ArmProgress") -> str:
    return " ".join(f"{name.rsplit('.', 1)[-1]}={value:.3g}" for name, value in arm.best_params.items())


def _fitting(running: Sequence[str], room: int) -> str:
    """As many of the running trials as there is room for, and how many more there are."""
    states = [state or "starting" for state in running]
    for shown in range(len(states), 0, -1):
        rest = [f"+{len(states) - shown}"] if shown < len(states) else []
        text = ", ".join([*states[:shown], *rest])
        if cell_len(text) <= room:
            return text
    return f"{len(states)} trials" if states else ""


def _width(header: str, cells: Sequence[str]) -> int:
    return max(map(cell_len, [header, *cells]))


def _total(columns: Mapping[str, Sequence[str]], gap: int) -> int:
    return sum(_width(*column) + gap for column in columns.items())


def _clock(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole >= 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}"
