"""Where a trial runs, in which precision, and what it used."""

import platform
import resource
import sys

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


def describe_device(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}, {platform.machine()})"


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The dtype to run the network in under autocast, or None for float32 throughout.

    `auto` takes bfloat16 on a GPU that supports it. The head computes in float32 whatever this says.
    """
    if precision == "bfloat16":
        return torch.bfloat16
    if precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return None


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
