"""Makes spherical_codes.csv, the table behind `margin_optimum`: `python -m hpstudy.theory.make_code_table`.

One core, about a quarter of an hour. Every entry has its own seed, so that one can be solved again without the others.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hpstudy.theory._code_solver import solve_spherical_code
from hpstudy.theory._known_codes import KNOWN_CODES

DIMENSIONS = range(3, 9)
EVERY_COUNT_TO = 32
LARGER_COUNTS = {3: (48, 64, 100, 128, 300, 1000), 4: (48, 64, 100, 128, 300), 5: (48, 64, 100, 128, 300)}
LARGER_COUNTS_ELSEWHERE = (48, 64, 100, 128)


def entry_generator(seed: int, dim: int, num_classes: int) -> np.random.Generator:
    """The generator of one entry's random starts."""
    return np.random.default_rng([seed, dim, num_classes])


def entry_restarts(dim: int, num_classes: int) -> int:
    """More where there are many local optima, fewer where one start takes seconds."""
    if num_classes <= EVERY_COUNT_TO:
        return 64 + dim * dim * num_classes // 6
    return max(2, 400_000 // num_classes**2)


def entries() -> list[tuple[int, int]]:
    """(K, C) of all entries: the sizes that no formula answers exactly."""
    exact = {(code.dim, code.num_classes) for code in KNOWN_CODES}
    return [
        (dim, count)
        for dim in DIMENSIONS
        for count in (*range(2 * dim + 1, EVERY_COUNT_TO + 1), *LARGER_COUNTS.get(dim, LARGER_COUNTS_ELSEWHERE))
        if (dim, count) not in exact
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Solve all entries and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("spherical_codes.csv"))
    options = parser.parse_args(arguments)
    lines = [
        "# Spherical codes found numerically: the separation 1 - max cosine of num_classes unit vectors in R^dim.",
        f"# Made by: python -m hpstudy.theory.make_code_table --seed {options.seed}",
        "# Each is the best of `restarts` random starts of solve_spherical_code, its generator seeded with",
        "# [seed, dim, num_classes]; rounded down to 12 digits.",
        "dim,num_classes,restarts,separation",
    ]
    for dim, count in entries():
        restarts = entry_restarts(dim, count)
        generator = entry_generator(options.seed, dim, count)
        code = solve_spherical_code(count, dim, generator=generator, restarts=restarts)
        # Rounded down, so that a code with the printed separation exists.
        lines.append(f"{dim},{count},{restarts},{math.floor(code.separation * 1e12) / 1e12:.12f}")
        print(lines[-1], flush=True)
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
