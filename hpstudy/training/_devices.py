"""Where a trial runs, in which precision, and what it used."""

import gc
import platform
import resource
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from hpstudy.exceptions import InputError


def pick_device(gpus: float) -> torch.device:
    """The device of a trial that was given `gpus` GPUs: the first visible one, or the CPU if it was given none.

    Raises:
        InputError: it was given a GPU that torch can't use; the CPU would not be what was asked for.
    """
    if gpus <= 0:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError(
            f"the trial was given {gpus:g} GPU, but torch {torch.__version__} sees none: install a CUDA build of "
            "torch, or set resources.gpus to 0"
        )
    return torch.device("cuda", 0)


def make_ready(device: torch.device, gpus: float) -> None:
    """Puts a device where every trial begins; nothing that an earlier trial held may be referred to any more.

    A share of a GPU is a share of its memory too: a trial that wants more runs out of memory, and not its neighbours.

    Args:
        device: Of the trial.
        gpus: GPUs, or the share of one, that the trial was given.
    """
    if device.type != "cuda":
        return
    gc.collect()  # cycles hold tensors, and tensors hold the cache
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(gpus, 1.0), device)
    torch.cuda.reset_peak_memory_stats(device)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False


def describe_device(device: torch.device, precision: "Precision | None" = None) -> str:
    """The device in words, a GPU with the precision of the network."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return name if precision is None else f"{name}, {precision}"
    return f"CPU ({torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}, {platform.machine()})"


@dataclass(frozen=True, slots=True)
class Precision:
    """What the network computes in; the head computes in float32 whatever this says."""

    device_type: str
    reduced: torch.dtype | None
    """The dtype under autocast; None is float32 throughout."""

    @classmethod
    def of(cls, asked: str, device: torch.device) -> "Precision":
        """The precision that `training.precision` means on a device: `auto` is bfloat16 on a GPU that has it.

        Raises:
            InputError: bfloat16 was asked for on a GPU that would only emulate it.
        """
        on_gpu = device.type == "cuda"
        has_it = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        if asked == "bfloat16" and on_gpu and not has_it:
            raise InputError(
                f"training.precision is bfloat16, which {torch.cuda.get_device_name(device)} does not have: "
                "set it to float32 or auto"
            )
        return cls(device.type, torch.bfloat16 if asked == "bfloat16" or (asked == "auto" and has_it) else None)

    def autocast(self) -> AbstractContextManager[object]:
        """The context that the network runs in."""
        return torch.autocast(self.device_type, dtype=self.reduced, enabled=self.reduced is not None)

    def __str__(self) -> str:
        return str(self.reduced or torch.float32).removeprefix("torch.")


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory in MiB: what the trial's tensors took on a GPU; on a CPU, of the worker since it started."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def torch_facts() -> dict[str, str]:
    """What torch sees on this machine."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = ", ".join(torch.cuda.get_device_name(index) for index in range(count))
    return {"torch": torch.__version__, "gpus": gpus or "none", "cuda": torch.version.cuda or "none"}
