"""What a report is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from hpstudy.analysis import StudyFacts
from hpstudy.spec import SearchRange


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
    evaluations: Callable[[str], pd.DataFrame] = lambda trial_id: pd.DataFrame()
    """One row a bootstrap replicate of the test metrics of the trial with that id; empty where there is none."""
    ranges: Mapping[str, Mapping[str, SearchRange]] = field(default_factory=dict)
    """What each arm searches; arms that are missing are taken to search the span of their trials."""
    rungs: Sequence[int] = ()
    """Epochs at which early stopping compares trials."""
    keep: float = 1 / 3
    """Share of trials that early stopping lets through a rung."""
    protocol: pd.DataFrame = field(default_factory=pd.DataFrame)
    """`protocol_checks`: the rules of the study's protocol held against its record."""
    deviations: pd.DataFrame = field(default_factory=pd.DataFrame)
    """What departed from the study file or its protocol."""
    survey: bool = False
    """Whether the study lists points and chooses none."""
    plane: Callable[[str], pd.DataFrame] = lambda trial_id: pd.DataFrame()
    """Where samples and prototypes of the trial with that id lie, if it has two dimensions."""
    objectives: Sequence[str] = ()
    """Everything that the search follows, `objective` first; empty stands for that alone."""
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
            objectives=self.objectives,
            given_first=self.given_first,
        )
