"""What Ray itself finds out late or never: whether a trial fits on some node, and every node can run one."""

import platform
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpstudy.exceptions import InputError
from hpstudy.execution._capacity import KIND, trials_on
from hpstudy.execution._inputs import check_data
from hpstudy.execution._ray import living_nodes
from hpstudy.record import StudyFolder
from hpstudy.spec import ResourcesSpec, Study, parse_study

_ANSWER_S = 300.0
_LOST_S = 10.0
_PACKAGES = ("hpstudy", "torch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """What the cluster offers this study."""

    slots: int
    """Trials that run at the same time."""
    nodes: int
    fitting: tuple[tuple[str, str], ...] = ()
    """Id and host of each node that holds a trial."""


def check_cluster(spec: ResourcesSpec) -> Capacity:
    """Whether a trial fits on some node.

    Raises:
        InputError: a trial would wait for ever.
    """
    nodes = living_nodes()
    fits = [trials_on(node["Resources"], spec) for node in nodes]
    kinds = sorted({name.removeprefix(KIND) for node in nodes for name in node["Resources"] if name.startswith(KIND)})
    if spec.gpu_type and spec.gpu_type not in kinds:
        raise InputError(
            f"no GPU of the asked kind: resources.gpu_type is {spec.gpu_type}, and the cluster has "
            f"{', '.join(kinds) or 'none that Ray knows the kind of'}"
        )
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
    slots = sum(fits)
    return Capacity(
        slots=min(slots, spec.max_parallel or slots),
        nodes=len(nodes),
        fitting=tuple(
            (node["NodeID"], node["NodeManagerHostname"]) for node, fit in zip(nodes, fits, strict=True) if fit
        ),
    )


def check_nodes(study: Study, folder: StudyFolder, hashes: Mapping[str, str], capacity: Capacity) -> None:
    """Looks on every node that will run trials; of one node alone there is nothing to find out.

    A node that is lost meanwhile is no mistake: the study does without it, as it does later.

    Args:
        study: The study.
        folder: The study's; its home must be seen by all nodes.
        hashes: Content hash of the data of each condition, as the driver has it.
        capacity: Of the cluster.

    Raises:
        InputError: a node lacks hpstudy or has another version of it or of torch, does not see the home, or has other
            data; all nodes' mistakes at once.
    """
    if capacity.nodes < 2:
        return
    marker = folder.leave_marker()
    try:
        sights = _looks(study, folder, marker, [node for node, _ in capacity.fitting])
    finally:
        folder.remove_marker(marker)
    problems = [
        f"node {host}: {problem}"
        for (_, host), sight in zip(capacity.fitting, sights, strict=True)
        if sight is not None
        for problem in _problems(sight, folder, hashes)
    ]
    if problems:
        raise InputError("\n".join(dict.fromkeys(problems)))


def _looks(study: Study, folder: StudyFolder, marker: str, nodes: Sequence[str]) -> list[dict[str, Any] | None]:
    """What each node has, or None for one that was lost."""
    look = ray.remote(_look)
    asked = [
        look.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        ).remote(study.resolved_yaml, str(folder.home), marker)
        for node in nodes
    ]
    sights: list[dict[str, Any] | None] = []
    for node, answer in zip(nodes, asked, strict=True):
        try:
            sights.append(ray.get(answer, timeout=_ANSWER_S))
        except Exception as error:  # a node can fail to answer in any way
            told = str(error).strip().splitlines() or [type(error).__name__]
            answered = isinstance(error, ray.exceptions.RayTaskError)
            sights.append(None if not answered and _is_lost(node) else {"fault": told[-1]})
    return sights


def _is_lost(node: str) -> bool:
    """Whether a node is gone; the head learns of its end a moment after its workers'."""
    deadline = time.monotonic() + _LOST_S
    while any(each["NodeID"] == node for each in living_nodes()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _look(study_yaml: str, home: str, marker: str) -> dict[str, Any]:
    """What a node has; runs there."""
    study = parse_study(study_yaml)
    folder = StudyFolder(home, study.name)
    sight: dict[str, Any] = {"host": socket.gethostname(), **_versions(), "sees": folder.sees_marker(marker)}
    if sight["sees"]:
        try:
            looks = check_data(study, folder.datasets)
            sight["data"] = {condition: look.content_hash for condition, look in looks.items()}
        except InputError as error:
            sight["data_fault"] = str(error)
    return sight


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}}


def _problems(sight: Mapping[str, Any], folder: StudyFolder, hashes: Mapping[str, str]) -> list[str]:
    if "fault" in sight:
        return [f"hpstudy does not run there ({sight['fault']}): install the same hpstudy on every node"]
    problems = [
        f"{name} is {sight[name]} there and {own} here: install the same everywhere"
        for name, own in _versions().items()
        if name != "python" and sight[name] != own
    ]
    if not sight["sees"]:
        return [
            *problems,
            f"{folder.home} is not the folder that the driver sees: with more than one node set --home or HPSTUDY_HOME "
            "to a folder that all nodes share, or to s3://… or gs://…",
        ]
    if "data_fault" in sight:
        return [*problems, sight["data_fault"]]
    changed = [name for name, digest in hashes.items() if sight["data"].get(name) != digest]
    if changed:
        problems.append(f"the data of {', '.join(changed)} differ from the driver's: every node must read the same")
    return problems
