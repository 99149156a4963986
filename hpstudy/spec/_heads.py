"""What an arm's loss can be given: the catalogue's parameters and options under the names that the file uses."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hpstudy.catalog import CRITERIA, LOSSES, MARGINS, SCALES, LossInfo, OptionInfo, ParameterInfo, Part
from hpstudy.spec._arms import ArmSpec, PartSpec

Settings = dict[str, float | str]

CATALOGUES: Mapping[str, Mapping[str, Part]] = {"margin": MARGINS, "scale": SCALES, "criterion": CRITERIA}
"""Where each kind of part is listed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartTable:
    """What a part of an arm's head takes; for a named loss with the defaults of that loss."""

    name: str
    parameters: Mapping[str, ParameterInfo]
    options: Mapping[str, OptionInfo]

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that can be given."""
        return (*self.parameters, *self.options)

    def filled(self, given: Mapping[str, float | str]) -> Settings:
        """Every parameter and option: as given, else the default; numbers as floats."""
        numbers = {name: float(given.get(name, info.default)) for name, info in self.parameters.items()}
        return {**numbers, **{name: given.get(name, info.default) for name, info in self.options.items()}}


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadTable:
    """The parts of an arm's head, all in the catalogue."""

    label: str
    """Name of the loss, or `margin+scale`."""
    parts: Mapping[str, PartTable]
    """`margin` and `scale`, or `criterion`."""
    regularisers: Mapping[str, PartTable] = field(default_factory=dict)
    """By the name of the criterion; `weight` is one of the parameters."""

    @property
    def parameters(self) -> dict[str, ParameterInfo]:
        """What can be searched, by every name that the file may use: `m` where one part has it, `margin.m` always."""
        every = {**self.parts, **self.regularisers}
        dotted = {f"{part}.{name}": info for part, table in every.items() for name, info in table.parameters.items()}
        plain = {
            name: info
            for part, table in self.parts.items()
            for name, info in table.parameters.items()
            if all(name not in other.parameters for key, other in self.parts.items() if key != part)
        }
        return {**plain, **dotted}

    def place(self, name: str) -> tuple[str, str]:
        """Part (`margin`, `scale`, `criterion` or a regulariser) and parameter that a searchable name means."""
        part, dot, parameter = name.partition(".")
        if dot:
            return part, parameter
        return self.owner(name), name

    def owner(self, name: str) -> str:
        """The part that takes a plain name; the last one if none does."""
        return next((part for part, table in self.parts.items() if name in table.names), list(self.parts)[-1])

    def options(self, name: str) -> bool:
        """Whether a plain name is an option of a part."""
        return any(name in table.options for table in self.parts.values())


def named_table(loss: str) -> HeadTable | None:
    """The table of a loss of the catalogue; None if it has no such loss."""
    info = LOSSES.get(loss)
    if info is None:
        return None
    names = {"margin": info.margin, "scale": info.scale, "criterion": info.criterion}
    parts = {kind: _of_loss(CATALOGUES[kind][name], info) for kind, name in names.items() if name}
    return HeadTable(label=loss, parts=parts)


def _of_loss(part: Part, info: LossInfo) -> PartTable:
    return PartTable(
        name=part.name,
        parameters={name: info.parameters[name] for name in part.parameters},
        options={name: info.options[name] for name in part.options},
    )


def part_table(kind: str, part: PartSpec) -> PartTable | None:
    """The table of a margin or scale of the catalogue; None if it has no such part."""
    info = CATALOGUES[kind].get(part.name)
    return PartTable(name=info.name, parameters=info.parameters, options=info.options) if info else None


def regulariser_table(name: str) -> PartTable | None:
    """The table of a criterion as a regulariser; None if the catalogue has no such criterion."""
    info = CRITERIA.get(name)
    if info is None:
        return None
    return PartTable(name=name, parameters={"weight": info.weight, **info.parameters}, options=info.options)


def head_table(arm: ArmSpec) -> HeadTable | None:
    """What the head of an arm can be given; None for a user's own loss (and for names that the catalogue lacks)."""
    if arm.loss is not None:
        table = named_table(arm.loss)
    else:
        given = {"margin": arm.margin, "scale": arm.scale}
        parts = {kind: part_table(kind, part) if part else None for kind, part in given.items()}
        known = {kind: part for kind, part in parts.items() if part is not None}
        label = "+".join(part.name for part in known.values())
        table = HeadTable(label=label, parts=known) if len(known) == len(parts) else None
    if table is None:
        return None
    terms = {name: regulariser_table(name) for name in arm.regularisers or {}}
    return HeadTable(
        label=table.label,
        parts=table.parts,
        regularisers={name: term for name, term in terms.items() if term is not None},
    )


def filled_parts(arm: ArmSpec, table: HeadTable, params: Mapping[str, float]) -> dict[str, Settings]:
    """Every part and regulariser with every parameter and option: from `params`, else the arm, else the catalogue."""
    given: dict[str, Settings] = {part: {} for part in (*table.parts, *table.regularisers)}
    if arm.loss is None:
        assert arm.margin is not None
        assert arm.scale is not None
        given |= {"margin": arm.margin.settings, "scale": arm.scale.settings}
    else:
        for name, value in arm.settings.items():
            given[table.owner(name)][name] = value
    given |= {name: dict(term.settings) for name, term in (arm.regularisers or {}).items()}
    for name, number in params.items():
        part, parameter = table.place(name)
        given[part][parameter] = number
    every = {**table.parts, **table.regularisers}
    return {part: every[part].filled(values) for part, values in given.items()}
