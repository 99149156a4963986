"""One study among several: what a comparison reads of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from hpstudy.analysis._arms import KEYS, conditions
from hpstudy.analysis._comparisons import confirm_by_seed
from hpstudy.analysis._facts import StudyFacts
from hpstudy.analysis._metrics import metric_name
from hpstudy.analysis._verdict import confirm_metric
from hpstudy.analysis._words import listed

UNKNOWN = "not recorded"
"""Stands for a fact that a record does not hold; two of them are not taken to agree."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the arms of one condition were trained: what fixes a trial but for its arm and its seed."""

    data_hash: str
    """Content hash of the data; empty if it wasn't recorded."""
    judged: str
    """Text that is equal where equal data are split into the same identities, and test images made in the same way."""
    setting: str
    """Text that is equal where data settings, network and training are."""

    def same_test(self, other: "Place") -> bool:
        """Whether both were judged on the same test identities."""
        return bool(self.data_hash) and (self.data_hash, self.judged) == (other.data_hash, other.judged)

    def same_trials(self, other: "Place") -> bool:
        """Whether a trial with the same arm, point and seed would be the same trial in both."""
        return self.same_test(other) and self.setting == other.setting


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ComparedStudy:
    """Everything that a comparison reads of a study; nothing else reaches it, so that equal records compare equal."""

    label: str
    """What the comparison calls it, unlike every other one."""
    facts: StudyFacts
    trials: pd.DataFrame
    """One row a trial, as the record holds them; may be empty."""
    settings: Mapping[str, Any]
    """The study file with every default filled in, as nested mappings."""
    places: Mapping[str, Place]
    """By condition id, every condition of the study."""
    sha256: str
    """Of the study file."""
    sessions: Sequence[Mapping[str, str]] = ()
    """What each driver ran with, oldest first."""
    deviations: Mapping[str, str] = field(default_factory=dict)
    """What went otherwise than its file has it, with the detail (`hpstudy.analysis.deviations`)."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Rules of the protocol that its record breaks, with the evidence (`hpstudy.analysis.protocol_checks`)."""

    @property
    def metric(self) -> str:
        """The metric that judges its confirm trials, or will while it has no trial."""
        if self.trials.empty:
            return "test/" + self.facts.objective.split("/", 1)[-1]
        return confirm_metric(self.trials, self.facts.objective)

    @property
    def margin(self) -> float:
        """δ, in the metric's own unit."""
        return self.facts.equivalence_margin

    @property
    def margin_text(self) -> str:
        """δ as text."""
        return metric_name(self.metric).magnitude(self.margin)

    def by_seed(self) -> dict[str, pd.DataFrame]:
        """Confirm scores of each condition: a row per arm, a column per training seed, searches averaged."""
        if self.trials.empty:
            return {}
        found = confirm_by_seed(self.trials, self.metric)
        return {
            condition: found[found["condition"] == condition].pivot(index=KEYS[1], columns="seed", values="score")
            for condition in conditions(self.trials)
            if (found["condition"] == condition).any()
        }

    def seeds(self) -> list[int]:
        """Training seeds of its confirm trials."""
        if self.trials.empty:
            return []
        return sorted({int(seed) for seed in self.trials.loc[self.trials["phase"] == "confirm", "seed"]})

    def losses(self) -> dict[str, str]:
        """The loss of each arm that has a trial."""
        if self.trials.empty:
            return {}
        return {str(arm): str(loss) for arm, loss in self.trials.groupby("arm")["loss"].first().items()}

    def session_values(self, key: str) -> str:
        """What its sessions say of one fact, each value once."""
        return "; ".join(dict.fromkeys(session[key] for session in self.sessions if session.get(key))) or UNKNOWN


def names_of(studies: Iterable[ComparedStudy]) -> str:
    """Their labels as text."""
    return listed([study.label for study in studies])
