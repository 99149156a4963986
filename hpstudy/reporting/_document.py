"""What a report is made of: each figure and table entered once, and written in all its forms by that."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from hpstudy.reporting._latex import latex_table
from hpstudy.reporting._style import as_png, save
from hpstudy.reporting._tables import Table
from hpstudy.reporting._typst import figure_as_pdf

_ENDINGS = {"figures": ("svg", "pdf", "png"), "tables": ("csv", "tex")}


class Document:
    """The registry of a report's figures and tables, and the facts that its sentences need.

    A table is printed, and written as CSV and LaTeX; a figure is printed, and written as SVG, PDF and PNG; one call
    does all of it, so that no form can lack what another has.

    Args:
        folder: Figures and tables of an earlier report in it are removed.
        words: What the study puts into headings of tables.
    """

    def __init__(self, folder: Path, words: Mapping[str, str]) -> None:
        self.folder = folder
        self.words = words
        self.facts: dict[str, Any] = {}
        self._figures: dict[str, list[dict[str, Any]]] = {}
        self._tables: dict[str, dict[str, Any]] = {}
        for kind, endings in _ENDINGS.items():
            (folder / kind).mkdir(parents=True, exist_ok=True)
            for ending in endings:
                for old in (folder / kind).glob(f"*.{ending}"):
                    old.unlink()

    def data(self, name: str, frame: pd.DataFrame) -> None:
        """Numbers behind a figure, or too many to print: `tables/<name>.csv`."""
        frame.to_csv(self.folder / "tables" / f"{name}.csv", index=False, lineterminator="\n")

    def table(self, name: str, table: Table, frame: pd.DataFrame) -> None:
        """A table of the document: `tables/<name>.tex` as printed, `tables/<name>.csv` with every digit.

        A table without a row is left out; its frame is written all the same.
        """
        assert name not in self._tables, f"table {name} is there already"
        self.data(name, frame)
        if not table.rows:
            return
        text = latex_table(name, table, self.words)
        (self.folder / "tables" / f"{name}.tex").write_text(text, encoding="utf-8")
        self._tables[name] = table.as_json(self.words)

    def figure(self, kind: str, figure: Figure, alt: str, shown: str = "") -> None:
        """A figure of the document: `figures/<kind>-<number>.svg`, `.pdf` and `.png`.

        Args:
            kind: What it shows; figures of one kind share a caption.
            figure: The figure.
            alt: What it shows, for who can't see it.
            shown: The conditions that it is about; empty where the study has no others.
        """
        of_kind = self._figures.setdefault(kind, [])
        path = save(figure, self.folder / "figures" / f"{kind}-{len(of_kind) + 1:02d}.svg")
        figure.set_layout_engine("none")  # all parts have their places now; finding them is half the cost of a picture
        alt = f"{alt}, {shown}" if shown else alt
        figure_as_pdf(path, alt)
        path.with_suffix(".png").write_bytes(as_png(figure))
        of_kind.append({"path": f"figures/{path.name}", "shown": shown, "alt": alt})

    def content(self) -> dict[str, Any]:
        """What the template prints."""
        return {"facts": self.facts, "words": dict(self.words), "figures": self._figures, "tables": self._tables}
