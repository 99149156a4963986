"""Names of metrics, spelt in one place."""

from decimal import Decimal


def far_label(far: float) -> str:
    """A FAR as mantissa and exponent without trailing zeros: 0.001 is `1e-3`, 0.00025 is `2.5e-4`."""
    _, digits, exponent = Decimal(repr(float(far))).normalize().as_tuple()
    assert isinstance(exponent, int), f"a FAR is finite, but got {far}"
    mantissa = str(digits[0]) + ("." + "".join(map(str, digits[1:])) if len(digits) > 1 else "")
    return f"{mantissa}e{exponent + len(digits) - 1}"


def tar_metric(far: float) -> str:
    """Name of TAR@FAR, e.g. `tar_at_far_1e-3`."""
    return f"tar_at_far_{far_label(far)}"
