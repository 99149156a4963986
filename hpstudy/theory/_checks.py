"""Refusals: every input is made a float64 array and held against what it may be."""

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpstudy.exceptions import InputError

Floats = NDArray[np.float64]


def _numbers(name: str, value: ArrayLike, allowed: str) -> Floats:
    try:
        values = np.asarray(value)
        # Python integers beyond 64 bits are objects; booleans, texts and complex numbers are no real numbers here.
        if values.dtype.kind in "iuf" or (values.dtype.kind == "O" and all(map(_is_real, values.flat))):
            return values.astype(np.float64)
    except (OverflowError, TypeError, ValueError):
        pass
    raise InputError(f"{name} must be {allowed}, but got {value!r}")


def _is_real(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _require(name: str, values: Floats, good: NDArray[np.bool_], allowed: str) -> Floats:
    if not good.all():
        given = float(values[~good].flat[0]) if values.ndim else float(values)
        raise InputError(f"{name} must be {allowed}, but got {given:.12g}")
    return values


def whole(name: str, value: ArrayLike, minimum: int) -> Floats:
    """Finite whole numbers of at least `minimum`."""
    allowed = f"a whole number of at least {minimum}"
    values = _numbers(name, value, allowed)
    return _require(name, values, np.isfinite(values) & (values >= minimum) & (values == np.floor(values)), allowed)


def count(name: str, value: int, minimum: int) -> int:
    """One whole number of at least `minimum`."""
    values = whole(name, value, minimum)
    if values.ndim:
        raise InputError(f"{name} must be one whole number of at least {minimum}, but got {value!r}")
    return int(values)


def classes(value: ArrayLike, minimum: int = 2) -> Floats:
    """Numbers of classes C."""
    return whole("num_classes", value, minimum)


def dimensions(value: ArrayLike) -> Floats:
    """Embedding dimensions K."""
    return whole("dim", value, 2)


def posteriors(value: ArrayLike) -> Floats:
    """Probabilities strictly between 0 and 1."""
    values = _numbers("posterior", value, "in (0, 1)")
    return _require("posterior", values, (values > 0) & (values < 1), "in (0, 1)")


def finite(name: str, value: ArrayLike) -> Floats:
    """Finite numbers of either sign."""
    values = _numbers(name, value, "finite")
    return _require(name, values, np.isfinite(values), "finite")


def not_negative(name: str, value: ArrayLike) -> Floats:
    """Finite numbers of at least 0."""
    values = _numbers(name, value, "finite and at least 0")
    return _require(name, values, np.isfinite(values) & (values >= 0), "finite and at least 0")


def between(name: str, value: ArrayLike, low: float, high: float, interval: str) -> Floats:
    """Numbers from `low` to `high`; `interval` says so in the message."""
    values = _numbers(name, value, f"in {interval}")
    return _require(name, values, (values >= low) & (values <= high), f"in {interval}")


def factors(name: str, value: ArrayLike) -> Floats:
    """Finite factors of at least 1."""
    allowed = "a finite factor of at least 1"
    values = _numbers(name, value, allowed)
    return _require(name, values, np.isfinite(values) & (values >= 1), allowed)


def angles(name: str, value: ArrayLike) -> Floats:
    """Angles in radians from 0 to π."""
    return between(name, value, 0.0, np.pi, "[0, π] (rad)")


def number(name: str, values: Floats) -> float:
    """The one number that a checked argument is."""
    if values.ndim:
        raise InputError(f"{name} must be one number, but got {values!r}")
    return float(values)


def as_given(values: Floats) -> float | Floats:
    """A Python float where everything given was a scalar, the array otherwise."""
    return float(values) if np.ndim(values) == 0 else values
