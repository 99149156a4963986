"""Tables as LaTeX: a `tabular` with booktabs' rules, which any document can input."""

import re
from collections.abc import Mapping

from hpstudy.reporting._headings import spans
from hpstudy.reporting._tables import Cell, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after a line break it would open an argument
    "]": "{]}",
    "\N{NO-BREAK SPACE}": "~",
    "−": "$-$",
    "–": r"\textendash{}",
    "’": "'",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "∞": r"$\infty$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "√": r"$\surd$",
    "→": r"$\to$",
    "…": r"\dots{}",
}
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "η": "eta", "θ": "theta", "κ": "kappa",
    "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "varphi",
    "χ": "chi", "ψ": "psi", "ω": "omega", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Σ": "Sigma", "Φ": "Phi",
    "Ω": "Omega",
}  # fmt: skip
_HIGH = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_EXPONENT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_JOINED = re.compile(r"([-'`,<>])(?=\1)|[?!](?=`)")
"""Characters that TeX's fonts would join."""
_COLUMN = {"left": "l", "right": "r", "center": "c", "text": r"p{0.38\linewidth}"}


def latex_table(name: str, table: Table, words: Mapping[str, str]) -> str:
    r"""The table as printed, without its caption: `\begin{tabular}` … `\end{tabular}` after a line of comment.

    Needs booktabs and nothing else; letters beyond Latin, which only names in a study have, need LuaLaTeX or XeLaTeX.

    Args:
        name: What the file is called, for the comment.
        table: The table.
        words: What the study puts into headings.
    """
    keys = [key for key, _ in table.columns]
    lines = [
        f"% Table {name} of an hpstudy report. Preamble: \\usepackage{{booktabs}}",
        f"\\begin{{tabular}}{{{''.join(_COLUMN[align] for _, align in table.columns)}}}",
        "\\toprule",
        " & ".join(_heading(table.heading(key, words)) for key in keys) + r" \\",
        "\\midrule",
    ]
    for i, row in enumerate(table.rows):
        if "group" in row:
            lines += ["\\addlinespace"] if i else []
            lines.append(rf"\multicolumn{{{len(keys)}}}{{l}}{{\emph{{{escaped(row['group'])}}}}} \\")
            continue
        lines += ["\\midrule"] if "total" in row else []
        lines.append(" & ".join(_cell(cell) for cell in row["cells"]) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def escaped(text: str) -> str:
    """Text that LaTeX prints as it stands; control characters are dropped, Greek and signs become mathematics."""
    parts = []
    text = text.replace("\0", "")
    end = 0
    for match in _EXPONENT.finditer(text):
        parts += [_plain(text[end : match.start()]), f"$^{{{match[0].translate(_HIGH)}}}$"]
        end = match.end()
    return "".join([*parts, _plain(text[end:])])


def _plain(text: str) -> str:
    return "".join(_character(c) for c in _JOINED.sub("\\g<0>\0", text))


def _character(c: str) -> str:
    if c == "\0":
        return "{}"
    if c in _SPECIAL:
        return _SPECIAL[c]
    if c in _GREEK:
        return f"$\\{_GREEK[c]}$"
    return " " if c.isspace() else c if c.isprintable() else ""


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return escaped(cell)
    text = escaped(cell["text"])
    return rf"\textbf{{{text}}}" if "weight" in cell or "alarm" in cell else text


def _heading(heading: str) -> str:
    parts = []
    for span in spans(heading):
        if "text" in span:
            parts.append(escaped(span["text"]))
            continue
        letter = f"\\{_GREEK[span['symbol']]}" if span["symbol"] in _GREEK else span["symbol"]
        sub = f"_{{\\mathrm{{{span['sub']}}}}}" if len(span["sub"]) > 1 else f"_{{{span['sub']}}}" * bool(span["sub"])
        parts.append(f"${letter}{sub}{'^{*}' if span['star'] else ''}$")
    return "".join(parts)
