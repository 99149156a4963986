from typing import Any

import pytest

from hpstudy.tracking import NOTE_LENGTH, escaped, fitted, table
from hpstudy.tracking._notes import trial_note


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("a | b", "a \\| b"),
        ("[x](javascript:1)", "\\[x\\](javascript:1)"),
        ("**bold** `code` _x_", "\\*\\*bold\\*\\* \\`code\\` \\_x\\_"),
        ("two\n\n# lines", "two \\# lines"),
        ("see https://a.example", "see https&#58;//a.example"),
        ("R&D", "R&amp;D"),
        ("θ_med = 31.2°", "θ\\_med = 31.2°"),
    ],
)
def test_text_from_data_stays_text(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_a_note_is_cut_after_a_whole_line() -> None:
    rows = [[f"arm {number}", "0.8"] for number in range(1000)]
    note = fitted(["**Question**", table(["arm", "mean"], rows), "the end"])
    assert len(note) <= NOTE_LENGTH
    *lines, gap, last = note.splitlines()
    assert (gap, last) == ("", "*The rest did not fit here.*")
    assert lines[0] == "**Question**"
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines[2:])
    assert len(lines) > 200
    sentences = fitted(["A sentence. " * 1000])
    assert sentences.split("\n\n")[0].endswith("A sentence.")
    assert fitted(["one", "", "two"]) == "one\n\ntwo"


def test_what_a_trial_is(row: dict[str, Any]) -> None:
    note = trial_note(row)
    assert note == trial_note(dict(row))
    assert note.startswith(
        "Trial 7 of the search with seed 0 of arm **cosface** (loss cosface), training seed 3, at s = 31.2, m = 0.28."
    )
    assert "It ran its whole budget and ended after 3 epochs (336 steps)." in note
    confirm = trial_note({**row, "phase": "confirm", "condition": "train-100", "s": float("nan"), "m": None})
    assert confirm.startswith(
        "Confirm trial: the point that counts, trained anew on a fresh seed, of arm **cosface** (loss cosface) in "
        "condition **train-100**, training seed 3."
    )


def test_how_a_trial_ended(row: dict[str, Any]) -> None:
    diverged = trial_note({**row, "status": "diverged", "cause": "s is <inf>", "steps": 10, "epochs": 0})
    assert "It **diverged** after 0 epochs (10 steps)" in diverged
    assert "Cause: s is &lt;inf&gt;." in diverged
    assert "It **failed** after" in trial_note({**row, "status": "failed", "cause": "out of memory"})
    assert "stopped it early, after 3 epochs" in trial_note({**row, "status": "pruned"})
    assert "It is running." in trial_note({key: row[key] for key in row if key != "status"})
