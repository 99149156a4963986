"""A study file beside what the record holds of it: what protocol and deviations are read from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from hpstudy.analysis._arms import KEYS
from hpstudy.analysis._facts import StudyFacts
from hpstudy.spec import Arm, Study

LANE = [*KEYS, "search_seed"]
"""Columns that tell searches apart: each has its own sampler, its own budget and its own choice."""

ReadTrial = Callable[[str], pd.DataFrame]
"""Reads a part of the record of the trial with that id; empty, KeyError or FileNotFoundError where there is none."""


def nothing_kept(trial_id: str) -> pd.DataFrame:
    """What a record without that part holds of a trial."""
    return pd.DataFrame()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Account:
    """A study file, its trials, and the sessions that ran them."""

    study: Study
    trials: pd.DataFrame
    sessions: Sequence[Mapping[str, str]]
    epochs: ReadTrial = nothing_kept
    trajectory: ReadTrial = nothing_kept
    search: pd.DataFrame = field(init=False)
    """Trials of searches and grids."""
    confirm: pd.DataFrame = field(init=False)
    """Trials that count: those of the confirm phase; in a survey, which chooses nothing, all."""

    def __post_init__(self) -> None:
        is_confirm = (self.trials["phase"] == "confirm") | self.study.is_survey
        object.__setattr__(self, "search", self.trials[~is_confirm])
        object.__setattr__(self, "confirm", self.trials[is_confirm])

    @property
    def objective(self) -> str:
        """The validation metric that chooses."""
        return self.study.spec.search.primary

    @property
    def tuned(self) -> list[Arm]:
        """Arms that have a search or a grid."""
        return [arm for arm in self.study.arms if arm.kind != "fixed"]

    @property
    def unfinished(self) -> str:
        """How far the study is, e.g. `17 of 26 trials`; empty once every trial that can run has ended."""
        spec = self.study.spec
        facts = StudyFacts(
            name=spec.name,
            question=spec.question,
            objective=self.objective,
            equivalence_margin=spec.confirm.equivalence_margin,
            planned=self.study.planned_trials(),
            arms=[arm.name for arm in self.study.arms],
        )
        return facts.unfinished(self.trials)

    def budget(self, arm: Arm) -> int:
        """Trials that one search of the arm is given."""
        return len(self.study.listed_points(arm)) or arm.search_trials(self.study.spec.search)


def read(reader: ReadTrial, trial_id: str) -> pd.DataFrame:
    """A part of a trial's record, empty where there is none."""
    try:
        return reader(trial_id)
    except (KeyError, FileNotFoundError):
        return pd.DataFrame()


def some(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
