"""Typst: templates beside their data, compiled without network and with the fonts that Typst embeds."""

import functools
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import typst

DATA = "report.json"
_FIGURE = b"""#set page(width: auto, height: auto, margin: 0pt, fill: none)
#set document(title: sys.inputs.alt, date: none)
#image(sys.inputs.path, alt: sys.inputs.alt)
"""


def typeset(content: Mapping[str, Any], folder: Path, main: str = "report.typ") -> Path:
    """Writes the Typst sources and their data into `folder` and compiles `folder/report.pdf`.

    Text reaches the templates as strings of a JSON file, which Typst never reads as markup.

    Args:
        content: What the templates print.
        folder: Holds the figures already.
        main: The template to compile; those that it imports, found by their `#import` and `#include`, go with it.
    """
    for name in _sources(main):
        (folder / name).write_text(_template(name), encoding="utf-8")
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    (folder / DATA).write_text(text + "\n", encoding="utf-8")
    target = folder / "report.pdf"
    typst.compile(str(folder / main), output=str(target), root=str(folder), font_paths=_fonts(), timestamp=0)
    return target


def figure_as_pdf(svg: Path, alt: str) -> Path:
    """The figure as a PDF of its own size beside its SVG, with its fonts in it and without a date."""
    target = svg.with_suffix(".pdf")
    source: Any = _FIGURE  # typst takes bytes as a source; its annotations miss that
    typst.compile(
        source, output=str(target), root=str(svg.parent), font_paths=_fonts(), timestamp=0,
        sys_inputs={"path": f"/{svg.name}", "alt": alt},
    )  # fmt: skip
    return target


def _template(name: str) -> str:
    return (resources.files("hpstudy.reporting") / "templates" / name).read_text(encoding="utf-8")


def _sources(main: str) -> list[str]:
    """A template and all that it names in quotes with the ending of Typst."""
    found = [main]
    for name in found:
        words = _template(name).split('"')[1::2]
        found += [word for word in dict.fromkeys(words) if word.endswith(".typ") and word not in found]
    return found


@functools.cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False)
