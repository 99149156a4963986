"""Prototypes and features that exist, and what a trial would have measured of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpstudy.catalog import MARGINS

Floats = NDArray[np.float64]


def unit(points: Floats) -> Floats:
    """Rows of length 1."""
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def simplex(classes: int) -> Floats:
    """C unit vectors in C dimensions with all cosines −1/(C−1)."""
    return unit(np.eye(classes) - 1 / classes)


def polygon(classes: int) -> Floats:
    """C unit vectors evenly around the circle."""
    angles = 2 * np.pi * np.arange(classes) / classes
    return np.column_stack([np.cos(angles), np.sin(angles)])


def target(kind: str, m: float) -> Callable[[Floats], Floats]:
    """ψ of cos θ under the default rule past π."""
    if kind == "additive_cosine":
        return lambda cos: cos - m
    if kind == "additive_angle":
        return lambda cos: _falling(np.arccos(np.clip(cos, -1, 1)) + m)
    if kind == "multiplicative_angle":
        return lambda cos: _falling(np.arccos(np.clip(cos, -1, 1)) * m)
    assert MARGINS[kind].name == "none"
    return lambda cos: cos


def _falling(angle: Floats) -> Floats:
    turns = np.floor(angle / np.pi)
    return np.where(turns % 2 == 0, 1.0, -1.0) * np.cos(angle) - 2 * turns


def log_odds(cos: Floats, own: NDArray[np.int64], s: float, psi: Callable[[Floats], Floats]) -> Floats:
    """s·ψ − ln Σ_{j≠own} e^{s cos θ_j} of each row."""
    rows = np.arange(len(cos))
    others = s * cos
    others[rows, own] = -np.inf
    largest = others.max(axis=1)
    log_b = largest + np.log(np.exp(others - largest[:, None]).sum(axis=1))
    return s * psi(cos[rows, own]) - log_b


def geometry(
    prototypes: Floats,
    features: Floats,
    labels: NDArray[np.int64],
    s: float,
    *,
    margin: str = "none",
    m: float = 0.0,
    shown: NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """The geometry columns of a trial, in float64.

    Args:
        prototypes: (C, K) unit rows.
        features: (N, K) unit rows, every class among them.
        labels: (N,).
        s: Scale.
        margin: Name of the margin part.
        m: In its unit.
        shown: Rows as often as a pass shows them; each once by default.
    """
    count = len(prototypes)
    every, psi, bare = np.arange(count), target(margin, m), target("none", 0.0)
    cos = features @ prototypes.T
    own = cos[np.arange(len(cos)), labels]
    hardest = np.where(labels[:, None] == every, -np.inf, cos).max(axis=1)
    centres = unit(np.stack([features[labels == c].sum(axis=0) for c in every]))
    losses = np.logaddexp(0.0, -log_odds(cos, labels, s, psi))
    at_prototypes = log_odds(prototypes @ prototypes.T, every, s, bare)
    at_centres = log_odds(centres @ prototypes.T, every, s, bare)
    found = {
        "final_s": s,
        "max_prototype_cosine": _largest(prototypes),
        "max_centre_cosine": _largest(centres),
        "margin_satisfied_fraction": float(np.mean(psi(own) >= hardest)),
        "train_accuracy": float(np.mean(own > hardest)),
        "train_loss": float(losses[slice(None) if shown is None else shown].mean()),
        "train_loss_balanced": float(np.mean([losses[labels == c].mean() for c in every])),
    }
    for name, odds in (("class_centre", at_prototypes), ("feature_centre", at_centres)):
        posterior = np.exp(-np.logaddexp(0.0, -odds))
        found |= {
            f"{name}_log_odds_min": float(odds.min()),
            f"{name}_posterior_min": float(posterior.min()),
            f"{name}_posterior_mean": float(posterior.mean()),
        }
    return {f"geometry/{name}": value for name, value in found.items()}


def _largest(points: Floats) -> float:
    cosines = points @ points.T
    np.fill_diagonal(cosines, -np.inf)
    return float(cosines.max())


def random_case(rng: np.random.Generator) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Prototypes, features near, beside or opposite to them, and labels: C from 2 to 24, K from 2 to 16."""
    count, dim = int(rng.integers(2, 25)), int(rng.integers(2, 17))
    prototypes = unit(rng.normal(size=(count, dim)))
    labels = np.concatenate([np.arange(count), rng.integers(0, count, int(rng.integers(0, 4 * count)))])
    sign = rng.choice([1.0, 1.0, -1.0])
    features = unit(sign * prototypes[labels] + rng.choice([0.01, 0.3, 3.0]) * rng.normal(size=(len(labels), dim)))
    return prototypes, features, labels
