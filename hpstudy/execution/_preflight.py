"""What Ray itself finds out late or never: whether the study can run here at all."""

import uuid
from dataclasses import dataclass
from pathlib import Path

import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpstudy.exceptions import InputError
from hpstudy.spec import ResourcesSpec, Study
from hpstudy.training import Objective, load_trial_data


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """What the cluster offers this study."""

    slots: int
    """Trials that run at the same time."""
    nodes: int


def check_data(study: Study, datasets: Path) -> dict[str, str]:
    """Loads the data of every condition, so that a mistake shows before anything is written.

    Returns:
        Content hash of the data of each condition.

    Raises:
        InputError: data are missing, or too few for the splits, the batch size or the objective's FAR.
    """
    problems: list[str] = []
    hashes: dict[str, str] = {}
    for condition in study.conditions():
        try:
            data = load_trial_data(condition.data, datasets, torch.device("cpu"))
            hashes[condition.id] = data.content_hash
            images, batch = len(data.train_labels), condition.training.batch_size
            if batch > images:
                problems.append(
                    f"condition {condition.id}: training.batch_size must be at most the number of training images, "
                    f"{images}, but is {batch}"
                )
            objective = Objective(name=study.spec.search.objective)
            for labels in (data.val_labels, data.test_labels):
                objective.check(labels)
        except InputError as error:
            problems.append(f"condition {condition.id}: {error}")
    if problems:
        raise InputError("\n".join(problems))
    return hashes


def check_cluster(spec: ResourcesSpec, folder: Path) -> Capacity:
    """Whether a trial fits on some node, and whether every node sees the study's folder.

    Raises:
        InputError: a trial would wait for ever, or its worker could not write its record.
    """
    if spec.gpus > 1 and spec.gpus != int(spec.gpus):
        raise InputError(f"resources.gpus must be a fraction up to 1 or a whole number, but got {spec.gpus:g}")
    nodes = [node for node in ray.nodes() if node["Alive"]]
    fits = [_trials_on(node["Resources"], spec) for node in nodes]
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


def _trials_on(resources: dict[str, float], spec: ResourcesSpec) -> int:
    by_cpu = int(resources.get("CPU", 0) // spec.cpus) if spec.cpus else None
    gpus = resources.get("GPU", 0)
    by_gpu = None
    if spec.gpus:
        # A fraction never spans two GPUs.
        by_gpu = int(gpus // spec.gpus) if spec.gpus >= 1 else int(gpus) * int(1 // spec.gpus)
    return min(count for count in (by_cpu, by_gpu) if count is not None)


def _check_shared(folder: Path, node_ids: list[str]) -> None:
    """Reads a marker file on every node that will run trials."""
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / f".marker-{uuid.uuid4().hex[:8]}"
    marker.write_text("seen")
    try:
        look = ray.remote(_sees).options(num_cpus=0)
        answers = ray.get(
            [
                look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(str(marker))
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
