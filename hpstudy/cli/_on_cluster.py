"""A study on a Ray cluster, as `submit`, `resume`, `status`, `logs` and `stop` show it."""

import json
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

from hpstudy.cli._interruption import INTERRUPTED
from hpstudy.cli._options import home_words

if TYPE_CHECKING:
    from hpstudy.execution import Job, JobOutput, Shipment


class OnCluster:
    """The studies of a cluster on this terminal.

    Args:
        address: As given, for the hints that name it.
        as_json: Whether stdout carries one JSON object alone; people read the rest on stderr.
    """

    def __init__(self, address: str, as_json: bool) -> None:
        from hpstudy.execution import StudyJobs

        self._console = Console(stderr=as_json)
        self._as_json = as_json
        self._address = address
        self._jobs = StudyJobs(address)

    def start(self, shipment: "Shipment", detach: bool) -> None:
        """Submits a study and stays with it to its end, unless told to leave."""
        job = self._jobs.submit(shipment)
        self._say(f"{job.study}: submitted to {self._jobs.url} as job {job.id}")
        if detach:
            self._say(f"follow it with: {self._hint('logs -f', job)}")
            self._print_json(job, job.home or None, {})
        else:
            self._follow(job)

    def resume(self, study: str, home: str | None, install: bool, detach: bool) -> None:
        """Submits a study anew, with the home and the hpstudy of its last job where none is given."""
        from hpstudy.execution import resume_shipment

        before = self._jobs.known(study, home)
        kept = before.home if before else None
        install = install or (before is not None and before.installed)
        self.start(resume_shipment(study, home=home or kept, install=install), detach)

    def logs(self, study: str, home: str | None, follow: bool) -> None:
        """Shows what a study's driver prints."""
        from hpstudy.execution import JobOutput

        job = self._jobs.last(study, home)
        if follow:
            self._follow(job)
            return
        output = JobOutput(self._say)
        for line in self._jobs.log(job).splitlines():
            output(line)
        if output.errors:
            self._say(output.errors)

    def status(self, study: str, home: str | None) -> None:
        """Shows the state of a study's job, how far it is, and what it has found once it has ended."""
        from hpstudy.execution import JobOutput

        job = self._jobs.last(study, home)
        output = JobOutput(lambda line: None)
        for line in self._jobs.log(job).splitlines():
            output(line)
        place = output.home or job.home
        self._say(f"{job.study}: {job.state} as job {job.id} at {self._jobs.url}{f', home {place}' if place else ''}")
        if output.progress:
            self._say(output.progress)
        if output.errors:
            self._say(output.errors)
        elif _broken(job, output):
            self._say(_reason(job))
        elif job.interrupted:
            self._say(f"{_ending(job)}; continue with: {self._hint('resume', job)}")
        if output.answer.get("verdict"):
            self._say(f"\n{output.answer['verdict']}")
        counts = {"finished": output.done, "planned": output.planned} if output.progress else {}
        unknown: dict[str, Any] = {"trials": counts, "arms": [], "verdict": None, "self_check": None, "report": None}
        self._print_json(job, place or None, {**unknown, **output.answer})

    def stop(self, study: str, home: str | None) -> None:
        """Ends a study's driver in order."""
        from hpstudy.exceptions import InputError

        job = self._jobs.last(study, home)
        if not job.live:
            raise InputError(f"study {study!r} is not running at {self._jobs.url}: job {job.id} is {job.state}")
        job = self._jobs.stop(job)
        if job.state != "stopped":
            self._say(f"{job.study}: job {job.id} had {job.state} by then")
        else:
            self._say(f"{job.study}: stopped; continue with: {self._hint('resume', job)}")
        self._print_json(job, job.home or None, {})

    def _follow(self, job: "Job") -> None:
        from hpstudy.execution import JobOutput

        output = JobOutput(self._say)
        try:
            job = self._jobs.follow(job, output, self._say)
        except KeyboardInterrupt:
            self._say(
                f"left; the study goes on: {self._hint('logs -f', job)}, or end it with: {self._hint('stop', job)}"
            )
            self._print_json(job, output.home or job.home or None, {})
            raise typer.Exit(INTERRUPTED) from None
        self._conclude(job, output)

    def _conclude(self, job: "Job", output: "JobOutput") -> None:
        """Ends the command as the driver ended."""
        from hpstudy.exceptions import HpstudyError, InputError

        if output.errors:
            raise InputError(output.errors) if job.exit_code == 2 else HpstudyError(output.errors)
        if _broken(job, output):
            raise HpstudyError(_reason(job))
        if job.interrupted:
            words = f"{_ending(job)}; continue with: {self._hint('resume', job)}"
            if job.state != "stopped" and job.exit_code != INTERRUPTED:
                raise HpstudyError(words)
            self._say(f"{job.study}: {words}")
        self._print_json(job, output.home or None, output.answer)
        if job.state != "finished":
            raise typer.Exit(INTERRUPTED if job.interrupted else 1)

    def _hint(self, command: str, job: "Job") -> str:
        return f"hpstudy {command} {job.study} --address {self._address}{home_words(job.home)}"

    def _say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)

    def _print_json(self, job: "Job", home: str | None, more: dict[str, Any]) -> None:
        if not self._as_json:
            return
        known = {
            "study": job.study,
            "job": job.id,
            "address": self._jobs.url,
            "home": home,
        }
        print(json.dumps({**known, **more, "state": job.state}, ensure_ascii=False))


def _broken(job: "Job", output: "JobOutput") -> bool:
    """Whether the job failed before the study's driver started, or the driver broke."""
    return job.state == "failed" and not output.answer and not (job.interrupted and output.home)


def _ending(job: "Job") -> str:
    if job.state == "stopped" or job.exit_code == INTERRUPTED:
        return "stopped"
    number = abs(job.exit_code or 0) % 128
    return f"its driver was killed by signal {number}" if number else "its node was lost"


def _reason(job: "Job") -> str:
    code = "" if job.exit_code is None else f" with exit code {job.exit_code}"
    lines = [line.strip() for line in job.message.splitlines() if line.strip()]
    return f"job {job.id} failed{code}: {lines[-1] if lines else 'no reason given'}"
