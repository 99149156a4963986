"""A curve in the terminal, drawn with braille dots."""

from collections.abc import Sequence

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def braille_curve(values: Sequence[float], height: int) -> list[str]:
    """Rows of text, top first, that draw `values` in [0, 1]; two values a column, four dots a row, gaps filled."""
    dots = 4 * height
    rows = [[0] * ((len(values) + 1) // 2) for _ in range(height)]
    last = None
    for x, value in enumerate(values):
        y = round((1 - min(max(value, 0.0), 1.0)) * (dots - 1))
        first, end = (y, y) if last is None else (min(y, last), max(y, last))
        if last is not None and first != end:
            # The column starts one dot past the previous one, so that a steep curve stays thin.
            first, end = (last + 1, end) if y > last else (first, last - 1)
        for dot in range(first, end + 1):
            rows[dot // 4][x // 2] |= _DOTS[dot % 4][x % 2]
        last = y
    return ["".join(chr(0x2800 + cell) for cell in row) for row in rows]
