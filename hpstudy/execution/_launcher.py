"""What a job on a cluster runs first: is the study's driver able to start there? Then it becomes that driver.

This file is sent with the study and runs by itself in whatever Python the cluster has, which may lack hpstudy and all
else, so it uses the standard library alone and asks for no newer syntax than Python 3.8's. What it refuses is told as
`hpstudy --json` tells it: `hpstudy: MESSAGE`, then the errors as one JSON object, and exit code 2.
"""

import importlib.util
import json
import os
import platform
import socket
import sys
from importlib import metadata

GREETING = "hpstudy-job "
"""Begins the line that tells, as JSON, the host and the home that the study runs in."""


def main(argument: str) -> int:
    """Checks this Python against `argument`, a JSON object, and runs hpstudy in place of this process.

    Keys: `python` (major.minor of the submitter), `hpstudy` (its version), `shipped` (whether hpstudy was sent along),
    `needs` (requirements of hpstudy that it is sent without), `address` (of the cluster), `home` (or empty), `command`
    (words for hpstudy, before `--home`).
    """
    wanted = json.loads(argument)
    problem = _problem(wanted)
    if problem:
        print(f"hpstudy: {problem}", file=sys.stderr)
        print(json.dumps({"errors": [{"file": None, "line": None, "path": None, "message": problem}]}))
        return 2
    # The working directory of a job is deleted with it: a home in there would be lost.
    home = wanted["home"] or os.environ.get("HPSTUDY_HOME") or os.path.expanduser("~/hpstudy-runs")
    print(GREETING + json.dumps({"host": socket.gethostname(), "home": home}), flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "hpstudy", *wanted["command"], "--home", home, "--json"])
    return 1


def _problem(wanted: dict) -> str:  # type: ignore[type-arg]
    here = ".".join(platform.python_version_tuple()[:2])
    place = f"the cluster at {wanted['address']}"
    if here != wanted["python"]:
        return (
            f"{place} runs Python {here} ({sys.executable}), and this is Python {wanted['python']}: "
            "use the same minor version in both places"
        )
    if importlib.util.find_spec("ray") is None:
        return (
            f"`python` on {place} is {sys.executable}, which has no Ray: start Ray on the nodes with the environment "
            "of Ray and hpstudy active"
        )
    if importlib.util.find_spec("hpstudy") is None:
        return (
            f"hpstudy is not installed on {place}: submit with --install, or install it there "
            f"(pip install hpstudy=={wanted['hpstudy']})"
        )
    lacking = _lacking(wanted["needs"])
    if lacking:
        return f"hpstudy needs what is not installed on {place}: {', '.join(lacking)} (pip install it on every node)"
    import hpstudy

    if hpstudy.__version__ != wanted["hpstudy"]:
        return (
            f"{place} has hpstudy {hpstudy.__version__}, and this is {wanted['hpstudy']}: submit with --install to use "
            "this one for the study, or install the same there"
        )
    return ""


def _lacking(needs: list) -> list:  # type: ignore[type-arg]
    if not needs:
        return []
    from packaging.requirements import Requirement  # Ray has it

    found = []
    for need in map(Requirement, needs):
        try:
            version = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            found.append(need.name)
        else:
            if not need.specifier.contains(version, prereleases=True):
                found.append(f"{need.name}{need.specifier} (it has {version})")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
