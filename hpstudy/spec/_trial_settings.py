"""Everything that a worker has to know of one trial, apart from its seed."""

import math
from typing import Self

from pydantic import Field

from hpstudy.spec._data import DataSpec, ModelSpec
from hpstudy.spec._fields import Section, Setting
from hpstudy.spec._training import TrainingSpec


class HeadSettings(Section):
    """The head of one trial, with every parameter and option written out.

    A loss of the catalogue is its margin and its scale, or its criterion. A user's own loss has parameters and empty
    parts.
    """

    loss: str
    """Name in the catalogue, `margin+scale` of an arm of parts, or a user's own."""
    margin: dict[str, Setting] = Field(default={})
    """`name` of the margin, its parameters and options."""
    scale: dict[str, Setting] = Field(default={})
    """`name` of the scale, its parameters and options."""
    criterion: dict[str, Setting] = Field(default={})
    """`name` of the criterion, its parameters and options."""
    regularisers: dict[str, dict[str, Setting]] = Field(default={})
    """By the name of the criterion: its `weight`, parameters and options."""
    params: dict[str, Setting] = Field(default={})
    """Parameters of a user's own loss."""

    def number(self, name: str) -> float:
        """The parameter of that name in the main parts, e.g. s or m; NaN if none has it."""
        for part in (self.scale, self.margin, self.criterion):
            if name in part:
                return float(part[name])
        return math.nan


class TrialSettings(Section):
    """One trial: the data, the network, the training and the head."""

    data: DataSpec
    """Data of the condition; paths are absolute."""
    model: ModelSpec
    """Model of the condition, with what the trial searched."""
    training: TrainingSpec
    """Training of the condition, with what the trial searched."""
    head: HeadSettings
    """The head."""

    def to_json(self) -> str:
        """As one line of JSON; `from_json` gives back the same settings."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        return cls.model_validate_json(text)
