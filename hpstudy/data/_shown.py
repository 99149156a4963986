"""What training is shown: labels that are wrong on purpose, and identities that come more often than others."""

import numpy as np
import torch
from torch import Tensor

from hpstudy.seeds import derive_seed


def noisy_labels(labels: Tensor, num_classes: int, share: float, seed: int) -> Tensor:
    """Symmetric label noise: a share of the samples gets the label of another class, each other class equally likely.

    Args:
        labels: (N,) int64 in [0, C).
        num_classes: C.
        share: Fraction of the samples, rounded to whole samples.
        seed: Seed of the data; the same samples get the same wrong labels in every trial.

    Returns:
        (N,) int64; `labels` itself where nothing changes.
    """
    wrong = round(share * len(labels))
    if not wrong:
        return labels
    generator = torch.Generator().manual_seed(derive_seed("label noise", seed))
    rows = torch.randperm(len(labels), generator=generator)[:wrong]
    shift = torch.randint(1, num_classes, (wrong,), generator=generator)
    noisy = labels.clone()
    noisy[rows] = (labels[rows] + shift) % num_classes
    return noisy


def rows_shown(labels: Tensor, num_classes: int, imbalance: float) -> Tensor:
    """The samples that one pass visits, each as often as its class is shown.

    The first class is shown `imbalance` times as often as the last and the others lie between in a geometric sequence,
    rounded to whole visits: a long tail (Cui et al., CVPR 2019, arXiv:1901.05555, thin out the images of a class
    instead, which takes more images than a small set has).

    Args:
        labels: (N,) int64 in [0, C), the classes that the samples are of.
        num_classes: C.
        imbalance: Visits of the first class for one of the last, at least 1.

    Returns:
        (V,) int64 rows, ordered; each row once if the imbalance is 1.
    """
    visits_C = np.rint(np.geomspace(imbalance, 1.0, num_classes)).astype(np.int64)
    return torch.arange(len(labels)).repeat_interleave(torch.from_numpy(visits_C)[labels])
