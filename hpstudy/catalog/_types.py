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
        return f"{self.authors.removesuffix('.')}. {self.title}. {self.venue} {self.year}{arxiv}"


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
class Part:
    """What has a name, a formula, and parameters and options."""

    name: str
    title: str
    formula: str
    parameters: Mapping[str, ParameterInfo]
    options: Mapping[str, OptionInfo]

    @property
    def defaults(self) -> dict[str, float | str]:
        """Of every parameter and option."""
        numbers: dict[str, float | str] = {name: row.default for name, row in self.parameters.items()}
        return numbers | {name: row.default for name, row in self.options.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class MarginInfo(Part):
    """What a head does to the cosines before they are scaled.

    The formula is the target logit divided by s, as a function of θ_y, and the others where they change.
    """

    reads_norm: bool = False
    """Whether it depends on ‖x‖."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleInfo(Part):
    """What a head multiplies the cosines with."""

    adaptive: bool
    """Whether s changes during training."""
    sets_itself: bool
    """Whether s follows from a rule or is learned, so that it stands in the place of a search for s."""
    reads_norm: bool = False
    """Whether it depends on ‖x‖ or ‖W_j‖."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CriterionInfo(Part):
    """A loss of the cosines other than the softmax's: a named loss by itself, or a regulariser of any other."""

    alone: bool
    """Whether it can train a network by itself; every criterion can be a regulariser."""
    paper: Paper
    weight: ParameterInfo
    """What it is multiplied with as a regulariser."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LossInfo(Part):
    """A named loss: a margin and a scale, or a criterion, and what its paper says of them."""

    paper: Paper
    margin: str
    """Name of a part in `MARGINS`; empty for a criterion."""
    scale: str
    """Name of a part in `SCALES`; empty for a criterion."""
    criterion: str
    """Name of a part in `CRITERIA`; empty for a margin and a scale."""
    bound: str
    """What theory says of s and m; `hpstudy.theory` computes it."""
    adaptive: bool
    """Whether s changes during training."""
    norm_invariant: bool
    """Whether the loss is the same whatever the norms of embeddings and prototypes."""
