"""Stopping a study whose driver runs on this machine."""

import json
import os
import signal
import socket
import time

from rich.console import Console
from rich.text import Text

from hpstudy.cli._options import home_words

WAIT_S = 90
"""For how long a driver is waited for: it ends its trials' workers, and delivers to MLflow."""


def stop_here(study: str, home: str | None, as_json: bool) -> bool:
    """Ends the driver of a study in order and waits until it has ended.

    Returns:
        False if no driver runs the study in this home and `$RAY_ADDRESS` names a cluster that may.

    Raises:
        InputError: there is no such study, or it is not running, or its driver is on another host.
        HpstudyError: the driver can't be told, or did not end.
    """
    from hpstudy.exceptions import HpstudyError, InputError
    from hpstudy.record import StudyFolder, home_folder, lock_holder

    folder = StudyFolder(home_folder(home), study)
    if not folder.is_running():
        if os.environ.get("RAY_ADDRESS"):
            return False
        folder.resolved_yaml()  # a study that is not there is told as such
        raise InputError(
            f"study {study!r} is not running in {folder.home}; name a cluster that runs it with --address http://HEAD:8265"
        )
    process, host = lock_holder(folder.path) or (0, "another process")
    if host != socket.gethostname():
        raise InputError(f"study {study!r} is being run on {host}, and this is {socket.gethostname()}: stop it there")
    try:
        os.kill(process, signal.SIGTERM)
    except OSError as error:
        raise HpstudyError(
            f"the driver of study {study!r}, process {process}, can't be told: {error.strerror}"
        ) from error
    deadline = time.monotonic() + WAIT_S
    while folder.is_running():
        if time.monotonic() > deadline:
            raise HpstudyError(f"the driver of study {study!r}, process {process}, was told to stop and still runs")
        time.sleep(0.2)
    Console(stderr=as_json).print(
        Text(f"{study}: stopped; continue with: hpstudy resume {study}{home_words(home)}"), soft_wrap=True
    )
    if as_json:
        print(json.dumps({"study": study, "home": str(folder.home), "state": "stopped"}, ensure_ascii=False))
    return True
