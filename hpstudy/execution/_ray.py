"""Ray as hpstudy starts it: quiet, offline, private to this machine unless told to join a cluster."""

import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from hpstudy.exceptions import HpstudyError, InputError

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "0",
    # Ray's answer to SIGTERM aborts the process three seconds later, whatever it is still writing.
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    # Tune's workers have an environment of their own: those that Ray starts in advance would idle.
    "RAY_prestart_worker_first_driver": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # Tune's own snapshots are never read: a resumed study starts a new Tuner from the record.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
}

_PATIENCE_S = 10.0
_NOBODY = (
    "no Ray cluster answers at RAY_ADDRESS={}: start one with ray start --head, or unset RAY_ADDRESS to run on this "
    "machine alone"
)


def prepare_environment() -> None:
    """Sets what Ray reads when it is imported and started; a variable that the user set is left alone."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if not os.environ.get("RAY_ADDRESS"):
        # A cluster of this process alone, on loopback; a joined cluster keeps the user's authentication.
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")


@contextmanager
def ray_session() -> Iterator[None]:
    """Joins the cluster of `$RAY_ADDRESS`, or starts one of this machine's CPUs and GPUs, for the `with` block.

    A Ray that is already initialised in this process is used and left running.

    Raises:
        InputError: `$RAY_ADDRESS` is not one that a driver can join, or the cluster has another Ray or Python.
        HpstudyError: no cluster answers there.
    """
    with joining_ray() as joined:
        joined()
        yield


@contextmanager
def joining_ray() -> Iterator[Callable[[], None]]:
    """`ray_session` for who has other work meanwhile: to join takes seconds, most of which Ray's own processes need.

    The `with` block begins at once, and is given what waits until Ray is there, or raises what `ray_session` does.
    """
    prepare_environment()
    import ray

    if ray.is_initialized():
        yield lambda: None
        return
    told_to_end = signal.getsignal(signal.SIGTERM)
    answer = told_to_end if callable(told_to_end) else _exit
    _answer_sigterm(answer)
    with ThreadPoolExecutor(1, thread_name_prefix="hpstudy-ray") as thread:
        joining = thread.submit(_connect, os.environ.get("RAY_ADDRESS", ""))

        def joined() -> None:
            joining.result()
            _answer_sigterm(answer)  # a Ray that was imported before its environment was prepared has its own

        try:
            yield joined
        finally:
            if not joining.exception():
                _disconnect()
            _answer_sigterm(told_to_end)


def living_nodes() -> list[dict[str, Any]]:
    """The cluster's nodes that are there, as its head has them."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def _answer_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _connect(address: str) -> None:
    import ray

    if "://" in address:
        raise InputError(
            f"RAY_ADDRESS is {address}: a driver joins a cluster by auto or HOST:PORT, from one of its nodes; from "
            "elsewhere use hpstudy submit STUDY.yaml --address http://HEAD:8265"
        )
    _refuse_dead(address)
    try:
        ray.init(
            # Left to itself Ray joins whatever cluster it finds on this machine.
            address=address or "local",
            include_dashboard=None if address else False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except (ConnectionError, TimeoutError) as error:
        raise HpstudyError(_NOBODY.format(address)) from error
    except RuntimeError as error:
        if "ersion mismatch" not in str(error):
            raise
        told = " ".join(line.strip() for line in str(error).splitlines())
        raise InputError(f"this hpstudy can't join the cluster at RAY_ADDRESS={address}: {told}") from error
    # A worker's death is handled and told by the study; Tune's tracebacks would tear the table apart.
    logging.getLogger("ray").setLevel(logging.CRITICAL)


def _refuse_dead(address: str) -> None:
    """Asks whether anybody listens there: Ray itself takes many minutes to give up.

    Raises:
        HpstudyError: nobody does.
    """
    host, colon, port = address.rpartition(":")
    if not colon:
        return
    if not port.isdigit():
        raise InputError(f"RAY_ADDRESS must be auto or HOST:PORT, but is {address}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
    except OSError as error:
        raise HpstudyError(f"{_NOBODY.format(address)} ({error.strerror or error})") from error


def _disconnect() -> None:
    """Leaves Ray with no object reference behind.

    Ray ends the whole process, from whichever thread it is, where a reference is dropped after its core is gone. Tune
    leaves cycles that hold some, and another thread may collect them at that very moment.
    """
    import ray

    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        if enabled:
            gc.enable()
