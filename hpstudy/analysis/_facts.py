"""What the words of a verdict need to know of the study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from hpstudy.analysis._arms import KEYS, conditions


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFacts:
    """What the words of a verdict need to know of the study."""

    name: str
    question: str
    objective: str
    """Metric of the search, e.g. `val/tar_at_far_1e-3`."""
    equivalence_margin: float
    """δ, in the metric's own unit."""
    planned: Mapping[str, int] | None = None
    """Trials that the study asks for, by phase; None where that isn't known, and the record counts as finished."""
    arms: Sequence[str] = ()
    """Every arm of the study, whether it has run or not; empty where that isn't known."""
    sampler: str = ""
    """Sampler of the searches, e.g. `tpe`; empty where that isn't known, and the order of trials is taken to matter."""
    objectives: Sequence[str] = ()
    """Everything that the search follows, `objective` first; empty stands for that alone."""
    given_first: Sequence[str] = ()
    """Arms whose searches begin with a given point, the published default."""

    def unfinished(self, trials: pd.DataFrame) -> str:
        """How far the study is, e.g. `17 of 26 trials`; empty once every trial that can run has ended."""
        planned = sum(self.planned.values()) - self._lost(trials) if self.planned else 0
        return f"{len(trials)} of {planned} trials" if len(trials) < planned else ""

    def waiting(self, trials: pd.DataFrame) -> list[str]:
        """Arms of the study that have no trial yet."""
        there = set(trials["arm"])
        return [arm for arm in self.arms if arm not in there]

    def _lost(self, trials: pd.DataFrame) -> int:
        """Confirm trials that will never run, since their search ended without a completed trial."""
        planned = dict(self.planned or {})
        search = trials[trials["phase"] != "confirm"]
        if len(search) < sum(count for phase, count in planned.items() if phase != "confirm"):
            return 0
        lanes = search.groupby([*KEYS, "search_seed"])["status"].agg(lambda found: bool((found == "completed").any()))
        unsearched = {*self.arms, *trials["arm"]} - set(search["arm"])
        places = len(lanes) + len(unsearched) * len(conditions(trials))
        return int((~lanes.astype(bool)).sum()) * planned.get("confirm", 0) // max(places, 1)
