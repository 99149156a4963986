"""What is known of m*(C, K), and the stored table of what the solver found."""

import csv
import math
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.theory import MarginOptimum, margin_optimum, margin_upper_bound, solve_spherical_code
from hpstudy.theory.make_code_table import entries, entry_generator, entry_restarts, main


def table():
    text = resources.files("hpstudy.theory").joinpath("spherical_codes.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [(int(r["dim"]), int(r["num_classes"]), int(r["restarts"]), float(r["separation"])) for r in rows]


TABLE = table()


@pytest.mark.parametrize(
    ("classes", "dim", "expected", "source"),
    [
        (4, 3, 4 / 3, "simplex"),
        (2, 512, 2.0, "simplex"),
        (8, 2, 0.292893218813, "regular polygon"),
        (3, 2, 1.5, "simplex"),
        (10_000_000, 2, 1.97392088e-13, "regular polygon"),
        (1000, 512, 1.0, "Rankin"),
        (5, 3, 1.0, "Rankin"),
        (8, 3, 0.738796125036, "Schütte and van der Waerden"),
        (11, 3, 0.552786404500, "Danzer"),
        (12, 3, 0.552786404500, "Fejes Tóth"),
        (14, 3, 0.436049699639, "Musin and Tarasov"),
        (24, 3, 0.276921531666, "Robinson"),
        (16, 5, 0.8, "Levenshtein"),
        (240, 8, 0.5, "Levenshtein"),
        (196560, 24, 0.5, "Levenshtein"),
        (66048, 256, 0.9375, "Cohn, de Laat and Leijenhorst"),
    ],
)
def test_exact_where_a_theorem_says_so(classes, dim, expected, source):
    optimum = margin_optimum(classes, dim)
    assert optimum.lower == optimum.upper == pytest.approx(expected, rel=1e-9)
    assert (optimum.exact, optimum.source, optimum.upper_source) == (True, source, source)


def test_elsewhere_the_table_gives_the_lower_end():
    optimum = margin_optimum(20, 3)
    assert optimum == MarginOptimum(optimum.lower, margin_upper_bound(20, 3), False, "numeric", "Fejes Tóth")
    assert 0.32 < optimum.lower < optimum.upper


def test_a_code_with_more_classes_or_fewer_dimensions_counts():
    assert margin_optimum(60, 5).source == "numeric: 64 classes in 5 dimensions"
    assert margin_optimum(230, 8).lower == 0.5
    # Copies in orthogonal subspaces: two of 33 … 48 classes serve up to 96 in twice the dimensions.
    assert margin_optimum(90, 16).lower >= margin_optimum(48, 8).lower


def test_face_recognition_sizes_have_both_ends():
    optimum = margin_optimum(85742, 512)
    assert optimum.lower == 0.9375
    assert optimum.upper == pytest.approx(0.958834, abs=1e-6)
    assert optimum.source == "Cohn, de Laat and Leijenhorst: 66048 classes in 256 dimensions"
    assert optimum.upper_source == "Levenshtein"


def test_no_lower_end_is_invented():
    assert margin_optimum(10_000_000, 16) == MarginOptimum(
        None, margin_upper_bound(10_000_000, 16), False, "Levenshtein", "Levenshtein"
    )


@settings(deadline=None)
@given(classes=st.integers(2, 10_000_000), dim=st.integers(2, 4096))
def test_both_ends_are_in_order(classes, dim):
    optimum = margin_optimum(classes, dim)
    assert optimum.upper == margin_upper_bound(classes, dim)
    assert optimum.exact == (optimum.lower == optimum.upper)
    assert optimum.lower is None or 0 < optimum.lower <= optimum.upper


@settings(deadline=None)
@given(classes=st.integers(2, 400), dim=st.integers(2, 20))
def test_the_lower_end_falls_with_the_classes_and_grows_with_the_dimension(classes, dim):
    lower = margin_optimum(classes, dim).lower
    if (more := margin_optimum(classes + 1, dim).lower) is not None:
        assert lower is not None
        assert more <= lower + 1e-12
    if lower is not None and (wider := margin_optimum(classes, dim + 1).lower) is not None and dim > 2:
        assert wider >= lower - 1e-12


def test_the_table_holds_what_its_command_makes():
    assert [(dim, count, entry_restarts(dim, count)) for dim, count in entries()] == [row[:3] for row in TABLE]
    assert {(dim, count) for dim in range(3, 9) for count in range(2 * dim + 1, 33)} <= {row[:2] for row in TABLE} | {
        (dim, count) for dim in range(3, 9) for count in range(2, 33) if margin_optimum(count, dim).exact
    }


def test_the_table_keeps_below_the_proven_bounds_and_falls_with_the_classes():
    for dim in range(3, 9):
        found = [(count, separation) for k, count, _, separation in TABLE if k == dim]
        assert all(separation <= margin_upper_bound(count, dim) for count, separation in found)
        assert all(before[1] >= after[1] - 1e-10 for before, after in pairwise(found)), dim


@pytest.mark.parametrize(("dim", "classes"), [(3, 15), (3, 20), (3, 32), (4, 9), (4, 20), (5, 11), (6, 13), (8, 17)])
def test_solving_again_finds_the_table_again(dim, classes):
    stored = next(row[3] for row in TABLE if row[:2] == (dim, classes))
    # Other restarts than the table's: the optimum, not the path to it.
    code = solve_spherical_code(classes, dim, generator=np.random.default_rng(1), restarts=48)
    assert code.separation == pytest.approx(stored, abs=1e-6)


def test_the_command_writes_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("hpstudy.theory.make_code_table.entries", lambda: [(3, 15)])
    monkeypatch.setattr("hpstudy.theory.make_code_table.entry_restarts", lambda dim, count: 4)
    main(["--seed", "5", "--output", str(tmp_path / "codes.csv")])
    *comments, header, row = (tmp_path / "codes.csv").read_text().splitlines()
    assert "--seed 5" in "".join(comments)
    assert header == "dim,num_classes,restarts,separation"
    assert capsys.readouterr().out.strip() == row
    code = solve_spherical_code(15, 3, generator=entry_generator(5, 3, 15), restarts=4)
    assert row == f"3,15,4,{math.floor(code.separation * 1e12) / 1e12:.12f}"
