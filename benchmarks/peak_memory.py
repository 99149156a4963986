"""Peak memory of a call, above what was held before it, in MiB."""

import ctypes
import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

_MIB = 2**20


def resident_mib(call: Callable[[], object]) -> float | None:
    """Of the whole process as the kernel counts it; None where that cannot be asked (it can on Linux)."""
    if sys.platform != "linux":
        return None
    ctypes.CDLL(None).malloc_trim(0)  # else what was freed before the call hides some of its memory
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = _status_mib("VmRSS")
    call()
    return _status_mib("VmHWM") - before


def _status_mib(row: str) -> float:
    found = re.search(rf"^{row}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found, row
    return int(found[1]) / 1024


def tensors_mib(call: Callable[[], object], device: str = "cpu") -> float:
    """Of what torch's allocator hands out."""
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        return (torch.cuda.max_memory_allocated() - before) / _MIB
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        call()
    with tempfile.TemporaryDirectory() as folder:
        recorded.export_chrome_trace(f"{folder}/trace.json")
        events = json.loads(Path(folder, "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    held, peak = 0, 0
    for event in sorted((each for each in events if each["name"] == "[memory]"), key=lambda each: each["ts"]):
        held += event["args"]["Bytes"]
        peak = max(peak, held)
    return peak / _MIB
