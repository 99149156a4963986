"""What is found out before the first trial."""

import re
from pathlib import Path

import pytest

from hpstudy.exceptions import InputError
from hpstudy.execution._capacity import placement
from hpstudy.execution._inputs import check_arms, check_data
from hpstudy.execution._preflight import _problems, _versions, check_cluster
from hpstudy.record import StudyFolder
from hpstudy.spec import ResourcesSpec, parse_study

STUDY = """
version: 1
name: toy
question: Which?
data: {{identities: {{train: {train}, val: 4, test: 4}}}}
training: {{batch_size: {batch}}}
conditions: {{model.embedding_dim: [8, 16]}}
arms: {{a: {{loss: adacos}}}}
search: {{objective: val/tar_at_far_{far}}}
"""


def node(cpus: float, gpus: float = 0, name: str = "here") -> dict[str, object]:
    return {"Alive": True, "NodeID": name, "NodeManagerHostname": name, "Resources": {"CPU": cpus, "GPU": gpus}}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    nodes: list[dict[str, object]] = []
    monkeypatch.setattr("ray.nodes", lambda: nodes)
    return nodes


@pytest.mark.parametrize(
    ("offer", "trial", "slots"),
    [
        ((4, 0), {"cpus": 1}, 4),
        ((5, 0), {"cpus": 2}, 2),
        ((16, 2), {"cpus": 1, "gpus": 1}, 2),
        ((16, 2), {"cpus": 1, "gpus": 0.5}, 4),
        ((16, 2), {"cpus": 1, "gpus": 0.3}, 6),  # three to a GPU: a share never spans two
        ((16, 1), {"cpus": 1, "gpus": 0.2}, 5),
        ((1, 0), {"cpus": 0.1}, 10),
        ((3, 2), {"cpus": 1, "gpus": 0.25}, 3),
        ((8, 0), {"cpus": 1, "max_parallel": 3}, 3),
        ((16, 4), {"cpus": 1, "gpus": 2}, 2),
        ((16, 5), {"cpus": 4, "gpus": 2}, 2),
        ((4, 8), {"cpus": 2, "gpus": 2}, 2),
    ],
)
def test_places_to_run(
    cluster: list[dict[str, object]], tmp_path: Path, offer: tuple[int, int], trial: dict[str, float], slots: int
) -> None:
    cluster.append(node(*offer))
    assert check_cluster(ResourcesSpec.model_validate(trial)).slots == slots


def test_a_trial_that_no_node_holds_is_refused(cluster: list[dict[str, object]], tmp_path: Path) -> None:
    cluster += [node(2, name="a"), node(4, name="b")]
    with pytest.raises(InputError, match=r"asks for 8 CPUs and 0 GPUs, and no node has as much \(a: 2 CPUs, .* b: 4"):
        check_cluster(ResourcesSpec(cpus=8))


def test_a_loss_of_the_user_is_refused_on_several_gpus(characters: Path) -> None:
    text = STUDY.format(train=8, batch=32, far="1e-2").replace("{loss: adacos}", '{loss: "some_parts:Head"}')
    with pytest.raises(InputError, match="'some_parts:Head' is your own and would see a part of the batch"):
        check_arms(parse_study(f"{text}resources: {{gpus: 2}}\n"), characters)


def test_only_nodes_with_the_asked_kind_of_gpu_count(cluster: list[dict[str, object]]) -> None:
    for name, kind in (("a", "H100"), ("b", "A100"), ("c", "H100")):
        cluster.append(node(8, 2, name=name))
        cluster[-1]["Resources"] |= {f"accelerator_type:{kind}": 1.0}  # type: ignore[operator]
    capacity = check_cluster(ResourcesSpec(gpus=0.5, gpu_type="H100"))
    assert capacity.slots == 8
    assert [host for _, host in capacity.fitting] == ["a", "c"]
    with pytest.raises(InputError, match=r"no GPU of the asked kind: .*gpu_type is L4, and the cluster has A100, H100"):
        check_cluster(ResourcesSpec(gpus=1, gpu_type="L4"))
    cluster.clear()
    cluster.append(node(8))
    with pytest.raises(InputError, match="the cluster has none that Ray knows"):
        check_cluster(ResourcesSpec(gpus=1, gpu_type="L4"))


def test_a_trial_is_placed_on_one_node() -> None:
    kind = {"accelerator_type:H100": 0.001}
    assert placement(ResourcesSpec(cpus=2, gpus=0.5)).bundles == [{"CPU": 2, "GPU": 0.5}]
    assert placement(ResourcesSpec(gpus=1, gpu_type="H100")).bundles == [{"CPU": 1, "GPU": 1, **kind}]
    several = placement(ResourcesSpec(cpus=4, gpus=2, gpu_type="H100"))
    assert several.required_resources == {"CPU": 4, "GPU": 2, "accelerator_type:H100": 0.002}
    assert several.strategy == "STRICT_PACK"


def test_data_are_hashed_for_every_condition(characters: Path) -> None:
    study = parse_study(STUDY.format(train=8, batch=32, far="1e-2"))
    looks = check_data(study, characters)
    assert set(looks) == {"embedding_dim-8", "embedding_dim-16"}
    assert len({look.content_hash for look in looks.values()}) == 1
    assert all(look.images.startswith("96 train, ") for look in looks.values())


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ('{loss: "no_such_module_at_all:Head"}', "no_such_module_at_all"),
        ('{loss: "math:sqrt"}', "math:sqrt"),
        ('{loss: "their_parts:Silent"}', "must give the statistics s, .* but s, .* are missing"),
        ('{loss: "their_parts:Broken"}', "ValueError: my bug"),
    ],
)
def test_parts_of_the_user_are_tried_before_anything_starts(
    tmp_path: Path, characters: Path, monkeypatch: pytest.MonkeyPatch, arm: str, message: str
) -> None:
    (tmp_path / "their_parts.py").write_text(
        """
import torch
from hpstudy.losses import HeadOutput

class Silent(torch.nn.Module):
    def __init__(self, num_classes, embedding_dim):
        super().__init__()

    def forward(self, embeddings, labels):
        return HeadOutput(
            loss=embeddings.sum(),
            statistics={},
            cosine_blocks=lambda: [embeddings],
            compute_logits=lambda: embeddings,
        )

class Broken(Silent):
    def forward(self, embeddings, labels):
        raise ValueError("my bug")
"""
    )
    monkeypatch.syspath_prepend(tmp_path)
    text = STUDY.format(train=8, batch=32, far="1e-2").replace("{loss: adacos}", arm)
    with pytest.raises(InputError, match=message) as refusal:
        check_arms(parse_study(text), characters)
    assert "arm a" in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": 50_000}, "50000"),
        ({"batch": 4096}, r"training.batch_size must be at most the number of training samples, \d+, but is 4096"),
        ({"far": "1e-6"}, r"a FAR of 1e-06 must be at least 1 / the number of impostor pairs"),
    ],
)
def test_data_that_do_not_suffice_are_refused_for_every_condition(
    characters: Path, changes: dict[str, object], message: str
) -> None:
    values = {"train": 8, "batch": 32, "far": "1e-2", **changes}
    with pytest.raises(InputError, match=message) as refusal:
        check_data(parse_study(STUDY.format(**values)), characters)
    assert "condition embedding_dim-8" in str(refusal.value)
    assert "condition embedding_dim-16" in str(refusal.value)


def sight(**changes: object) -> dict[str, object]:
    """What a node like the driver's sees."""
    return {**_versions(), "sees": True, "data": {"default": "77ab"}, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"python": "3.11.99"}, None),
        ({"torch": "2.0.0"}, r"torch is 2\.0\.0 there and .* here: install the same everywhere"),
        ({"hpstudy": "0.0.1"}, r"hpstudy is 0\.0\.1 there"),
        ({"sees": False}, r"/shared is not the folder that the driver sees: with more than one node set --home"),
        ({"data": {"default": "1234"}}, r"the data of default differ from the driver's"),
        ({"data_fault": "data.path /faces is no folder"}, r"data.path /faces is no folder"),
        ({"fault": "No module named 'hpstudy'"}, r"hpstudy does not run there \(No module named 'hpstudy'\)"),
    ],
)
def test_what_a_node_lacks_is_told(changes: dict[str, object], message: str | None) -> None:
    problems = _problems(sight(**changes), StudyFolder("/shared", "toy"), {"default": "77ab"})
    if message is None:
        assert problems == []
    else:
        [problem] = problems
        assert re.match(message, problem)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("training: {batch_size: 32}\n", None),
        ("training: {batch_size: 33}\n", r"condition default: training.batch_size must be a multiple of .*, 2, but 33"),
        ("search", r"arm a: training.batch_size must be a multiple of resources.gpus, 2, but 17, 19, 21, … would"),
        ("choice", r"arm a: training.batch_size must be a multiple of resources.gpus, 2, but 15 would be tried"),
    ],
)
def test_batches_that_several_gpus_do_not_share_equally_are_refused(
    characters: Path, changes: str, message: str | None
) -> None:
    ranges = {"search": "{int: [16, 32]}", "choice": "{choice: [15, 16]}"}
    arm = f"cosface, search: {{training.batch_size: {ranges[changes]}}}" if changes in ranges else "adacos"
    study = parse_study(
        f"""
version: 1
name: toy
question: Which?
data: {{identities: {{train: 8, val: 4, test: 4}}}}
arms: {{a: {{loss: {arm}}}}}
search: {{objective: val/tar_at_far_1e-2}}
resources: {{gpus: 2}}
{"" if changes in ranges else changes}"""
    )
    if message is None:
        check_data(study, characters)
    else:
        with pytest.raises(InputError, match=message):
            check_data(study, characters)
