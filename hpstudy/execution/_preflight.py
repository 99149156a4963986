"""What Ray itself finds out late or never: whether the study can run here at all."""

import uuid
from dataclasses import dataclass
from pathlib import Path

import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpstudy.exceptions import InputError
from hpstudy.spec import ResourcesSpec, Study
from hpstudy.training import Objective, check_parts, load_trial_data


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


def check_arms(study: Study, datasets: Path) -> None:
    """Builds what the user named by `module:attribute` and runs it once, before anything is written.

    Raises:
        InputError: it can't be imported or built, or does not give what a trial needs.
    """
    problems: list[str] = []
    for condition in study.conditions():
        for arm in study.arms:
            params = arm.grid_points()[0] if arm.kind == "grid" else {n: r.values[0] for n, r in arm.space.items()}
            settings = study.trial_settings(arm.name, condition.id, params)
            if ":" in settings.head.loss or ":" in settings.model.name:
                data = load_trial_data(condition.data, datasets, torch.device("cpu"))
                try:
                    check_parts(settings, channels=data.channels)
                except InputError as error:
                    problems.append(f"arm {arm.name}, condition {condition.id}: {error}")
    if problems:
        raise InputError("\n".join(problems))


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
    by_cpu = _whole(resources.get("CPU", 0) / spec.cpus) if spec.cpus else None
    # A share never spans two GPUs.
    by_gpu = int(resources.get("GPU", 0)) * _whole(1 / spec.gpus) if spec.gpus else None
    return min(count for count in (by_cpu, by_gpu) if count is not None)


def _whole(quotient: float) -> int:
    """The quotient rounded down, forgiving the last bit: 1 / 0.2 is five shares."""
    return int(quotient + 1e-9)


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
