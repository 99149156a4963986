"""How the loss of a batch and its gradient are come by: at once, or in parts that need less memory."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hpstudy.losses import HeadOutput
from hpstudy.models import EMBED_AT_ONCE
from hpstudy.training._devices import Precision


@dataclass(frozen=True, slots=True)
class Pass:
    """A batch that went forward."""

    output: HeadOutput
    backward: Callable[[], None]
    """Adds the gradient of the loss to that of the parameters; to be called once."""


class Stepping(ABC):
    """Sends batches through network and head."""

    embed_at_once: int = EMBED_AT_ONCE
    """Images to embed at a time, where nothing is learned."""
    note: str = ""
    """What a trial's row should say of it."""

    @abstractmethod
    def forward(self, model: nn.Module, head: nn.Module, inputs: Tensor, labels: Tensor, precision: Precision) -> Pass:
        """The loss of a batch, its statistics, and the way back.

        Args:
            model: From inputs to embeddings.
            head: From embeddings and labels to the loss.
            inputs: (N, …).
            labels: (N,).
            precision: Of the network.
        """

    @abstractmethod
    def to_state(self) -> dict[str, float]:
        """What `stepping_from` makes it of; kept in checkpoints."""


@dataclass(frozen=True, slots=True)
class WholeBatch(Stepping):
    """The batch at once."""

    def forward(self, model: nn.Module, head: nn.Module, inputs: Tensor, labels: Tensor, precision: Precision) -> Pass:
        """One pass of the network and one of the head."""
        with precision.autocast():
            embeddings = model(inputs)
        output: HeadOutput = head(embeddings, labels)
        return Pass(output, output.loss.backward)

    def to_state(self) -> dict[str, float]:
        """Nothing to say."""
        return {}


@dataclass(frozen=True, slots=True)
class MicroBatches(Stepping):
    """The network sees the batch in parts, the head all of it: loss, statistics and adaptive scales are the batch's.

    The parts are embedded without a graph, the head gives the gradient of the embeddings, and each part goes through
    the network again to take its share of it back; dropout and the like repeat themselves, and buffers (the running
    statistics of batch normalisation) move once. The gradient is that of `WholeBatch` up to rounding, unless the
    samples of a batch meet in the network: batch normalisation takes its statistics from each part alone.

    Args:
        parts: Micro-batches of a step.
        peak_mb: Peak memory in MiB of the attempt that made it necessary.
    """

    parts: int
    peak_mb: float

    @property
    def embed_at_once(self) -> int:  # type: ignore[override]
        """Fewer images too."""
        return max(1, EMBED_AT_ONCE // self.parts)

    @property
    def note(self) -> str:  # type: ignore[override]
        """How the trial trained, and why."""
        return f"in {self.parts} micro-batches a step after running out of memory at {self.peak_mb:.0f} MiB"

    def forward(self, model: nn.Module, head: nn.Module, inputs: Tensor, labels: Tensor, precision: Precision) -> Pass:
        """Embeds the parts, then the head as ever; the network's graphs are made on the way back, one at a time."""
        parts = inputs.chunk(self.parts)
        before, seen = [], []
        with torch.no_grad():
            for part in parts:
                before.append(_Moment.of(model, inputs.device))
                with precision.autocast():
                    seen.append(model(part))
        sizes = [len(each) for each in seen]
        embeddings = torch.cat(seen).requires_grad_()
        output: HeadOutput = head(embeddings, labels)

        def backward() -> None:
            output.loss.backward()  # type: ignore[no-untyped-call]
            after = _Moment.of(model, inputs.device)
            assert embeddings.grad is not None
            for moment, part, gradient in zip(before, parts, torch.split(embeddings.grad, sizes), strict=True):
                moment.put_back(model, inputs.device)
                with precision.autocast():
                    again = model(part)
                again.backward(gradient)
            after.put_back(model, inputs.device)

        return Pass(output, backward)

    def to_state(self) -> dict[str, float]:
        """Its arguments."""
        return {"parts": self.parts, "peak_mb": self.peak_mb}


def stepping_from(state: Mapping[str, float]) -> Stepping:
    """The inverse of `Stepping.to_state`."""
    return MicroBatches(parts=int(state["parts"]), peak_mb=state["peak_mb"]) if state else WholeBatch()


@dataclass(frozen=True, slots=True)
class _Moment:
    """What a forward pass depends on beside inputs and parameters, and changes."""

    random: Tensor
    random_of_gpu: Tensor | None
    buffers: list[Tensor]

    @classmethod
    def of(cls, model: nn.Module, device: torch.device) -> "_Moment":
        of_gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(torch.get_rng_state(), of_gpu, [buffer.clone() for buffer in model.buffers()])

    @torch.no_grad()
    def put_back(self, model: nn.Module, device: torch.device) -> None:
        torch.set_rng_state(self.random)
        if self.random_of_gpu is not None:
            torch.cuda.set_rng_state(self.random_of_gpu, device)
        for buffer, value in zip(model.buffers(), self.buffers, strict=True):
            buffer.copy_(value)
