"""A figure as a file of its own, in the format that the file's ending names."""

import errno
import os
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from hpstudy.exceptions import HpstudyError, InputError
from hpstudy.record import write_atomically

_METADATA: dict[str, dict[str, Any]] = {
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
}
"""The formats, and what each would write of the clock and of versions."""

# Outlines and embedded TrueType: nothing that shows the file needs our fonts.
_RC: Any = {"svg.fonttype": "path", "pdf.fonttype": 42, "savefig.dpi": 300}


def check_plot_path(path: Path) -> None:
    """Refuses a file that `save_plot` couldn't write.

    Raises:
        InputError: If the ending names no format, or the file's folder is missing or not to be written to.
    """
    if path.suffix.lower() not in _METADATA:
        given = f"ends in {path.suffix}" if path.suffix else "has no ending"
        raise InputError(f"{path}: a plot ends in {' or '.join(_METADATA)}, but this {given}")
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"{path}: there is no folder {folder}: make it first, or name another")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {folder} can't be written to: name another")
    if path.is_dir():
        raise InputError(f"{path}: this is a folder: name a file")


def save_plot(figure: Figure, path: Path) -> Path:
    """Writes the figure, or nothing; an existing file is replaced. The same bytes for the same figure.

    Raises:
        InputError: If the file can't be written.
        HpstudyError: If the disk is full.
    """
    check_plot_path(path)
    kind = path.suffix.lower()
    try:
        with mpl.rc_context(_RC):
            return write_atomically(
                path, lambda file: figure.savefig(file, format=kind[1:], metadata=_METADATA[kind], facecolor="white")
            )
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (HpstudyError if full else InputError)(f"{path}: {error.strerror or error}") from error
