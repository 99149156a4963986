"""A plan as a screen of text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from hpstudy.execution import ArmPlan, Forecast, Plan, PowerNote

_MOST_ROWS = 14
_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_COLUMNS = ("search", "grid", "confirm", "epochs", "at most", "a trial", "in all")


def show(console: Console, plan: "Plan") -> None:
    """Prints the plan."""
    console.print(Text.assemble((plan.study, "bold"), "  ", plan.question), soft_wrap=True)
    console.print(_trial_table(plan))
    facts = [("Epochs", _epochs(plan)), *_costs(plan), ("Power", _power(plan.power))]
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", min_width=6)
    table.add_column()
    for name, text in facts:
        table.add_row(name, Text(text))
    for note in plan.notes:
        table.add_row("Note", Text(note))
    console.print(table)
    if plan.power and plan.power.comparisons:
        console.print(Padding(_power_table(plan.power), (0, 0, 0, 8)))


@dataclass(frozen=True)
class _Row:
    name: str
    plans: Sequence["ArmPlan"]


def _rows(plan: "Plan") -> tuple[str, list[_Row]]:
    """Arms, or arms in conditions if they fit, or else conditions; and what to call them."""
    conditions = list(dict.fromkeys(each.condition for each in plan.arms))
    if len(conditions) == 1:
        return "arm", [_Row(each.arm, [each]) for each in plan.arms]
    if len(plan.arms) <= _MOST_ROWS:
        return "condition, arm", [_Row(f"{each.condition} {each.arm}", [each]) for each in plan.arms]
    by_condition = [_Row(name, [each for each in plan.arms if each.condition == name]) for name in conditions]
    if len(by_condition) <= _MOST_ROWS:
        return "condition, all arms", by_condition
    arms = dict.fromkeys(each.arm for each in plan.arms)
    return "arm, all conditions", [_Row(name, [each for each in plan.arms if each.arm == name]) for name in arms]


def _trial_table(plan: "Plan") -> Table:
    title, rows = _rows(plan)
    cells = {row.name: _cells(row.plans) for row in rows}
    everything = _cells(plan.arms)
    shown = [column for column in _COLUMNS if everything[column]]
    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column(title, footer="all", overflow="fold")
    for column in shown:
        table.add_column(column, everything[column] if column != "a trial" else "", justify="right", no_wrap=True)
    for name, row in cells.items():
        table.add_row(name, *(row[column] for column in shown))
    return table


def _cells(plans: Sequence["ArmPlan"]) -> dict[str, str]:
    most = sum(each.epochs for each in plans)
    expected = sum(each.expected_epochs for each in plans)
    trials = [each.trial_s for each in plans if each.trial_s is not None]
    all_s = _sum(each.expected_s for each in plans)
    return {
        "search": _count(sum(each.search for each in plans)),
        "grid": _count(sum(each.grid for each in plans)),
        "confirm": _count(sum(each.confirm for each in plans)),
        "epochs": f"{expected:,.0f}",
        "at most": f"{most:,}" if round(expected) != most else "",
        "a trial": duration(sum(trials) / len(trials)) if trials else "",
        "in all": duration(all_s) if all_s is not None else "",
    }


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _epochs(plan: "Plan") -> str:
    trials = " + ".join(f"{count:,} {phase}" for phase, count in plan.trials.items() if count)
    most = sum(each.epochs for each in plan.arms)
    expected = sum(each.expected_epochs for each in plan.arms)
    steps = _sum(each.expected_steps for each in plan.arms)
    text = f"{trials} trials"
    text += f" ({plan.finished:,} of them finished)" if plan.finished else ""
    text += f": about {expected:,.0f} epochs" if round(expected) != most else f": {most:,} epochs"
    text += f", {steps:,.0f} steps" if steps is not None else ""
    return f"{text} ({plan.expectation})" if round(expected) != most else text


def _costs(plan: "Plan") -> list[tuple[str, str]]:
    forecast = plan.forecast
    if forecast is None:
        return []
    together = f"{plan.probe_workers} at a time, as they will run" if plan.probe_workers > 1 else "alone"
    parts = f"{plan.timed} networks" if plan.timed > 1 else "the network"
    return [
        ("Time", _time(plan, forecast)),
        (
            "Space",
            f"{size(forecast.disk_bytes)} on disk ({size(forecast.weights_bytes)} confirmed weights); "
            f"{size(forecast.peak_memory_mb * 2**20)} of {forecast.device} memory a trial",
        ),
        ("Probe", f"a few steps of {parts}, {together}, and each arm's head; the rest is scaled up"),
    ]


def _time(plan: "Plan", forecast: "Forecast") -> str:
    cost = f"{duration(forecast.expected_hours * 3600)} of {forecast.device} time"
    if forecast.expected_wall_s is None:
        text = f"about {cost}; how many trials run at a time is not known"
    else:
        trials = f"{plan.slots} trial{'s' * (plan.slots != 1)} at a time"
        text = f"about {duration(forecast.expected_wall_s)} with {trials}, {cost}"
    longer = forecast.most_hours / forecast.expected_hours
    return text if longer < 1.02 else f"{text}; up to {longer:.2g} times that if no trial stops early"


def _power(power: "PowerNote | None") -> str:
    if power is None:
        return "a survey describes what it lists, with intervals over its seeds; it tests no difference between arms"
    if not power.comparisons:
        return "no tuned arm meets an adaptive one: there is nothing to compare"
    seeds = f"{power.seeds} confirm seed{'s' * (power.seeds != 1)}, {power.comparisons} comparison"
    seeds += "s" * (power.comparisons != 1)
    if power.effect is None or power.margin_effect is None:
        return f"{seeds}: with one seed nothing is tested; ask for confirm.seeds of 2 or more, better 5"
    return (
        f"{seeds}: 80 % power after Holm for a difference of {power.effect:.2g} sd, and for equivalence within "
        f"±{power.margin_effect:.2g} sd (of the paired differences)"
    )


def _power_table(power: "PowerNote") -> Table:
    margin = f"±{points(power.equivalence_margin)} point{'s' * (power.equivalence_margin != 0.01)}"
    table = Table(box=None, pad_edge=False)
    table.add_column(
        f"points of sd,\n{'of the record' if power.measured else 'for example'}", justify="right", no_wrap=True
    )
    for name in (
        "points detectable,\nafter Holm",
        "as the only\ncomparison",
        f"equivalence in\n{margin} shown",
        "seeds for\n80 % of it",
    ):
        table.add_column(name, justify="right")
    for at in power.at:
        table.add_row(
            points(at.spread),
            "none" if at.detectable is None else points(at.detectable),
            "none" if at.detectable_alone is None else points(at.detectable_alone),
            f"{at.equivalence_power:.0%}",
            f"{at.seeds_for_equivalence:,}" if at.seeds_for_equivalence < 1000 else "1,000 or more",
        )
    return table


def points(rate: float) -> str:
    """A rate in percentage points, to two digits."""
    value = 100 * rate
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """A time to two or three digits, e.g. `24 ms`, `9.1 s`, `3.3 min`, `5.2 h`, `12 d`."""
    for unit, length, least in (("d", 86400, 2), ("h", 3600, 1), ("min", 60, 1.5)):
        if seconds >= least * length:
            return _short(seconds / length, unit)
    return _short(seconds, "s") if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def size(count: float) -> str:
    """Bytes to two or three digits, e.g. `47 MB`."""
    unit, length = next(((unit, length) for unit, length in _UNITS if count >= length), _UNITS[-1])
    return _short(count / length, unit)


def _short(amount: float, unit: str) -> str:
    return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:,.0f} {unit}"
