"""Per-step values kept on the device, so that the training loop never waits for it."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class StepRing:
    """A buffer of per-step scalars on the device.

    Args:
        columns: Names of the values of a step.
        capacity: Steps that fit before `drain` is due.
        device: Where the values are.
    """

    def __init__(self, columns: Sequence[str], capacity: int, device: torch.device) -> None:
        self._columns = tuple(columns)
        self._rows = torch.empty((capacity, len(self._columns)), dtype=torch.float32, device=device)
        self._used = 0

    @property
    def is_full(self) -> bool:
        """Whether `drain` is due."""
        return self._used == len(self._rows)

    def push(self, values: Mapping[str, Tensor]) -> None:
        """Keeps one step; `values` holds a 0-d tensor for each column."""
        torch.stack([values[name].detach().to(torch.float32) for name in self._columns], out=self._rows[self._used])
        self._used += 1

    def drain(self) -> dict[str, NDArray[np.float32]]:
        """Takes the kept steps out, in one transfer; one array for each column."""
        rows: NDArray[np.float32] = self._rows[: self._used].cpu().numpy().copy()
        self._used = 0
        return {name: rows[:, index] for index, name in enumerate(self._columns)}
