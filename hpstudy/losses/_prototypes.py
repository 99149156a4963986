"""Initial prototypes. Shapes: C classes, K embedding dimensions."""

import torch
from torch import Tensor

_ROWS = 8192


def initial_prototypes(
    classes: range, num_classes: int, embedding_dim: int, generator: torch.Generator | None
) -> Tensor:
    """The rows `classes` of prototypes drawn for all classes, normal with variance 1/K.

    Their directions are uniform and their norms near 1 (the gradient of a prototype falls with its norm). A slice is
    the same numbers whatever slice it is, and leaves the generator in the same state; no more than 8,192 other rows
    exist at a time.

    Args:
        classes: Which rows.
        num_classes: C.
        embedding_dim: K.
        generator: Source; None is torch's global one.
    """
    device = None if generator is None else generator.device
    kept = torch.empty(len(classes), embedding_dim, device=device)
    for start in range(0, num_classes, _ROWS):
        rows = torch.randn(min(_ROWS, num_classes - start), embedding_dim, generator=generator, device=device)
        first, stop = max(start, classes.start), min(start + len(rows), classes.stop)
        if first < stop:
            kept[first - classes.start : stop - classes.start] = rows[first - start : stop - start]
    return kept.mul_(embedding_dim**-0.5)
