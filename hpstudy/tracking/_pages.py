"""What the run of a study or of an arm shows of itself: note, tags, numbers, tables, figures, data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass(frozen=True, kw_only=True, slots=True)
class DataInput:
    """One split of the data that a run learned from or was judged on, as an MLflow dataset."""

    name: str
    digest: str
    """Hash of the data; MLflow keeps its first 36 characters."""
    context: str
    """What it was used for: `train`, `val` or `test`."""
    source_type: str
    source: Mapping[str, Any] = field(hash=False)
    """Where the data is from and how it was split, as JSON."""
    profile: Mapping[str, Any] = field(hash=False)
    """How much of it there is, as JSON."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Page:
    """What a run shows besides its runs below; what is empty leaves what the run shows already."""

    note: str = ""
    """Markdown."""
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Numbers with one current value; those that are not finite are left out."""
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """By path below the run's artifacts, ending in `.json`; MLflow shows them as tables."""
    content: Mapping[str, bytes] = field(default_factory=dict)
    """Whole files by path below the run's artifacts."""
    files: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """Files and folders on this machine by the artifact folder that they go to, the empty text for the top."""
    inputs: Sequence[DataInput] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OpeningPages:
    """What a study shows from its start."""

    study: Page = field(default_factory=Page)
    arms: Mapping[str, Page] = field(default_factory=dict)
    data: Mapping[str, Sequence[DataInput]] = field(default_factory=dict)
    """The data of each condition, for its trials."""
