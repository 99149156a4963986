"""One trial that the planner wants run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRequest:
    """What to run: an arm in a condition with one set of hyperparameters and one training seed."""

    arm: str
    condition: str
    phase: str
    """`search`, `grid` or `confirm`."""
    search_seed: int
    number: int
    """Position in its search; for a confirm trial its training seed."""
    seed: int
    """Training seed."""
    params: Mapping[str, float]
    """Searched, listed or chosen values by name."""
    origin: str = ""
    """Where the point is from if not from the sampler: `paper default`, `grid` or `chosen`."""
    of_survey: bool = False
    """Whether the study chooses nothing, so that every trial counts."""

    @property
    def judged(self) -> bool:
        """Whether the trial is judged on the test identities: one of the confirm phase, or any of a survey."""
        return self.of_survey or self.phase == "confirm"

    @property
    def trial_id(self) -> str:
        """Deterministic, so that a resumed study updates its trials and never doubles them."""
        return f"{self.arm}.{self.condition}.{self.phase}.s{self.search_seed}.{self.number:03d}"

    def identity(self) -> dict[str, Any]:
        """What tells the trial apart, under the names of a row of the record."""
        names = ("trial_id", "arm", "condition", "phase", "search_seed", "number", "seed")
        return {name: getattr(self, name) for name in names}

    def values(self) -> dict[str, float]:
        """The searched, listed or chosen values under the names of a row of the record, `param/…`."""
        return {f"param/{name}": float(value) for name, value in self.params.items()}
