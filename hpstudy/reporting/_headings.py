"""Headings of table columns, written once for the page and for LaTeX.

A heading is plain text with symbols as `$s$`, `$P_W$` or `$n*$`, and with `{words}` that the study fills in.
"""

import re
from collections.abc import Mapping
from typing import Any

_SYMBOL = re.compile(r"\$(?P<letter>[A-Za-zθτδ])(?:_(?P<sub>\w+))?(?P<star>\*)?\$")

HEADINGS: Mapping[str, str] = {
    "condition": "condition",
    "tuned": "arm with ($s$, $m$)",
    "best_tuned": "with ($s$, $m$)",
    "adaptive": "adaptive scale",
    "best_adaptive": "adaptive",
    "difference": "difference{points}",
    "gain": "difference",
    "interval": "95 % interval",
    "improvement": "$P$ (improve), %",
    "p_holm": "$p$ (Holm)",
    "p_equivalence": "$p$ (equiv.)",
    "finding": "finding",
    "n_star": "$n*$",
    "n_interval": "95 % interval",
    "n_range": "95 %",
    "n_time": "$n*$, {device} {price_time}",
    "n_mean": "to its mean",
    "n_had": "had",
    "n_search_time": "had, {device} {price_time}",
    "n_own_time": "own, {device} {price_time}",
    "arm": "arm",
    "kind": "kind",
    "s": "$s$",
    "m": "$m$",
    "other": "other",
    "search_best": "search best",
    "fresh": "fresh seeds",
    "test": "{identities}",
    "n": "$n$",
    "phase": "phase",
    "trials": "trials",
    "completed": "completed",
    "pruned": "pruned",
    "diverged": "diverged",
    "failed": "failed",
    "epochs": "epochs",
    "wall": "wall ({time})",
    "cpu": "CPU ({time})",
    "gpu": "GPU ({time})",
    "audited": "audited",
    "final_s": "final $s$",
    "posterior": "smallest $P_W$",
    "tightness_min": "tightest",
    "tightness_median": "median",
    "sharp_m": "bound",
    "classes": "$C$",
    "dim": "$K$",
    "least_s": "$s$ at least",
    "paper_m": "$m$ at most (eq. 7)",
    "most_m": "$m$ at most (sharp)",
    "permitted_m": "permitted",
    "violations": "violations",
    "trial": "trial",
    "step": "step",
    "cause": "cause",
    "searches": "searches",
    "seeds": "seeds",
    "search_std": "search{points}",
    "seed_std": "training seed{points}",
    "rest_std": "beyond both{points}",
    "evaluation_std": "evaluation{points}",
    "rate": "rate, %",
    "crossing": "crossed at step",
    "crossing_share": "of training, %",
    "crossed_s": "chosen $s$",
    "fact": "what",
    "value": "value",
}
"""Heading of each column key that tables share."""


def spans(heading: str) -> list[dict[str, Any]]:
    """A heading for the template: runs of text, and symbols with their subscript and star."""
    found: list[dict[str, Any]] = []
    end = 0
    for match in _SYMBOL.finditer(heading):
        if match.start() > end:
            found.append({"text": heading[end : match.start()]})
        found.append({"symbol": match["letter"], "sub": match["sub"] or "", "star": bool(match["star"])})
        end = match.end()
    if end < len(heading) or not found:
        found.append({"text": heading[end:]})
    return found
