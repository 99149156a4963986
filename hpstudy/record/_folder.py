"""The folder of one study."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa

from hpstudy.exceptions import InputError, StudyConflictError
from hpstudy.record._files import (
    Location,
    modified_times,
    place_of,
    read_table,
    read_tables,
    remove_file,
    upload_folder,
    write_atomically,
    write_table,
    write_text,
)
from hpstudy.record._lock import is_held, lock_of
from hpstudy.record._objects import ObjectPath
from hpstudy.record._result import TrialResult
from hpstudy.record._trajectory import TRAJECTORY_COLUMNS, AttemptWriter, gather_attempts, remove_attempts
from hpstudy.record._workplace import workplace
from hpstudy.spec import Study, parse_study


class StudyFolder:
    """Everything that one study keeps, under `<home>/<name>/`.

    A trial's result is written by the worker that ran it; all else by the driver, of which the lock allows one. Any
    number of readers may look on: every file is replaced whole.

    Args:
        home: `$HPSTUDY_HOME`: a folder, or the address of an object store.
        name: The study's name; where it belongs to another home, its folder there.

    Raises:
        InputError: home is an address of a kind that is not known.
    """

    def __init__(self, home: Location | str, name: str) -> None:
        self.home = place_of(home)
        self.name = name
        self.path: Location = place_of(name) if "://" in name or name.startswith("/") else self.home / name
        self.journal: Location = self.path / ("optuna.journal" if isinstance(self.path, Path) else "journal")
        self.workplace = workplace(self.home)
        """A folder of this machine for what can't be in an object store; of a home that is a folder the home itself."""
        self.datasets = self.workplace / "datasets"
        self.report = workplace(self.path.parent) / self.path.name / "report"
        self.lock = lock_of(self.path)

    # The study file

    def exists(self) -> bool:
        """Whether a study of this name was started here."""
        return (self.path / "study.yaml").is_file()

    def is_running(self) -> bool:
        """Whether a live driver holds the study."""
        return self.exists() and is_held(self.path)

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
        kept = (self.path / "study.sha256").read_text(encoding="utf-8").strip()
        if digest != kept:
            raise StudyConflictError(
                f"{self.path / 'study.yaml'} was changed after the study began (SHA-256 {digest[:12]}, began with "
                f"{kept[:12]}): restore it, or start a study under another name"
            )
        return text

    def study(self) -> Study:
        """The study as it began.

        Raises:
            InputError: there is no such study here.
            StudyConflictError: the file is not the one that the study began with.
        """
        return parse_study(self.resolved_yaml(), source=str(self.path / "study.yaml"))

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
        write_table(target, TrialResult.table_of([result]))
        remove_attempts(self._working(result.trial_id))
        return True

    def sweep(self) -> None:
        """Drops working files of finished trials that a kill between two steps left behind."""
        working = self.path / "checkpoints"
        if isinstance(working, ObjectPath):
            finished = set(self.finished_trials())
            left = {path.parts[len(working.parts)] for path in working.below()}
            for trial_id in sorted(finished & left):
                remove_attempts(working / trial_id)
            return
        for trial_id in self.finished_trials():
            remove_attempts(self._working(trial_id))

    def result(self, trial_id: str) -> TrialResult | None:
        """The outcome of a trial, or None while it has none."""
        path = self._result_path(trial_id)
        if not path.is_file():
            return None
        return TrialResult.from_row(read_table(path).to_pylist()[0])

    def keep_file(self, trial_id: str, name: str) -> Location:
        """Where a file that outlives the trial (its final weights) is kept."""
        return self.path / "models" / trial_id / name

    def keep_weights(self, trial_id: str, save: Callable[[Path], object]) -> None:
        """Keeps a trial's final weights, unless an attempt that outran this one has finished the trial.

        Args:
            trial_id: The trial.
            save: Writes them to the local path it is given.
        """
        if not self._result_path(trial_id).exists():
            write_atomically(self.keep_file(trial_id, "weights.pt"), save)

    def weights(self, trial_id: str) -> bytes | None:
        """The file of a trial's final weights; None where none were kept."""
        try:
            return self.keep_file(trial_id, "weights.pt").read_bytes()
        except FileNotFoundError:
            return None

    def keep_evaluations(self, trial_id: str, replicates: Mapping[str, Any]) -> None:
        """Keeps what a trial's metrics are in bootstrap samples of the identities: metric name → one value a sample."""
        if replicates:
            write_table(self.path / "evaluations" / f"{trial_id}.parquet", pa.table(dict(replicates)))

    def keep_plane(self, trial_id: str, columns: Mapping[str, Any]) -> None:
        """Keeps where samples and prototypes of a trial lie in two dimensions: columns x, y, label, prototype."""
        if columns:
            write_table(self.path / "planes" / f"{trial_id}.parquet", pa.table(dict(columns)))

    def keep_error(self, trial_id: str, text: str) -> Location:
        """Keeps the traceback of a trial that an error ended, in `errors/`."""
        return write_text(self.path / "errors" / f"{trial_id}.txt", text)

    def finished_trials(self) -> list[str]:
        """Ids of all trials with a result."""
        results = self.path / "results"
        found: Iterable[Location] = results.glob("*.parquet") if isinstance(results, Path) else results.files()
        return sorted(path.name.removesuffix(".parquet") for path in found if path.name.endswith(".parquet"))

    def results(self) -> list[TrialResult]:
        """The outcomes of all finished trials, sorted by id."""
        return [TrialResult.from_row(row) for row in self.trials_table().to_pylist()]

    def write_trials(self, known: Sequence[TrialResult] = ()) -> Location:
        """Writes `trials.parquet` from the results of all finished trials; done now and then, it spares later readers
        of a large study the files of the single trials.

        Args:
            known: Results that the caller read or wrote since it was written last, whose files are not read again.
        """
        return write_table(self.path / "trials.parquet", self.trials_table(known))

    def trials(self) -> pd.DataFrame:
        """One row a finished trial, sorted by id; while there is none, no row but the columns that every trial has."""
        frame: pd.DataFrame = self.trials_table().to_pandas()
        return frame

    def trials_table(self, known: Sequence[TrialResult] = ()) -> pa.Table:
        """`trials` as an Arrow table: the rows of `trials.parquet` and, where a result is newer, its own file.

        Args:
            known: Results that need not be read.
        """
        gathered, rest = TrialResult.no_rows(), modified_times(self.path / "results")
        written = modified_times(self.path).get("trials.parquet", -math.inf)
        if written > -math.inf:
            table = read_table(self.path / "trials.parquet")
            rows = table["trial_id"].to_pylist()
            current = [rest.get(f"{trial_id}.parquet", math.inf) < written for trial_id in rows]
            gathered = table.filter(pa.array(current, pa.bool_()))
            for trial_id in gathered["trial_id"].to_pylist():
                del rest[f"{trial_id}.parquet"]
        held = [result for result in known if rest.pop(f"{result.trial_id}.parquet", None) is not None]
        single = read_tables(self.path / "results" / name for name in sorted(rest) if name.endswith(".parquet"))
        tables = [gathered, TrialResult.table_of(held), *single]
        return TrialResult.in_order(pa.concat_tables(tables, promote_options="default"))

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

    # Files of this machine, and of the home as a whole

    def local_files(self, *names: str) -> list[Path]:
        """Those of the named files that there are; of an object store, copies that `drop_copies` drops."""
        if isinstance(self.path, Path):
            return [self.path / name for name in names if (self.path / name).is_file()]
        found = []
        for name in names:
            try:
                found.append((self.path / name).download(self._copies / name))
            except FileNotFoundError:
                continue
        return found

    def drop_copies(self) -> None:
        """Drops what `local_files` copied."""
        if isinstance(self.path, ObjectPath):
            shutil.rmtree(self._copies, ignore_errors=True)

    def publish_report(self) -> None:
        """Puts the report that was built in `report` beside the record, if it isn't there."""
        if isinstance(self.path, ObjectPath):
            upload_folder(self.report, self.path / "report")

    def free_bytes(self) -> int | None:
        """Room on the disk of the home; None for an object store, which has no end."""
        return shutil.disk_usage(self.home).free if isinstance(self.home, Path) else None

    def leave_marker(self) -> str:
        """Leaves a file in the home that others can look for; returns its name."""
        name = f".marker-{uuid4().hex[:8]}"
        write_text(self.home / name, "seen")
        return name

    def sees_marker(self, name: str) -> bool:
        """Whether a marker that another process left in the home is seen from here."""
        try:
            if isinstance(self.home, ObjectPath):
                self.home.check()  # which gives up sooner
            return (self.home / name).is_file()
        except (OSError, InputError):  # an object store that this machine can't use
            return False

    def remove_marker(self, name: str) -> None:
        """Drops a marker."""
        remove_file(self.home / name)

    @property
    def _copies(self) -> Path:
        return self.report.parent / "copies"

    def _working(self, trial_id: str) -> Location:
        return self.path / "checkpoints" / trial_id

    def _result_path(self, trial_id: str) -> Location:
        return self.path / "results" / f"{trial_id}.parquet"

    def __reduce__(self) -> tuple[Any, ...]:
        return (StudyFolder, (str(self.home), self.name))


def studies_in(home: Location | str) -> list[str]:
    """Names of the studies that were started in a home."""
    place = place_of(home)
    if isinstance(place, ObjectPath):
        return [folder.name for folder in place.folders() if (folder / "study.yaml").is_file()]
    return sorted(path.parent.name for path in place.glob("*/study.yaml"))
