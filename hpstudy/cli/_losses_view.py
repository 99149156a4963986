"""The loss family on the terminal and as JSON."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from hpstudy.catalog import CRITERIA, LOSSES, MARGINS, SCALES, LossInfo, Paper, ParameterInfo, Part, installed_losses
from hpstudy.cli._flow import hanging
from hpstudy.cli._loss_view import numbers, row

_NAME = 21
_WIDTHS = (11, 16, 7, 12)
_REWEIGH = {"circle", "curricular", "mv_angle", "mv_cosine"}


def _is_steady(info: LossInfo) -> bool:
    return not MARGINS[info.margin].reads_norm and info.margin not in _REWEIGH


_GROUPS: Mapping[str, Callable[[LossInfo], bool]] = {
    "Fixed scale, most with a margin on the target": lambda info: info.scale == "fixed" and _is_steady(info),
    "Scale that follows a rule or is learned: there is no s to search": lambda info: (
        bool(info.scale) and SCALES[info.scale].sets_itself
    ),
    "Margin that adapts, or other classes reweighed; fixed scale": lambda info: (
        info.scale == "fixed" and not _is_steady(info)
    ),
    "Softmax with norms: of the feature, of the prototypes, or of both": lambda info: (
        bool(info.scale) and SCALES[info.scale].reads_norm
    ),
    "Other criteria: no softmax over the classes": lambda info: bool(info.criterion),
}


def family() -> dict[str, Any]:
    """Every row of the catalogue."""
    return {
        "losses": [row(info) for info in LOSSES.values()],
        "regularisers": [row(info) for info in CRITERIA.values()],
        "margins": [asdict(info) for info in MARGINS.values()],
        "scales": [asdict(info) for info in SCALES.values()],
        "installed": installed_losses(),
    }


def groups() -> dict[str, list[LossInfo]]:
    """The named losses under their headings."""
    return {title: [info for info in LOSSES.values() if holds(info)] for title, holds in _GROUPS.items()}


def show_family() -> None:
    """The losses in groups, each with its parameters, bound and paper; regularisers; papers; parts."""
    listing = _Listing()
    for title, losses in groups().items():
        listing.heading(title)
        for info in losses:
            listing.entry(info, info.paper, info.parameters.values())
            listing.bound(info)
    listing.heading("Regularisers: a weight times one of them may be added to any loss")
    for criterion in CRITERIA.values():
        own = () if criterion.alone else criterion.parameters.values()
        listing.entry(criterion, criterion.paper, (criterion.weight, *own))
        if criterion.alone and criterion.parameters:
            listing.note("and its parameters above")
    listing.installed()
    listing.papers()
    listing.parts()


class _Listing:
    """Prints entries, and remembers which papers and bounds have had their turn."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._papers: dict[Paper, int] = {}
        self._bounds: dict[str, str] = {}

    def heading(self, title: str) -> None:
        columns = ("parameter", "unit", "default", "plausible")
        header = [name.ljust(width) for name, width in zip(columns, _WIDTHS, strict=True)]
        self._title(title)
        self._print(Text(f"{'':{_NAME}}{'  '.join(header)}  paper", style="dim"))

    def entry(self, part: Part, paper: Paper, parameters: Iterable[ParameterInfo]) -> None:
        number = f"[{self._papers.setdefault(paper, len(self._papers) + 1)}]"
        lines = ["  ".join(_cells(parameter)) for parameter in parameters]
        first, *others = lines or ["no parameter".ljust(sum(_WIDTHS) + 2 * (len(_WIDTHS) - 1))]
        self._print(Text.assemble((f"{part.name:{_NAME}}", "bold"), f"{first}  {number}"))
        for line in others:
            self.note(line.rstrip())

    def bound(self, info: LossInfo) -> None:
        earlier = self._bounds.setdefault(info.bound, info.name)
        text = info.bound if earlier == info.name or len(info.bound) < 20 else f"as {earlier}"
        self._print(Text(hanging("bound  ", text, self._console.width, indent=_NAME), style="italic"))

    def note(self, text: str) -> None:
        self._print(Text(" " * _NAME + text))

    def installed(self) -> None:
        if offered := installed_losses():
            self._title("From installed packages")
            for name, place in offered.items():
                self._print(Text.assemble((f"{name:{_NAME}}", "bold"), place))

    def papers(self) -> None:
        self._title("Papers")
        for paper, number in self._papers.items():
            self._print(Text(hanging(f"{f'[{number}]':<6}", str(paper), self._console.width)))

    def parts(self) -> None:
        self._title("Parts, for an arm {margin: {name: …}, scale: {name: …}} of a study file")
        for kind, table in {"margin": MARGINS, "scale": SCALES}.items():
            self._print(Text(hanging(f"{kind:8}", ", ".join(table), self._console.width)))
        self._print(Text("\n`hpstudy losses NAME` shows one: formula, parts, options, P(θ)."))

    def _title(self, title: str) -> None:
        self._print(Text(f"\n{title}", style="bold"))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def _cells(parameter: ParameterInfo) -> list[str]:
    name, unit, default, plausible = numbers(parameter)
    return [
        text.rjust(width) if text is default else text.ljust(width)
        for text, width in zip((name, unit, default, plausible), _WIDTHS, strict=True)
    ]
