"""What an arm's loss can be given: the catalogue's parameters and options under the names that the file uses."""

from collections.abc import Mapping
from dataclasses import dataclass

from hpstudy.catalog import LOSSES, MARGINS, SCALES, OptionInfo, ParameterInfo
from hpstudy.spec._arms import ArmSpec, PartSpec

Settings = dict[str, float | str]


@dataclass(frozen=True, kw_only=True, slots=True)
class PartTable:
    """What the margin or the scale of an arm takes; for a named loss with the defaults of that loss."""

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
    """The two parts of an arm's head, both in the catalogue."""

    label: str
    """Name of the loss, or `margin+scale`."""
    margin: PartTable
    scale: PartTable

    @property
    def parameters(self) -> dict[str, ParameterInfo]:
        """What can be searched, by every name that the file may use: `m` where one part has it, `margin.m` always."""
        parts = {"margin": self.margin.parameters, "scale": self.scale.parameters}
        dotted = {f"{part}.{name}": info for part, table in parts.items() for name, info in table.items()}
        plain = {
            name: info
            for part, table in parts.items()
            for name, info in table.items()
            if all(name not in other for key, other in parts.items() if key != part)
        }
        return {**plain, **dotted}

    def place(self, name: str) -> tuple[str, str]:
        """Part (`margin` or `scale`) and parameter that a searchable name means."""
        part, dot, parameter = name.partition(".")
        if dot:
            return part, parameter
        return ("margin" if name in self.margin.names else "scale"), name


def named_table(loss: str) -> HeadTable | None:
    """The table of a loss of the catalogue; None if it has no such loss."""
    info = LOSSES.get(loss)
    if info is None:
        return None
    margin, scale = MARGINS[info.margin], SCALES[info.scale]
    return HeadTable(
        label=loss,
        margin=PartTable(
            name=margin.name,
            parameters={name: info.parameters[name] for name in margin.parameters},
            options={name: info.options[name] for name in margin.options},
        ),
        scale=PartTable(
            name=scale.name,
            parameters={name: info.parameters[name] for name in scale.parameters},
            options={name: info.options[name] for name in scale.options},
        ),
    )


def part_table(kind: str, part: PartSpec) -> PartTable | None:
    """The table of a margin or scale of the catalogue; None if it has no such part."""
    info = (MARGINS if kind == "margin" else SCALES).get(part.name)
    return PartTable(name=info.name, parameters=info.parameters, options=info.options) if info else None


def head_table(arm: ArmSpec) -> HeadTable | None:
    """What the head of an arm can be given; None for a user's own loss (and for names that the catalogue lacks)."""
    if arm.loss is not None:
        return named_table(arm.loss)
    margin = part_table("margin", arm.margin) if arm.margin else None
    scale = part_table("scale", arm.scale) if arm.scale else None
    if margin is None or scale is None:
        return None
    return HeadTable(label=f"{margin.name}+{scale.name}", margin=margin, scale=scale)


def filled_parts(arm: ArmSpec, table: HeadTable, params: Mapping[str, float]) -> tuple[Settings, Settings]:
    """Margin and scale with every parameter and option: from `params`, else the arm, else the catalogue."""
    given: dict[str, Settings] = {"margin": {}, "scale": {}}
    if arm.loss is None:
        assert arm.margin is not None
        assert arm.scale is not None
        given = {"margin": arm.margin.settings, "scale": arm.scale.settings}
    else:
        for name, value in arm.settings.items():
            given["margin" if name in table.margin.names else "scale"][name] = value
    for name, number in params.items():
        part, parameter = table.place(name)
        given[part][parameter] = number
    return table.margin.filled(given["margin"]), table.scale.filled(given["scale"])
