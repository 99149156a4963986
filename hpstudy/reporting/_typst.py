"""Typst: the template beside its data, compiled without network and with the fonts that Typst embeds."""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import typst

DATA = "report.json"


def typeset(content: Mapping[str, Any], folder: Path) -> Path:
    """Writes the Typst source and its data into `folder` and compiles `folder/report.pdf`.

    Text reaches the template as strings of a JSON file, which Typst never reads as markup.
    """
    templates = resources.files("hpstudy.reporting") / "templates"
    for template in ("report.typ", "style.typ"):
        (folder / template).write_text((templates / template).read_text(encoding="utf-8"), encoding="utf-8")
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    (folder / DATA).write_text(text + "\n", encoding="utf-8")
    fonts = typst.Fonts(include_system_fonts=False)
    target = folder / "report.pdf"
    typst.compile(str(folder / "report.typ"), output=str(target), root=str(folder), font_paths=fonts, timestamp=0)
    return target
