"""What is known of m*(C, K), the largest margin that every class can meet: by formula, by proof, or numerically."""

import csv
import functools
from dataclasses import dataclass
from importlib import resources

from hpstudy.theory import _checks as checks
from hpstudy.theory._known_codes import KNOWN_CODES, KnownCode
from hpstudy.theory._spherical_codes import separation_bound

_TABLE = "spherical_codes.csv"
_ROUNDING = 1e-12


@dataclass(frozen=True)
class MarginOptimum:
    """The two ends between which m*(C, K) = 1 − min_W max_{i≠j} W_i·W_j lies (cosines)."""

    lower: float | None
    """The separation of a code that exists; None where no good one is known here."""
    upper: float
    """`margin_upper_bound`: no code is further apart."""
    exact: bool
    """Whether both ends are the same number."""
    source: str
    """Whose result `lower` is, or `upper` where there is no `lower`; "numeric" for this package's own solver."""
    upper_source: str
    """Whose result `upper` is."""


def margin_optimum(num_classes: int, dim: int) -> MarginOptimum:
    """m*(C, K), the largest m (a cosine) that every class can meet at its own centre, as far as it is known.

    What stands behind CosFace (Wang et al., CVPR 2018, arXiv:1801.09414), eq. 7. Exact for C ≤ K+1 (simplex), K = 2
    (regular polygon), C ≤ 2K (Rankin), and for single codes proved optimal, among them the solved cases of Tammes'
    problem (K = 3 and C = 7 … 14, 24), the codes that attain Levenshtein's bound and Kerdock codes. Elsewhere `upper`
    is `margin_upper_bound` and `lower` the best code known here: a proved one, or an entry of the table of what
    `solve_spherical_code` found (K = 3 … 8, every C to 32 and a few above). A code of more classes or in fewer
    dimensions also counts, as part of it, or copies of it in orthogonal subspaces, can be used; `source` then names its
    size. `lower` is None where there is none of these: `solve_spherical_code` finds one.

    K = 1 is refused, as in all of this package: its only cosines are ±1.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.

    Returns:
        Both ends (cosines) and whose results they are.

    Raises:
        InputError: If either is not a whole number of at least 2.
    """
    count, dims = checks.count("num_classes", num_classes, 2), checks.count("dim", dim, 2)
    upper = separation_bound(count, dims)
    if count <= 2 * dims or dims == 2:
        return MarginOptimum(upper.value, upper.value, True, upper.source, upper.source)
    usable = [code for code in (*KNOWN_CODES, *_table()) if code.dim <= dims and count <= _capacity(code, dims)]
    if not usable:
        return MarginOptimum(None, upper.value, False, upper.source, upper.source)
    best = max(usable, key=lambda code: (code.separation, (code.dim, code.num_classes) == (dims, count)))
    if upper.value - best.separation <= _ROUNDING:
        return MarginOptimum(upper.value, upper.value, True, upper.source, upper.source)
    source = best.source
    if (best.dim, best.num_classes) != (dims, count):
        source = f"{source}: {best.num_classes} classes in {best.dim} dimensions"
    return MarginOptimum(best.separation, upper.value, False, source, upper.source)


def _capacity(code: KnownCode, dim: int) -> int:
    """How many vectors copies of the code in orthogonal subspaces of R^dim have (cosine 0 across copies)."""
    return code.num_classes * (dim // code.dim)


@functools.cache
def _table() -> tuple[KnownCode, ...]:
    text = resources.files("hpstudy.theory").joinpath(_TABLE).read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        KnownCode(int(row["dim"]), int(row["num_classes"]), float(row["separation"]), "numeric") for row in rows
    )
