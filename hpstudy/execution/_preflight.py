"""What Ray itself finds out late or never: whether a trial fits on some node, and every node sees the record."""

import uuid
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpstudy.exceptions import InputError
from hpstudy.execution._capacity import trials_on
from hpstudy.spec import ResourcesSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """What the cluster offers this study."""

    slots: int
    """Trials that run at the same time."""
    nodes: int


def check_cluster(spec: ResourcesSpec, folder: Path) -> Capacity:
    """Whether a trial fits on some node, and whether every node sees the study's folder.

    Raises:
        InputError: a trial would wait for ever, or its worker could not write its record.
    """
    if spec.gpus > 1:
        raise InputError(
            f"resources.gpus must be at most 1: a trial uses one GPU or a share of one, but got {spec.gpus:g}"
        )
    nodes = [node for node in ray.nodes() if node["Alive"]]
    fits = [trials_on(node["Resources"], spec) for node in nodes]
    if not any(fits):
        offers = "; ".join(
            f"{node['NodeManagerHostname']}: {node['Resources'].get('CPU', 0):g} CPUs, "
            f"{node['Resources'].get('GPU', 0):g} GPUs"
            for node in nodes
        )
        raise InputError(
            f"a trial asks for {spec.cpus:g} CPUs and {spec.gpus:g} GPUs, and no node has as much ({offers}): "
            "lower resources.cpus or resources.gpus"
        )
    if len(nodes) > 1:
        _check_shared(folder, [node["NodeID"] for node, fit in zip(nodes, fits, strict=True) if fit])
    slots = sum(fits)
    return Capacity(slots=min(slots, spec.max_parallel or slots), nodes=len(nodes))


def _check_shared(folder: Path, node_ids: list[str]) -> None:
    """Reads a marker file on every node that will run trials."""
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / f".marker-{uuid.uuid4().hex[:8]}"
    marker.write_text("seen")
    try:
        look = ray.remote(_sees)
        answers = ray.get(
            [
                look.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                    str(marker)
                )
                for node in node_ids
            ]
        )
    finally:
        marker.unlink()
    blind = [host for host, seen in answers if not seen]
    if blind:
        raise InputError(
            f"{folder} is not the same folder on every node ({', '.join(blind)} can't see it): set HPSTUDY_HOME to a "
            "folder that all nodes share"
        )


def _sees(path: str) -> tuple[str, bool]:
    import socket

    return socket.gethostname(), Path(path).is_file()
