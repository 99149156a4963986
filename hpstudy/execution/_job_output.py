"""What a job of a study prints, read on another machine: progress to show, and the driver's last word."""

import json
import re
from collections.abc import Callable
from typing import Any

from hpstudy.execution._launcher import GREETING

_ENTRY = "Running entrypoint for job "
_REFUSAL = "hpstudy: "
_PROGRESS = re.compile(r"\[(\d+)/(\d+)\] ")


class JobOutput:
    """Takes a job's lines, from the first on.

    Args:
        show: Is given what a person reads. What Ray says before the driver starts is left out, and so are errors: they
            are told when the job has ended.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._begun = False
        self._refused: list[str] = []
        self.answer: dict[str, Any] = {}
        """What `--json` says at the end; empty before that, and where the driver was killed."""
        self.home = ""
        """Where the study lives, as the driver's host names it."""
        self.progress = ""
        """The last line that counts trials."""
        self.done, self.planned = 0, 0

    def __call__(self, line: str) -> None:
        if not self._begun:
            self._begun = line.startswith(_ENTRY)
            return
        if self._refused or line.startswith(_REFUSAL):
            answer = _answer(line)
            if answer:
                self.answer = answer
            else:
                self._refused.append(line)
            return
        if line.startswith(GREETING):
            started = json.loads(line.removeprefix(GREETING))
            self.home = started["home"]
            self._show(f"running on {started['host']}, home {self.home}")
            return
        answer = _answer(line)
        if answer:
            self.answer = answer
            return
        if counted := _PROGRESS.match(line):
            self.progress = line
            self.done, self.planned = int(counted[1]), int(counted[2])
        self._show(line)

    @property
    def errors(self) -> str:
        """What the driver refused the study for; empty if it did not."""
        told = [entry["message"] for entry in self.answer.get("errors", ())]
        return "\n".join(told or self._refused).removeprefix(_REFUSAL)


def _answer(line: str) -> dict[str, Any] | None:
    if not line.startswith(('{"study":', '{"errors":')):
        return None
    try:
        return dict(json.loads(line))
    except ValueError:
        return None
