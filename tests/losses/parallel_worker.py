"""Trains heads on several ranks, and on one: `python parallel_worker.py PROCESS FOLDER`, with PROCESS 0, 1 and 2.

FOLDER/cases.json names the cases. Processes 0 and 1 are a world of two ranks, while process 2 trains the same heads on
whole batches; then all three are a world of three ranks, in which 1 and 2 also are a group of two. What a process finds
in a world goes to FOLDER/<world><rank>.pickle, as NumPy arrays: pickling tensors would take longer than the training.
Shapes: N samples of the global batch, C classes, K embedding dimensions.
"""

import json
import pickle
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from hpstudy.exceptions import InputError
from hpstudy.losses import (
    ClassShards,
    CosineHead,
    DataParallel,
    HeadOutput,
    Parallel,
    build_head,
    build_head_from_parts,
)

SAMPLES, FEATURES, EMBEDDING_DIM = 12, 6, 5
RATE = 1e-3
PATIENCE = timedelta(seconds=150)
"""How long a rank waits for the others."""

Case = Mapping[str, Any]
"""`id`; `kind`, data or shards; `worlds`; `steps`, and `eval`, if a pass in eval mode follows; `prototypes`, normal or
axes; what to build: `loss` and `params`, or `margin` and `scale`; `num_classes`, `regularisers`, `classes_at_once`."""
Result = dict[str, Any]
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Who takes part. One process without a group is a world of its own."""

    name: str
    rank: int = 0
    ranks: int = 1
    group: dist.ProcessGroup | None = None

    def parallel(self, kind: str) -> Parallel | None:
        if self.ranks == 1:
            return None
        return DataParallel(self.group) if kind == "data" else ClassShards(self.group)

    def wrapped(self, module: nn.Module) -> nn.Module:
        return module if self.ranks == 1 else DistributedDataParallel(module, process_group=self.group)


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """The same on every rank."""

    inputs: Tensor
    """(steps + 1, N, features), the last for eval mode."""
    labels: Tensor
    """(steps + 1, N)."""
    backbone: Tensor
    """(K, features)."""
    prototypes: Tensor
    """(C, K), of norms around 1."""


def make_data(case: Case) -> Data:
    generator = torch.Generator().manual_seed(1)
    num_classes, passes = case["num_classes"], case["steps"] + 1

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    axes = torch.eye(EMBEDDING_DIM, dtype=torch.float64)[torch.arange(num_classes) % EMBEDDING_DIM]
    return Data(
        inputs=normal(passes, SAMPLES, FEATURES),
        labels=torch.randint(num_classes, (passes, SAMPLES), generator=generator),
        backbone=4.0 * normal(EMBEDDING_DIM, FEATURES),  # norms within what MagFace counts, 10 to 110
        prototypes=axes if case["prototypes"] == "axes" else normal(num_classes, EMBEDDING_DIM) * 0.5,
    )


def build(case: Case, parallel: Parallel | None) -> CosineHead:
    options = {key: case[key] for key in ("num_classes", "regularisers", "classes_at_once") if key in case}
    options |= {"embedding_dim": EMBEDDING_DIM, "generator": torch.Generator().manual_seed(0), "parallel": parallel}
    if "loss" in case:
        head = build_head(case["loss"], **case.get("params", {}), **options)
    else:
        head = build_head_from_parts(case["margin"], case["scale"], **options)
    assert isinstance(head, CosineHead)
    return head


def widen(head: CosineHead) -> None:
    """Everything to float64, also what a scale keeps in float32, so that only the order of sums differs."""
    for tensor in (*head.parameters(), *head.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.double()


def train(case: Case, world: World) -> Result:
    data = make_data(case)
    head = build(case, world.parallel(case["kind"]))
    initial = array(head.weight)
    widen(head)
    backbone = nn.Linear(FEATURES, EMBEDDING_DIM, bias=False, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(data.prototypes[head.classes.start : head.classes.stop])
        backbone.weight.copy_(data.backbone)
    embed = world.wrapped(backbone)
    lossy = world.wrapped(head) if case["kind"] == "data" else head
    parameters = {"backbone": backbone.weight, **dict(head.named_parameters())}
    share = slice(world.rank * SAMPLES // world.ranks, (world.rank + 1) * SAMPLES // world.ranks)
    result: Result = {"initial": initial, "steps": []}
    for inputs, labels in zip(data.inputs[:-1], data.labels[:-1], strict=True):
        embeddings = embed(inputs[share])
        embeddings.retain_grad()
        out = lossy(embeddings, labels[share])
        seen = described(out) | ({} if result["steps"] else {"logits": array(out.logits)})
        out.loss.backward()
        moved = [(name, each, each.grad) for name, each in parameters.items() if each.grad is not None]
        seen["gradients"] = {name: array(gradient) for name, _, gradient in moved}
        seen["embedding_gradients"] = array(embeddings.grad)
        result["steps"].append(seen)
        with torch.no_grad():
            for _, parameter, gradient in moved:
                parameter -= RATE * gradient
                parameter.grad = None
    result["state"] = state_of(head) | {"backbone": array(backbone.weight)}
    if case["eval"]:
        with torch.no_grad():
            result["eval"] = described(lossy.eval()(embed(data.inputs[-1, share]), data.labels[-1, share]))
        result["state_after_eval"] = state_of(head)
    return result


def described(out: HeadOutput) -> Result:
    return {
        "loss": array(out.loss),
        "terms": {name: array(term) for name, term in out.terms.items()},
        "statistics": {name: array(value) for name, value in out.statistics.items()},
        "cosines": array(out.cosines),
    }


def state_of(head: CosineHead) -> dict[str, Array]:
    return {name: array(tensor) for name, tensor in head.state_dict().items()}


def array(tensor: Tensor | None) -> Array:
    assert tensor is not None
    return tensor.detach().numpy().copy()


def train_all(cases: Sequence[Case], world: World, folder: Path) -> None:
    results: dict[str, Result] = {}
    for case in cases:
        try:
            results[case["id"]] = train(case, world)
        except Exception:
            results[case["id"]] = {"error": traceback.format_exc()}
    save(results, folder / f"{world.name}{world.rank}.pickle")


def save(found: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(found))


def refusal_of_too_many_ranks() -> str:
    try:
        build({"loss": "normface", "num_classes": 2}, ClassShards())
    except InputError as error:
        return str(error)
    return "none"


def log_totals_of_extremes() -> tuple[Array, Array]:
    """Of two ranks, with what one process makes of both."""
    inf, nan = torch.inf, torch.nan
    rows = torch.tensor([[-inf, -inf, 700.0, -2e4, inf, nan, 0.0], [-inf, -3.0, 710.0, -2e4, 0.0, 0.0, inf]])
    return array(ClassShards().log_total(rows[dist.get_rank()])), array(rows.logsumexp(0))


@contextmanager
def default_group(folder: Path, *, rank: int, ranks: int) -> Iterator[None]:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous{ranks}", rank=rank, world_size=ranks, timeout=PATIENCE
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


def main(process: int, folder: Path) -> None:
    torch.set_num_threads(1)
    cases: list[Case] = json.loads((folder / "cases.json").read_text())
    by_world = {name: [case for case in cases if name in case["worlds"]] for name in ("two", "three", "pair")}
    if process < 2:
        with default_group(folder, rank=process, ranks=2):
            train_all(by_world["two"], World(name="two", rank=process, ranks=2), folder)
            save(log_totals_of_extremes(), folder / f"log_totals{process}.pickle")
    else:
        train_all(cases, World(name="one"), folder)
    with default_group(folder, rank=process, ranks=3):
        train_all(by_world["three"], World(name="three", rank=process, ranks=3), folder)
        (folder / f"refusal{process}.txt").write_text(refusal_of_too_many_ranks(), encoding="utf-8")
        pair = dist.new_group([1, 2])
        if process > 0:
            train_all(by_world["pair"], World(name="pair", rank=process - 1, ranks=2, group=pair), folder)
        dist.barrier()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
