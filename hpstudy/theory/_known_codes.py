"""Spherical codes proved optimal: nobody can place that many unit vectors in that dimension further apart."""

import math
from typing import NamedTuple


class KnownCode(NamedTuple):
    """`num_classes` unit vectors in R^`dim` whose largest cosine is 1 − `separation`, the least there is."""

    dim: int
    num_classes: int
    separation: float
    source: str


_GOLDEN = (1 + math.sqrt(5)) / 2
_TRIBONACCI = (1 + (19 + 3 * math.sqrt(33)) ** (1 / 3) + (19 - 3 * math.sqrt(33)) ** (1 / 3)) / 3
_SNUB_CUBE_COSINE = _TRIBONACCI**4 / (1 + _TRIBONACCI**2 + _TRIBONACCI**4)

# Tammes' problem, K = 3; who solved which number of points is told by Musin and Tarasov, arXiv:1410.2536. The cosine
# for 7 points is a root of 3x³ − 9x² − 3x + 1, for 8 of 7x² + 2x − 1 (the square antiprism), for 10 of
# 7x³ − 4x² − 2x + 1 (Cohn's table of spherical codes, hdl.handle.net/1721.1/142661); 11 is the icosahedron less a
# point, 24 the snub cube; the angles for 13 and 14 are OEIS A217695 and A383860.
_TAMMES = (
    KnownCode(3, 7, 1 - 0.21013831273060308487, "Schütte and van der Waerden"),
    KnownCode(3, 8, 1 - (2 * math.sqrt(2) - 1) / 7, "Schütte and van der Waerden"),
    KnownCode(3, 9, 2 / 3, "Schütte and van der Waerden"),
    KnownCode(3, 10, 1 - 0.40439432521625075685, "Danzer"),
    KnownCode(3, 11, 1 - 1 / math.sqrt(5), "Danzer"),
    KnownCode(3, 12, 1 - 1 / math.sqrt(5), "Fejes Tóth"),
    KnownCode(3, 13, 1 - math.cos(0.99722359243811916365), "Musin and Tarasov"),
    KnownCode(3, 14, 1 - math.cos(0.97163474288622407594), "Musin and Tarasov"),
    KnownCode(3, 24, 1 - _SNUB_CUBE_COSINE, "Robinson"),
)

# The codes that attain Levenshtein's bound among the universal optima of Cohn and Kumar, arXiv:math/0607446, Table 1.
_SHARP = tuple(
    KnownCode(dim, count, 1 - 1 / inverse_cosine, "Levenshtein")
    for dim, count, inverse_cosine in (
        (5, 16, 5),
        (6, 27, 4),
        (7, 56, 3),
        (8, 240, 2),
        (21, 112, 9),
        (21, 162, 7),
        (22, 100, 11),
        (22, 275, 6),
        (22, 891, 4),
        (23, 552, 5),
        (23, 4600, 3),
        (24, 196560, 2),
    )
)

# Optimal although Levenshtein's bound lies higher. The Petersen code: arXiv:0708.3947. The 24-cell: arXiv:2404.18794.
# The 600-cell: arXiv:math/0607446. Kerdock codes, K/2 + 1 orthonormal bases and their negatives with cosines 0 and
# ±1/√K: arXiv:2403.16874.
_BEYOND_LEVENSHTEIN = (
    KnownCode(4, 10, 5 / 6, "Bachoc and Vallentin"),
    KnownCode(4, 24, 0.5, "de Laat, Leijenhorst and de Muinck Keizer"),
    KnownCode(4, 120, 1 - _GOLDEN / 2, "Cohn and Kumar"),
    *(KnownCode(4**k, 16**k + 2 * 4**k, 1 - 0.5**k, "Cohn, de Laat and Leijenhorst") for k in range(2, 6)),
)

KNOWN_CODES = (*_TAMMES, *_SHARP, *_BEYOND_LEVENSHTEIN)
