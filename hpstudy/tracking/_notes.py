"""Notes in Markdown, of a length that MLflow keeps, in which text from data stays text."""

import re
from collections.abc import Iterable, Sequence

from hpstudy.tracking._describe import as_text, is_given, short
from hpstudy.tracking._protocol import Row

NOTE_LENGTH = 5000
_MARKUP = re.compile(r"[\\`*_{}\[\]#~|!$]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_CUT = "*The rest did not fit here.*"
_SCHEME = re.compile(r"(?i)\b(https?|ftp|mailto|www)(:|\.)")


def escaped(text: object) -> str:
    """Text from data for a note: one line, and no character of it is markup, HTML or a link."""
    line = _MARKUP.sub(lambda found: "\\" + found[0], " ".join(str(text).split()))
    line = "".join(_ENTITIES.get(character, character) for character in line)
    return _SCHEME.sub(lambda found: f"{found[1]}{'&#58;' if found[2] == ':' else '&#46;'}", line)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown, with text from data `escaped`."""
    lines = [headings, ["---"] * len(headings), *rows]
    # MLflow draws columns without a gap, and cuts plain spaces off.
    gap = {1: " | "}
    return "\n".join(f"| {gap.get(number, '&emsp; | ').join(cells)} |" for number, cells in enumerate(lines))


def fitted(blocks: Iterable[str], length: int = NOTE_LENGTH) -> str:
    """Blocks with blank lines between, cut after the last whole line or sentence that fits."""
    whole = "\n\n".join(block for block in blocks if block)
    if len(whole) <= length:
        return whole
    room = whole[: length - len(_CUT) - 2]
    end = max(room.rfind("\n"), room.rfind(". ") + 1)
    return f"{room[:end].rstrip()}\n\n{_CUT}"


def trial_note(row: Row) -> str:
    """What a trial is, how it went, and where to look; the same text for the same row."""
    values = [f"{name} = {short(row[name])}" for name in ("s", "m") if is_given(row.get(name))]
    condition = "" if row["condition"] == "default" else f" in condition **{escaped(row['condition'])}**"
    what = (
        f"{_phase(row)} of arm **{escaped(row['arm'])}** (loss {escaped(row['loss'])}){condition}, "
        f"training seed {as_text(row['seed'])}" + (f", at {escaped(', '.join(values))}." if values else ".")
    )
    return fitted([what, _ending(row), _WHERE])


_WHERE = (
    "Under *Model metrics*, where `train` in the search box leaves the curves: `train/theta_med_deg` is the median "
    "angle to the own prototype in degrees (θ_med), `train/log_b_avg` the logarithm of B_avg, `train/s` the scale in "
    "use, all against the step; `val/…` is what the search sees, `test/…` what counts. Curves are thinned here; the "
    "Parquet files under *Artifacts* hold every step and every epoch."
)


def _phase(row: Row) -> str:
    number, search_seed = int(row["number"]), as_text(row["search_seed"])
    if row["phase"] == "confirm":
        return "Confirm trial: the point that counts, trained anew on a fresh seed,"
    if row["phase"] == "grid":
        return f"Trial {number} of the listed points"
    return f"Trial {number} of the search with seed {search_seed}"


def _ending(row: Row) -> str:
    status = row.get("status")
    if not is_given(status) or status == "running":
        return "It is running."
    ran = f"after {as_text(row.get('epochs'))} epochs ({as_text(row.get('steps'))} steps)"
    ends = {
        "completed": f"It ran its whole budget and ended {ran}.",
        "pruned": f"The search stopped it early, {ran}: others of its arm were ahead at that point.",
        "diverged": f"It **diverged** {ran}: a number was no longer finite. It counts as chance for the search.",
        "failed": f"It **failed** {ran}.",
    }
    cause = f" Cause: {escaped(row['cause'])}." if is_given(row.get("cause")) else ""
    return ends[str(status)] + cause
