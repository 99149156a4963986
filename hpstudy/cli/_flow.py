"""Formulas and sentences broken into lines where they can bear it."""

import re

_CLAUSE = re.compile(r"(?<=;) +|(?<=,)  ")
_BREAK = re.compile(r"(?<![−+/·≤≥=→<>|])(?<!eq\.)(?<!Proposition) ")


def flow(text: str, width: int) -> list[str]:
    """Lines of at most `width`, broken between clauses (`;`, or `,` and two spaces) rather than within one.

    A clause too long for a line is broken outside brackets if it can be, and before an operator rather than after it.
    """
    lines: list[str] = []
    for clause in _CLAUSE.split(text):
        joint = "  " if lines and lines[-1].endswith(",") else " "
        if lines and len(lines[-1] + joint + clause) <= width:
            lines[-1] += joint + clause
        else:
            lines += _wrapped(clause, width)
    return lines


def hanging(label: str, text: str, width: int, *, indent: int = 0) -> str:
    """`text` in lines beside `label`, which stands `indent` deep."""
    first = " " * indent + label
    return first + f"\n{' ' * len(first)}".join(flow(text, width - len(first)))


def _wrapped(clause: str, width: int) -> list[str]:
    lines = []
    while len(clause) > width:
        breaks = [found.start() for found in _BREAK.finditer(clause, 1, width + 1)]
        if not breaks:
            break
        late = [place for place in breaks if place >= width // 3] or breaks
        place = min(late, key=lambda place: (_depth(clause[:place]), -place))
        lines.append(clause[:place])
        clause = clause[place + 1 :]
    return [*lines, clause]


def _depth(text: str) -> int:
    """How many brackets are open at its end."""
    return sum((letter in "([{") - (letter in ")]}") for letter in text)
