"""How many trials a node holds."""

from collections.abc import Mapping

from hpstudy.spec import ResourcesSpec


def trials_on(resources: Mapping[str, float], spec: ResourcesSpec) -> int:
    """Trials that run at the same time on a node with these `CPU` and `GPU`."""
    by_cpu = _whole(resources.get("CPU", 0) / spec.cpus) if spec.cpus else None
    # A share never spans two GPUs.
    by_gpu = int(resources.get("GPU", 0)) * _whole(1 / spec.gpus) if spec.gpus else None
    return min(count for count in (by_cpu, by_gpu) if count is not None)


def _whole(quotient: float) -> int:
    """The quotient rounded down, forgiving the last bit: 1 / 0.2 is five shares."""
    return int(quotient + 1e-9)
