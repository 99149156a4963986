"""What a worker is sent: everything that a trial needs, as plain text."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hpstudy.record import StudyFolder, TrialRequest
from hpstudy.spec import TrialSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialOrder:
    """One trial for one worker."""

    request: TrialRequest
    settings: TrialSettings
    home: str
    study: str
    objective: str
    cpus: float
    gpus: float
    on_oom: str = "fail"
    """What becomes of a trial that runs out of memory, as in the study file."""
    further: tuple[str, ...] = ()
    """Objectives after the primary one."""
    pulse: str = ""
    """Name of the actor that wants to hear of progress."""

    @property
    def objectives(self) -> tuple[str, ...]:
        """What the search follows, the primary objective first."""
        return (self.objective, *self.further)

    @property
    def folder(self) -> StudyFolder:
        """The study's record."""
        return StudyFolder(self.home, self.study)

    @property
    def datasets(self) -> Path:
        """Where data sets are cached: beside the studies, or on each node where those are in an object store."""
        return self.folder.datasets

    def to_config(self) -> dict[str, str]:
        """The order as Tune's config."""
        plain = {
            "request": asdict(self.request),
            "settings": self.settings.to_json(),
            "home": self.home,
            "study": self.study,
            "objective": self.objective,
            "further": self.further,
            "cpus": self.cpus,
            "gpus": self.gpus,
            "on_oom": self.on_oom,
            "pulse": self.pulse,
        }
        return {"order": json.dumps(plain)}

    @classmethod
    def from_config(cls, config: Mapping[str, str]) -> "TrialOrder":
        """The inverse of `to_config`."""
        plain = json.loads(config["order"])
        request = TrialRequest(**plain.pop("request"))
        settings = TrialSettings.from_json(plain.pop("settings"))
        further = tuple(plain.pop("further", ()))
        return cls(request=request, settings=settings, further=further, **plain)
