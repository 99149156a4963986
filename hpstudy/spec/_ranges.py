"""The ranges that a search draws from."""

import builtins
from typing import Annotated, Any, Self

from pydantic import Discriminator, Tag, model_validator
from pydantic_core import PydanticCustomError

from hpstudy.spec._fields import Numbers, Real, Section, Whole

KINDS = ("log", "linear", "int", "choice")
_HELP = "a range is {log: [low, high]}, {linear: [low, high]}, {int: [low, high]} or {choice: [value, ...]}"


class _Interval(Section):
    """Both ends belong to the range."""

    @property
    def low(self) -> float:
        """Lower end."""
        raise NotImplementedError

    @property
    def high(self) -> float:
        """Upper end."""
        raise NotImplementedError

    @property
    def values(self) -> tuple[float, ...]:
        """What has to be valid for the whole range to be: its ends."""
        return (self.low, self.high)

    def contains(self, value: float) -> bool:
        """Whether a search of this range can give `value`."""
        return self.low <= value <= self.high

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise PydanticCustomError(
                "reversed",
                "the range is reversed: {low} is more than {high}; write [{high}, {low}]",
                {"low": f"{self.low:g}", "high": f"{self.high:g}"},
            )
        if self.low == self.high:
            raise PydanticCustomError(
                "single",
                "the range holds only {low}; give two different ends, or fix the value",
                {"low": f"{self.low:g}"},
            )
        return self


class LogRange(_Interval):
    """Real numbers, uniform in the logarithm."""

    log: tuple[Real, Real]
    """Low and high end, both positive and included, in the unit of the parameter."""

    @property
    def low(self) -> float:
        """Lower end."""
        return self.log[0]

    @property
    def high(self) -> float:
        """Upper end."""
        return self.log[1]

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.low <= 0 or self.high <= 0:
            raise PydanticCustomError(
                "not_positive",
                "a log range needs positive ends, but got {low}; use linear, or a positive low end",
                {"low": f"{min(self.log):g}"},
            )
        return self


class LinearRange(_Interval):
    """Real numbers, uniform."""

    linear: tuple[Real, Real]
    """Low and high end, both included, in the unit of the parameter."""

    @property
    def low(self) -> float:
        """Lower end."""
        return self.linear[0]

    @property
    def high(self) -> float:
        """Upper end."""
        return self.linear[1]


class IntRange(_Interval):
    """Whole numbers, uniform."""

    int: tuple[Whole, Whole]
    """Low and high end, both included."""

    @property
    def low(self) -> builtins.int:
        """Lower end."""
        return self.int[0]

    @property
    def high(self) -> builtins.int:
        """Upper end."""
        return self.int[1]

    def contains(self, value: float) -> bool:
        """Whether a search of this range can give `value`."""
        return super().contains(value) and float(value).is_integer()


class Choice(Section):
    """One of the listed numbers."""

    choice: Numbers
    """The numbers to choose from, each once."""

    @property
    def values(self) -> tuple[float, ...]:
        """What has to be valid for the whole range to be: every value."""
        return self.choice

    def contains(self, value: float) -> bool:
        """Whether a search of this range can give `value`."""
        return value in self.choice

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        refuse_doubles(self.choice)
        return self


def refuse_doubles(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give `values` back if none occurs twice (a validator of pydantic)."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise PydanticCustomError("double", "{value} is listed twice", {"value": str(value)})
    return values


def _kind(value: Any) -> str | None:
    if isinstance(value, Section):
        return next(iter(type(value).model_fields))
    if isinstance(value, dict):
        return next((kind for kind in KINDS if kind in value), None)
    return None


SearchRange = Annotated[
    Annotated[LogRange, Tag("log")]
    | Annotated[LinearRange, Tag("linear")]
    | Annotated[IntRange, Tag("int")]
    | Annotated[Choice, Tag("choice")],
    Discriminator(_kind, custom_error_type="range", custom_error_message=_HELP),
]
"""What a search draws a parameter from."""
