"""What a trial takes of a node, and how many trials a node holds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hpstudy.spec import ResourcesSpec

if TYPE_CHECKING:
    from ray import tune

KIND = "accelerator_type:"
"""Ray's resource of a node that has a kind of GPU begins so; a node has 1 of it however many it has of the GPUs."""
_PINCH = 0.001


def trials_on(resources: Mapping[str, float], spec: ResourcesSpec) -> int:
    """Trials that run at the same time on a node with these `CPU`, `GPU` and kinds of GPU."""
    if spec.gpu_type and f"{KIND}{spec.gpu_type}" not in resources:
        return 0
    by_cpu = _whole(resources.get("CPU", 0) / spec.cpus) if spec.cpus else None
    return min(count for count in (by_cpu, _by_gpu(resources.get("GPU", 0), spec.gpus)) if count is not None)


def placement(spec: ResourcesSpec) -> "tune.PlacementGroupFactory":
    """What `tune.with_resources` takes: the worker with its share, or all GPUs of a trial on one node."""
    from ray import tune

    ranks = max(1, int(spec.gpus))
    bundle = {"CPU": spec.cpus / ranks, "GPU": spec.gpus / ranks}
    if spec.gpu_type:
        bundle[f"{KIND}{spec.gpu_type}"] = _PINCH
    # The worker of a trial of many ranks takes nothing itself: it starts the ranks in its placement group.
    bundles = [bundle] if ranks == 1 else [{}, *[dict(bundle) for _ in range(ranks)]]
    return tune.PlacementGroupFactory(bundles, strategy="STRICT_PACK" if ranks > 1 else "PACK")


def _by_gpu(offered: float, asked: float) -> int | None:
    if not asked:
        return None
    if asked > 1:
        return int(offered) // int(asked)
    return int(offered) * _whole(1 / asked)  # a share never spans two GPUs


def _whole(quotient: float) -> int:
    """The quotient rounded down, forgiving the last bit: 1 / 0.2 is five shares."""
    return int(quotient + 1e-9)
