"""Studies as jobs of a Ray cluster: submit, find, follow, stop."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpstudy.exceptions import HpstudyError, InputError, StudyConflictError
from hpstudy.execution._cluster import job_client, speaking
from hpstudy.execution._shipment import STOP_WAIT_S, Shipment

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

STATES = {
    "PENDING": "pending",
    "RUNNING": "running",
    "STOPPED": "stopped",
    "SUCCEEDED": "finished",
    "FAILED": "failed",
}
_LIVE = ("pending", "running")
_POLL_S = 0.5
_PATIENCE_S = 120
"""For how long a broken connection is tried again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One attempt at a study on a cluster, as the job server has it."""

    id: str
    study: str
    number: int
    """1 for the first attempt at the study."""
    home: str
    """As it was asked for; empty for the cluster's own."""
    installed: bool
    """Whether hpstudy was sent along."""
    state: str
    """`pending`, `running`, `stopped`, `finished` or `failed`."""
    exit_code: int | None
    """Of the driver, negative if a signal ended it; None while it runs, and where it was stopped or never started."""
    message: str
    """What Ray says of the state."""

    @property
    def live(self) -> bool:
        """Whether it has yet to end."""
        return self.state in _LIVE

    @property
    def interrupted(self) -> bool:
        """Whether it ended before the study did, so that `hpstudy resume` would continue it."""
        killed = self.state == "failed" and (self.exit_code is None or self.exit_code < 0 or self.exit_code > 128)
        return self.state == "stopped" or killed


class StudyJobs:
    """The studies of a cluster.

    Args:
        address: As of `job_client`, whose errors it raises. Every method raises HpstudyError if the cluster can't be
            reached any more.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._client: JobSubmissionClient = job_client(address)
        self.url: str = self._client.get_address()
        """Of the job server."""

    def submit(self, shipment: Shipment) -> Job:
        """Starts a job for a study.

        Raises:
            StudyConflictError: the study is running there already.
        """
        for _ in range(3):
            jobs = self._all(shipment.study)
            running = [job for job in jobs if job.live and job.home == shipment.home]
            if running:
                raise StudyConflictError(
                    f"study {shipment.study!r} is running as job {running[0].id} on {self.url}: "
                    f"hpstudy logs -f {shipment.study} --address {self.address}"
                )
            job_id = f"hpstudy-{shipment.study}-{max((job.number for job in jobs), default=0) + 1}"
            try:
                with speaking(self.url), shipment.packed() as environment:
                    self._client.submit_job(
                        entrypoint=shipment.entrypoint(self.address),
                        submission_id=job_id,
                        metadata=shipment.metadata(),
                        runtime_env=environment,
                    )
                return self.job(job_id)
            except HpstudyError:
                # Another submitter may have taken the number in between.
                if job_id not in [job.id for job in self._all(shipment.study)]:
                    raise
        raise HpstudyError(f"the cluster at {self.url} is being given study {shipment.study!r} by others: try again")

    def last(self, study: str, home: str | None = None) -> Job:
        """The newest job of a study; one that runs comes before those that have ended.

        Args:
            study: Its name.
            home: Where it lives, as it was submitted; None for any.

        Raises:
            InputError: there is none, or several run in different homes.
        """
        everything = self._all(None)
        jobs = [job for job in everything if job.study == study and home in (None, job.home)]
        if not jobs:
            names = ", ".join(sorted({job.study for job in everything})) or "none yet"
            where = f" with home {home}" if home else ""
            raise InputError(f"no job of study {study!r}{where} is known at {self.url} (studies there: {names})")
        live = [job for job in jobs if job.live]
        if len(live) > 1:
            homes = ", ".join(job.home or "the cluster's own" for job in live)
            raise InputError(f"study {study!r} is running in several homes ({homes}): say which with --home")
        return max(live or jobs, key=lambda job: job.number)

    def known(self, study: str, home: str | None = None) -> Job | None:
        """As `last`, or None where there is no job of the study: a head that was started anew knows of none."""
        jobs = [job for job in self._all(study) if home in (None, job.home)]
        return max(jobs, key=lambda job: (job.live, job.number)) if jobs else None

    def job(self, job_id: str) -> Job:
        """A job as it is now."""
        with speaking(self.url):
            job = _as_job(self._client.get_job_info(job_id))
        assert job is not None, "only ids of studies are asked for"
        return job

    def log(self, job: Job) -> str:
        """What the job has printed so far."""
        with speaking(self.url):
            return str(self._client.get_job_logs(job.id))

    def follow(self, job: Job, show: Callable[[str], None], waiting: Callable[[str], None]) -> Job:
        """Waits until a job has ended.

        Args:
            job: The job.
            show: Is given each line of its output, from the first on, without its end of line.
            waiting: Is told why nothing happens: the job has not started, or the connection is lost.

        Raises:
            HpstudyError: the connection was lost for two minutes; the job goes on.
        """
        self._await_start(job, waiting)
        log = _Lines(show)
        lost_at: float | None = None
        while True:
            try:
                with speaking(self.url):
                    asyncio.run(self._tail(job.id, log))
                job = self.job(job.id)
            except HpstudyError:
                if lost_at is None:
                    lost_at = time.monotonic()
                    waiting(f"lost the connection to {self.url}, trying again; the study goes on")
                if time.monotonic() - lost_at > _PATIENCE_S:
                    raise
            else:
                lost_at = None
                if not job.live:
                    log.end()
                    return job
            time.sleep(_POLL_S)

    def stop(self, job: Job) -> Job:
        """Ends a job's driver in order and waits until it has ended.

        Raises:
            HpstudyError: it did not end.
        """
        with speaking(self.url):
            self._client.stop_job(job.id)
        deadline = time.monotonic() + STOP_WAIT_S + 30
        while (job := self.job(job.id)).live:
            if time.monotonic() > deadline:
                raise HpstudyError(f"job {job.id} at {self.url} was told to stop and is still {job.state}")
            time.sleep(_POLL_S)
        return job

    def _await_start(self, job: Job, waiting: Callable[[str], None]) -> None:
        asked, told = time.monotonic(), False
        while self.job(job.id).state == "pending":
            if not told and time.monotonic() - asked > 15:
                waiting(f"job {job.id} has not been started yet by {self.url}; waiting")
                told = True
            time.sleep(_POLL_S)

    async def _tail(self, job_id: str, log: "_Lines") -> None:
        log.rewind()
        async for text in self._client.tail_job_logs(job_id):
            log.feed(text)

    def _all(self, study: str | None) -> list[Job]:
        with speaking(self.url):
            jobs = [_as_job(details) for details in self._client.list_jobs()]
        return [job for job in jobs if job is not None and study in (None, job.study)]


class _Lines:
    """Cuts a log that may be sent again from its beginning into lines, each told once."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._seen = 0
        self._skip = 0
        self._rest = ""

    def rewind(self) -> None:
        """The log is about to be sent from its beginning."""
        self._skip = self._seen

    def feed(self, text: str) -> None:
        """The next piece of the log."""
        new = text[self._skip :]
        self._skip -= len(text) - len(new)
        self._seen += len(new)
        *lines, self._rest = (self._rest + new).split("\n")
        for line in lines:
            self._show(line)

    def end(self) -> None:
        """The log is over, with or without an end of line."""
        if self._rest:
            self._show(self._rest)
        self._rest = ""


def _as_job(details: Any) -> Job | None:
    facts = details.metadata or {}
    study = facts.get("study", "")
    number = re.fullmatch(rf"hpstudy-{re.escape(study)}-(\d+)", details.submission_id or "")
    if not study or number is None:
        return None
    return Job(
        id=details.submission_id,
        study=study,
        number=int(number[1]),
        home=facts.get("home", ""),
        installed=bool(facts.get("install")),
        state=STATES[details.status.value],
        exit_code=details.driver_exit_code,
        message=details.message or "",
    )
