"""The folder of one study."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from hpstudy.exceptions import InputError, StudyConflictError
from hpstudy.record._files import read_table, write_table, write_text
from hpstudy.record._lock import StudyLock, is_locked
from hpstudy.record._result import TrialResult
from hpstudy.record._trajectory import TRAJECTORY_COLUMNS, AttemptWriter, gather_attempts, remove_attempts


class StudyFolder:
    """Everything that one study keeps, under `<home>/<name>/`.

    A trial's result is written by the worker that ran it; all else by the driver, of which the lock allows one. Any
    number of readers may look on: every file is replaced whole.

    Args:
        home: `$HPSTUDY_HOME`.
        name: The study's name.

    Raises:
        InputError: home is a remote address; only folders can hold a study's journal and database.
    """

    def __init__(self, home: Path | str, name: str) -> None:
        if "://" in str(home):
            raise InputError(f"the home of a study must be a folder that every node sees, but got {str(home)!r}")
        self.home = Path(home).absolute()
        self.name = name
        self.path = self.home / name
        self.journal = self.path / "optuna.journal"
        self.report = self.path / "report"
        self.lock = StudyLock(self.path / "lock")

    # The study file

    def exists(self) -> bool:
        """Whether a study of this name was started here."""
        return (self.path / "study.yaml").is_file()

    def is_running(self) -> bool:
        """Whether a live driver holds the study."""
        return self.exists() and is_locked(self.path / "lock")

    def resolved_yaml(self) -> str:
        """The study file as it was when the study began, every default filled in.

        Raises:
            InputError: there is no such study here.
            StudyConflictError: the file is not the one that the study began with.
        """
        if not self.exists():
            known = ", ".join(studies_in(self.home)) or "none yet"
            raise InputError(f"there is no study {self.name!r} in {self.home} (studies there: {known})")
        text = (self.path / "study.yaml").read_text(encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        kept = (self.path / "study.sha256").read_text().strip()
        if digest != kept:
            raise StudyConflictError(
                f"{self.path / 'study.yaml'} was changed after the study began (SHA-256 {digest[:12]}, began with "
                f"{kept[:12]}): restore it, or start a study under another name"
            )
        return text

    def begin(self, resolved_yaml: str) -> None:
        """Fixes the study file before the first trial."""
        digest = hashlib.sha256(resolved_yaml.encode()).hexdigest()
        write_text(self.path / "study.sha256", f"{digest}\n")
        write_text(self.path / "study.yaml", resolved_yaml)

    # Sessions: each time a driver ran the study

    def add_session(self, facts: Mapping[str, str]) -> None:
        """Appends what a driver ran with (versions, machine, time) to `sessions.json`."""
        write_text(self.path / "sessions.json", json.dumps([*self.sessions(), dict(facts)], indent=2) + "\n")

    def sessions(self) -> list[dict[str, str]]:
        """Every driver session so far, oldest first."""
        path = self.path / "sessions.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []

    # Trials

    def attempt(self, trial_id: str) -> AttemptWriter:
        """A writer for the next attempt at a trial."""
        return AttemptWriter(self._working(trial_id))

    def finish_trial(self, result: TrialResult) -> bool:
        """Keeps a trial's outcome: trajectory first, then, as the mark that it is finished, its result.

        Returns:
            False if the trial was finished before (by an attempt that outran this one); nothing is changed then.
        """
        target = self._result_path(result.trial_id)
        if target.exists():
            return False
        gathered = gather_attempts(self._working(result.trial_id), result.epochs)
        if gathered is not None:
            write_table(self.path / "trajectories" / f"{result.trial_id}.parquet", gathered[0])
            write_table(self.path / "epochs" / f"{result.trial_id}.parquet", gathered[1])
        write_table(target, result.as_table())
        remove_attempts(self._working(result.trial_id))
        return True

    def sweep(self) -> None:
        """Drops working files of finished trials that a kill between two steps left behind."""
        for trial_id in self.finished_trials():
            remove_attempts(self._working(trial_id))

    def result(self, trial_id: str) -> TrialResult | None:
        """The outcome of a trial, or None while it has none."""
        path = self._result_path(trial_id)
        if not path.is_file():
            return None
        return TrialResult.from_row(read_table(path).to_pylist()[0])

    def keep_file(self, trial_id: str, name: str) -> Path:
        """Where a file that outlives the trial (its final weights) is kept."""
        return self.path / "models" / trial_id / name

    def keep_evaluations(self, trial_id: str, replicates: Mapping[str, Any]) -> None:
        """Keeps what a trial's metrics are in bootstrap samples of the identities: metric name → one value a sample."""
        if replicates:
            write_table(self.path / "evaluations" / f"{trial_id}.parquet", pa.table(dict(replicates)))

    def keep_plane(self, trial_id: str, columns: Mapping[str, Any]) -> None:
        """Keeps where samples and prototypes of a trial lie in two dimensions: columns x, y, label, prototype."""
        if columns:
            write_table(self.path / "planes" / f"{trial_id}.parquet", pa.table(dict(columns)))

    def keep_error(self, trial_id: str, text: str) -> Path:
        """Keeps the traceback of a trial that an error ended, in `errors/`."""
        return write_text(self.path / "errors" / f"{trial_id}.txt", text)

    def finished_trials(self) -> list[str]:
        """Ids of all trials with a result."""
        return sorted(path.name.removesuffix(".parquet") for path in (self.path / "results").glob("*.parquet"))

    def write_trials(self) -> Path:
        """Writes `trials.parquet` from the results of all finished trials."""
        return write_table(self.path / "trials.parquet", self._results())

    def trials(self) -> pd.DataFrame:
        """One row a finished trial, sorted by id; while there is none, no row but the columns that every trial has."""
        frame: pd.DataFrame = self._results().to_pandas()
        return frame

    def _results(self) -> pa.Table:
        rows = [read_table(self._result_path(trial_id)) for trial_id in self.finished_trials()]
        return pa.concat_tables(rows, promote_options="default") if rows else TrialResult.no_rows()

    def trajectory(self, trial_id: str) -> pd.DataFrame:
        """The per-step record of a finished trial; empty if it ended before its first step was kept."""
        return self._frame("trajectories", trial_id, TRAJECTORY_COLUMNS)

    def epochs(self, trial_id: str) -> pd.DataFrame:
        """The per-epoch record of a finished trial."""
        return self._frame("epochs", trial_id, ("epoch", "step"))

    def evaluations(self, trial_id: str) -> pd.DataFrame:
        """Test metrics of a confirm trial in bootstrap samples of the test identities, one row a sample.

        Row r of every trial that was judged on the same identities is the same sample. Empty where there are none.
        """
        return self._frame("evaluations", trial_id, ())

    def plane(self, trial_id: str) -> pd.DataFrame:
        """Samples and prototypes of a trial with two-dimensional embeddings; empty for any other."""
        return self._frame("planes", trial_id, ("x", "y", "label", "prototype"))

    def _frame(self, kind: str, trial_id: str, columns: Iterable[str]) -> pd.DataFrame:
        path = self.path / kind / f"{trial_id}.parquet"
        if not path.is_file():
            return pd.DataFrame(columns=list(columns))
        frame: pd.DataFrame = read_table(path).to_pandas()
        return frame

    def _working(self, trial_id: str) -> Path:
        return self.path / "checkpoints" / trial_id

    def _result_path(self, trial_id: str) -> Path:
        return self.path / "results" / f"{trial_id}.parquet"

    def __reduce__(self) -> tuple[Any, ...]:
        return (StudyFolder, (os.fspath(self.home), self.name))


def studies_in(home: Path | str) -> list[str]:
    """Names of the studies that were started in a home folder."""
    return sorted(path.parent.name for path in Path(home).glob("*/study.yaml"))
