"""What a report is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from hpstudy.analysis import StudyFacts


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ReportFacts:
    """Everything that a report reads of a study; nothing else reaches it, so that equal facts give equal bytes."""

    name: str
    question: str
    resolved_yaml: str
    """The study file with every default filled in."""
    sha256: str
    """Of `resolved_yaml`."""
    trials: pd.DataFrame
    """One row a trial, as the record holds them."""
    trajectory: Callable[[str], pd.DataFrame]
    """One row a step of the trial with that id; empty, or KeyError or FileNotFoundError, where there is none."""
    epochs: Callable[[str], pd.DataFrame]
    """One row an epoch of the trial with that id."""
    objective: str
    equivalence_margin: float
    provenance: Mapping[str, str]
    """What ran it: versions, devices, data hashes; printed as given, in this order."""
    planned: Mapping[str, int] | None = None
    """Trials that the study asks for, by phase; None where that isn't known, and the record counts as finished."""
    arms: Sequence[str] = ()
    """Every arm of the study, whether it has run or not; empty where that isn't known."""
    sampler: str = ""
    """Sampler of the searches, e.g. `tpe`; empty where that isn't known, and the order of trials is taken to matter."""
    given_first: Sequence[str] = ()
    """Arms whose searches begin with a given point, the published default."""

    @property
    def study(self) -> StudyFacts:
        """The part that the verdict needs."""
        return StudyFacts(
            name=self.name,
            question=self.question,
            objective=self.objective,
            equivalence_margin=self.equivalence_margin,
            planned=self.planned,
            arms=self.arms,
            sampler=self.sampler,
            given_first=self.given_first,
        )
