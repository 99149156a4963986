"""What a row of the catalogue holds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

from hpstudy.exceptions import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Paper:
    """Where a loss was published; `str(paper)` is the citation."""

    title: str
    authors: str
    venue: str
    year: int
    arxiv: str = ""
    """arXiv id, empty where none was checked."""

    def __str__(self) -> str:
        arxiv = f", arXiv:{self.arxiv}" if self.arxiv else ""
        return f"{self.authors}. {self.title}. {self.venue} {self.year}{arxiv}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterInfo:
    """One number that a margin or a scale takes."""

    name: str
    unit: str
    """`dimensionless`, `cosine`, `rad` or `factor`."""
    default: float
    minimum: float
    maximum: float
    """Hard validity together with `minimum`: a value outside is refused."""
    minimum_included: bool = True
    plausible: tuple[float, float]
    """Where published values and sensible searches lie, both ends included."""
    meaning: str

    @property
    def valid_range(self) -> str:
        """Hard validity as text, e.g. `(0, 10000]`."""
        return f"{'[' if self.minimum_included else '('}{self.minimum:.6g}, {self.maximum:.6g}]"

    def check(self, value: float) -> float:
        """Give `value` back as a float if it is valid.

        Raises:
            InputError: If `value` is not a finite number inside the hard range; the message names the parameter, the
                value, the unit and the range.
        """
        number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        if number and (self.minimum < value <= self.maximum or (self.minimum_included and value == self.minimum)):
            return float(value)
        hint = ""
        if number and self.unit == "rad" and self.maximum < value <= math.degrees(self.maximum):
            hint = f"; if it is in degrees, write {math.radians(value):.4g}"
        raise InputError(f"{self.name} must lie in {self.valid_range} ({self.unit}), but got {value!r}{hint}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionInfo:
    """One named choice that a margin or a scale takes."""

    name: str
    default: str
    allowed: tuple[str, ...]
    meaning: str

    def check(self, value: str) -> str:
        """Give `value` back if it is allowed.

        Raises:
            InputError: If it is not; the message lists what is.
        """
        if value in self.allowed:
            return value
        raise InputError(f"{self.name} must be one of {', '.join(self.allowed)}, but got {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class MarginInfo:
    """What a head does to the target cosine before it is scaled."""

    name: str
    title: str
    formula: str
    """The target logit divided by s, as a function of θ_y."""
    parameters: Mapping[str, ParameterInfo]
    options: Mapping[str, OptionInfo]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleInfo:
    """What a head multiplies the cosines with."""

    name: str
    title: str
    formula: str
    parameters: Mapping[str, ParameterInfo]
    options: Mapping[str, OptionInfo]
    adaptive: bool
    """Whether s changes during training by a rule of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LossInfo:
    """A named loss: a margin, a scale, and what its paper says of them."""

    name: str
    title: str
    paper: Paper
    formula: str
    margin: str
    """Name of a part in `MARGINS`."""
    scale: str
    """Name of a part in `SCALES`."""
    parameters: Mapping[str, ParameterInfo]
    options: Mapping[str, OptionInfo]
    bound: str
    """What theory says of s and m; `hpstudy.theory` computes it."""
    adaptive: bool
