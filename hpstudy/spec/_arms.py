"""One arm as the file writes it."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from hpstudy.spec._fields import Numbers, Section, Setting
from hpstudy.spec._ranges import SearchRange, refuse_doubles


class PartSpec(Section):
    """A margin or a scale by name; its parameters and options are plain keys, e.g. `{name: additive_angle, m: 0.3}`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Setting]

    name: str
    """Name of the part in the catalogue."""

    @property
    def settings(self) -> dict[str, float | str]:
        """The plain keys: parameters and options."""
        return dict(self.__pydantic_extra__)


class TermSpec(Section):
    """A regulariser: its `weight`, parameters and options as plain keys, e.g. `{weight: 0.01, m: 1.0}`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Setting]

    @property
    def settings(self) -> dict[str, float | str]:
        """The plain keys: weight, parameters and options."""
        return dict(self.__pydantic_extra__)


class ArmSpec(Section):
    """One method: a named loss or a margin and a scale, with `search`, or `grid`, or neither.

    The loss's parameters and options are plain keys, e.g. `{loss: cosface, s: 64, m: 0.35}`. What is neither given nor
    searched takes the default of the catalogue.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Setting]

    loss: str | None = None
    """Name of a loss (`hpstudy losses` lists them), or your own `package.module:attribute`."""
    margin: PartSpec | None = None
    """Margin of an arm of parts, e.g. {name: additive_angle, m: 0.3}; m is in the unit of the margin."""
    scale: PartSpec | None = None
    """Scale of an arm of parts, e.g. {name: fixed, s: 30}; s is dimensionless."""
    regularisers: Annotated[dict[str, TermSpec], Field(min_length=1)] | None = None
    """Terms added to the loss, by name of the criterion, e.g. {intra: {weight: 1.0}}; searched as `intra.weight`."""
    search: Annotated[dict[str, SearchRange], Field(min_length=1)] | None = None
    """Ranges to search, by parameter (s, m; margin.m or scale.s where both parts have it) or by dotted path of a number
    in training or model, e.g. {s: {log: [2, 64]}, training.optimizer.lr: {log: [0.01, 0.3]}}."""
    grid: Annotated[dict[str, Annotated[Numbers, AfterValidator(refuse_doubles)]], Field(min_length=1)] | None = None
    """Values to list, named as in `search`; every combination is a trial, e.g. {s: [16, 32], m: [0.2, 0.35]}."""

    @property
    def settings(self) -> dict[str, float | str]:
        """The plain keys: fixed parameters and options of the loss."""
        return dict(self.__pydantic_extra__)
