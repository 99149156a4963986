"""Ray as hpstudy starts it: quiet, offline, private to this machine unless told to join a cluster."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # Tune's own snapshots are never read: a resumed study starts a new Tuner from the record.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
}


def prepare_environment() -> None:
    """Sets what Ray reads when it is imported and started; a variable that the user set is left alone."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if "RAY_ADDRESS" not in os.environ:
        # A cluster of this process alone, on loopback; a joined cluster keeps the user's authentication.
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")


@contextmanager
def ray_session() -> Iterator[None]:
    """Joins the cluster of `$RAY_ADDRESS`, or starts one of this machine's CPUs and GPUs, for the `with` block.

    A Ray that is already initialised in this process is used and left running.
    """
    prepare_environment()
    import ray

    if ray.is_initialized():
        yield
        return
    # A worker's death is handled and told by the study; Tune's tracebacks would tear the table apart.
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray.init(
        include_dashboard=False if "RAY_ADDRESS" not in os.environ else None,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    try:
        yield
    finally:
        ray.shutdown()
